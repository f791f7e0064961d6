//! How much the journal holds, and what gives way.

use std::time::Duration;

use super::support::*;
use crate::{AppendError, Degraded};

#[tokio::test]
async fn a_full_journal_refuses_and_takes_again_once_entries_are_confirmed() {
    let mut rig = Rig::new();
    rig.config.max_bytes = 128 << 10;
    let journal = rig.open();
    let mut stored = 0;
    let refused = loop {
        match journal.append(messages(stored..stored + 20)).await {
            Ok(_) => stored += 20,
            Err(error) => break error,
        }
        tidy(&journal);
    };
    assert_eq!(refused.error, AppendError::Full);
    let status = journal.status();
    assert!(status.full && status.degraded.contains(&Degraded::Full));
    assert!(status.bytes <= 128 << 10, "{}", status.bytes);
    let waiting = usize::try_from(journal.status().depth).expect("small");
    assert_eq!(waiting, stored as usize + refused.done.len(), "what is durable is answered as durable");
    assert!(waiting >= 200, "{waiting} fit");
    deliver(&journal, waiting).await;
    tidy(&journal);
    assert!(journal.append_one(message(100_000)).await.is_ok());
    assert!(!journal.status().full);
}

#[tokio::test]
async fn kept_segments_never_stop_the_journal() {
    let mut rig = Rig::new();
    rig.config.max_bytes = 128 << 10;
    let journal = rig.open();
    for round in 0..100 {
        journal.append(messages(round * 20..round * 20 + 20)).await.expect("confirmed segments give way");
        deliver(&journal, 20).await;
        tidy(&journal);
        let status = journal.status();
        assert!(status.bytes <= 128 << 10 && status.kept_bytes <= 32 << 10, "{status:?}");
    }
    assert!(journal.status().kept_segments > 0);
}

#[tokio::test(start_paused = true)]
async fn kept_segments_are_dropped_after_their_time_since_confirmation() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append(messages(0..200)).await.expect("stored");
    rig.later(Duration::from_hours(100));
    deliver(&journal, 200).await;
    tidy(&journal);
    let kept = journal.status().kept_segments;
    assert!(kept > 2, "waiting does not count: {kept}");
    rig.later(rig.config.keep_for * 2);
    tokio::time::advance(rig.config.keep_for.saturating_sub(Duration::from_mins(1))).await;
    tidy(&journal);
    assert_eq!(journal.status().kept_segments, kept, "a clock that jumps makes nothing older");
    tokio::time::advance(Duration::from_mins(2)).await;
    tidy(&journal);
    assert_eq!(journal.status().kept_segments, 0);
    assert_eq!(journal.find(&[id(0)]).await, [None]);
    let journal = rig.reopen(journal).await;
    assert_eq!(journal.status().damaged_entries, 0, "what was dropped is not missing");
}

#[tokio::test]
async fn unconfirmed_entries_are_never_dropped() {
    let mut rig = Rig::new();
    rig.config.keep_for = Duration::ZERO;
    let journal = rig.open();
    journal.append(messages(0..200)).await.expect("stored");
    rig.later(Duration::from_hours(1));
    tidy(&journal);
    assert_eq!(ids_of(&claim(&journal, 200).await), ids(0..200));
}

#[tokio::test]
async fn a_full_disk_refuses_and_loses_nothing() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append(messages(0..10)).await.expect("stored");
    tidy(&journal);
    rig.sim.set_capacity(Some(70 << 10));
    let mut stored = 10;
    let refused = loop {
        match journal.append_one(message(stored)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 1000);
    };
    assert_eq!(refused, AppendError::Full);
    assert_eq!(ids_of(&claim(&journal, usize::try_from(stored).expect("small")).await), ids(0..stored));
    close(journal).await;
    let journal = rig.open();
    assert_eq!(journal.status().depth, u64::from(stored), "a full journal opens");
    assert!(journal.status().full);
    rig.sim.set_capacity(None);
    let journal = rig.reopen(journal).await;
    assert!(journal.append_one(message(stored)).await.is_ok());
}

#[tokio::test]
async fn an_entry_that_nobody_takes_keeps_only_its_own_segment() {
    let mut rig = Rig::new();
    rig.config.max_bytes = 128 << 10;
    let journal = rig.open();
    journal.append_one(message(0)).await.expect("stored");
    let held = claim(&journal, 1).await;
    for round in 0..100 {
        journal.append(messages(round * 20 + 1..round * 20 + 21)).await.expect("confirmed segments give way");
        deliver(&journal, 20).await;
        tidy(&journal);
    }
    assert_eq!(journal.status().depth, 1);
    journal.nack(&[held.entries[0].tag]);
    let (journal, report) = {
        close(journal).await;
        rig.open_with_report()
    };
    assert_eq!(report.damaged, 0, "what was dropped is not missing");
    assert_eq!(ids_of(&take_all(&journal).await)[0], id(0));
}
