//! Appending, and finding again.

use std::time::{Duration, Instant};

use super::support::*;
use crate::{AppendError, Appended, Disk, Journal, JournalError};

#[tokio::test]
async fn what_was_appended_is_claimed_in_order_with_its_key_once() {
    let rig = Rig::new();
    let journal = rig.open();
    assert_eq!(journal.append_one(message(0)).await, Ok(Appended::Stored { depth: 1 }));
    let stored = journal.append(messages(1..300)).await.expect("stored");
    assert_eq!(stored.first(), Some(&Appended::Stored { depth: 2 }));
    assert_eq!(stored.last(), Some(&Appended::Stored { depth: 300 }));
    let claimed = claim(&journal, 300).await;
    assert_eq!(ids_of(&claimed), ids(0..300));
    assert_eq!(claimed.entries[7].envelope, message(7).envelope);
    assert_eq!(claimed.keys, [signed_key(1)]);
    assert!(rig.segments().len() > 4, "it went over several segments");
}

#[tokio::test]
async fn entries_survive_a_restart_and_are_asked_for_first() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append(messages(0..200)).await.expect("stored");
    assert_eq!(deliver(&journal, 200).await.len(), 200);
    journal.append(messages(200..250)).await.expect("stored");
    close(journal).await;
    let (journal, report) = rig.open_with_report();
    assert_eq!((report.waiting, report.damaged, report.cut, report.scanned), (50, 0, 0, 0));
    assert_eq!(journal.status().depth, 50);
    assert_eq!(journal.newest_id(), Some(id(249)));
    let asked = journal.unconfirmed(1000).await;
    assert_eq!(asked.iter().map(|(_, id)| *id).collect::<Vec<_>>(), ids(200..250));
    journal.confirm(EPOCH, &asked, &ids(240..250).into_iter().collect());
    let claimed = claim(&journal, 10).await;
    assert_eq!(ids_of(&claimed), ids(240..250));
    assert_eq!(claimed.keys, [signed_key(1)]);
    assert_eq!(journal.append_one(message(250)).await, Ok(Appended::Stored { depth: 11 }));
}

#[tokio::test]
async fn entries_are_found_from_the_moment_they_are_appended_until_they_are_dropped() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append_one(message(0)).await.expect("stored");
    let found = journal.find(&[id(0), id(1)]).await;
    assert_eq!(found[0].as_ref().map(|found| (found.queued_at, found.confirmed)), Some((NOW, false)));
    assert_eq!(found[0].as_ref().map(|found| found.header.client.as_str()), Some("demo"));
    assert_eq!(found[1], None);
    journal.append(messages(1..200)).await.expect("stored");
    tidy(&journal);
    assert!(journal.find(&ids(0..200)).await.iter().all(Option::is_some), "in sealed segments too");
    deliver(&journal, 200).await;
    let journal = rig.reopen(journal).await;
    let found = journal.find(&ids(0..201)).await;
    assert!(found[..200].iter().flatten().all(|found| found.confirmed));
    assert_eq!(found.iter().flatten().count(), 200);
}

#[tokio::test]
async fn a_call_larger_than_a_segment_is_stored_over_several() {
    let rig = Rig::new();
    let journal = rig.open();
    let entries: Vec<_> = (0..40).map(|n| sized(n, 3000)).collect();
    assert_eq!(journal.append(entries).await.expect("stored").len(), 40);
    assert_eq!(ids_of(&claim(&journal, 40).await), ids(0..40));
}

#[tokio::test]
async fn entries_that_can_never_be_stored_are_refused() {
    let journal = Rig::new().open();
    let mut other_key = message(1);
    other_key.key = signed_key(2);
    let mut other_id = message(1);
    other_id.id = id(2);
    for entry in [other_key, other_id, sized(1, 20_000)] {
        assert_eq!(journal.append_one(entry).await, Err(AppendError::Unfit));
    }
    assert_eq!(journal.append(Vec::new()).await, Ok(Vec::new()));
    assert!(journal.append_one(sized(1, 14_000)).await.is_ok());
}

#[tokio::test]
async fn many_appenders_share_syncs_and_all_are_answered() {
    let rig = Rig::new();
    let journal = rig.open();
    let before = rig.sim.operations();
    let appends = (0..100).map(|n| {
        let journal = journal.clone();
        async move { journal.append_one(message(n)).await }
    });
    let mut set = tokio::task::JoinSet::new();
    appends.for_each(|append| drop(set.spawn(append)));
    let answers = set.join_all().await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(rig.sim.operations() - before < 150, "{} operations", rig.sim.operations() - before);
    let syncs: u64 = journal.fsync_times().buckets.iter().sum();
    assert!((1..100).contains(&syncs), "{syncs} syncs");
}

#[tokio::test]
async fn a_lone_append_takes_one_write_and_one_sync() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append_one(message(0)).await.expect("stored");
    tidy(&journal);
    let before = rig.sim.operations();
    journal.append_one(message(1)).await.expect("stored");
    assert_eq!(rig.sim.operations() - before, 2);
}

#[tokio::test]
async fn a_failed_sync_is_told_and_its_entries_do_not_come_back() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append_one(message(0)).await.expect("stored");
    tidy(&journal);
    rig.sim.fail_syncs(1);
    assert_eq!(journal.append_one(message(1)).await, Err(AppendError::Failed));
    assert_eq!(journal.find(&[id(1)]).await, [None]);
    assert_eq!(journal.status().degraded, [crate::Degraded::WriteFailed]);
    journal.append_one(message(2)).await.expect("a new segment takes it");
    assert_eq!(journal.status().degraded, []);
    assert_eq!(ids_of(&claim(&journal, 2).await), [id(0), id(2)]);
    for seed in 0..20 {
        let rig = rig.after_power_cut(seed);
        let (journal, report) = rig.open_with_report();
        assert_eq!((report.waiting, report.damaged), (2, 0));
        assert_eq!(ids_of(&take_all(&journal).await), [id(0), id(2)]);
    }
}

#[tokio::test]
async fn a_disk_that_works_again_is_found_without_an_append() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append_one(message(0)).await.expect("stored");
    tidy(&journal);
    rig.sim.fail_syncs(1);
    assert_eq!(journal.append_one(message(1)).await, Err(AppendError::Failed));
    let failed = Instant::now();
    while journal.status().degraded == [crate::Degraded::WriteFailed] {
        assert!(failed.elapsed() < Duration::from_secs(30), "still degraded");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(journal.status().degraded, []);
    assert!(failed.elapsed() >= Duration::from_secs(1), "it can be seen that something failed");
    let journal = rig.reopen(journal).await;
    assert_eq!(ids_of(&take_all(&journal).await), [id(0)]);
}

#[tokio::test]
async fn a_disk_that_still_fails_is_not_taken_for_a_working_one() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append_one(message(0)).await.expect("stored");
    tidy(&journal);
    rig.sim.fail_syncs(u64::MAX);
    assert_eq!(journal.append_one(message(1)).await, Err(AppendError::Failed));
    let failed = Instant::now();
    while !journal.status().degraded.contains(&crate::Degraded::UpkeepFailed) {
        assert!(failed.elapsed() < Duration::from_secs(30), "never tried");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(journal.status().degraded.contains(&crate::Degraded::WriteFailed));
}

#[tokio::test]
async fn a_journal_is_open_once() {
    let rig = Rig::new();
    let journal = rig.open();
    let again = Journal::open(rig.config.clone(), rig.clock.clone(), Disk::Simulated(rig.sim.clone()));
    assert!(matches!(again, Err(JournalError::InUse(_))));
    close(journal).await;
    rig.open();
}

#[tokio::test]
async fn after_shutdown_nothing_is_taken_and_nobody_waits() {
    let rig = Rig::new();
    let journal = rig.open();
    let (waiting, asking) = (journal.clone(), journal.clone());
    let mut set = tokio::task::JoinSet::new();
    set.spawn(async move { claim_once(&waiting).await });
    set.spawn(async move { asking.unconfirmed(1).await.len() });
    tokio::task::yield_now().await;
    journal.shutdown().await;
    assert_eq!(set.join_all().await, [0, 0]);
    assert_eq!(journal.append_one(message(1)).await, Err(AppendError::Closed));
    assert_eq!(claim_once(&journal).await, 0);
}

async fn claim_once(journal: &Journal) -> usize {
    crate::Queue::Embedded(journal.clone()).claim("w", ALL).await.entries.len()
}

#[tokio::test]
async fn it_works_on_the_machines_own_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = crate::JournalConfig { segment_bytes: 64 << 10, ..crate::JournalConfig::new(dir.path().join("j")) };
    let open = || Journal::open(config.clone(), mb_core::Clock::manual(NOW), Disk::Real);
    let (journal, _) = open().expect("opened");
    journal.append(messages(0..1000)).await.expect("stored");
    assert!(matches!(open(), Err(JournalError::InUse(_))));
    assert_eq!(deliver(&journal, 1000).await, ids(0..1000));
    journal.append(messages(1000..1500)).await.expect("stored");
    close(journal).await;
    let (journal, report) = open().expect("opened");
    assert_eq!(report.waiting, 500);
    assert_eq!(ids_of(&take_all(&journal).await), ids(1000..1500));
}
