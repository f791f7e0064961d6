//! Handing over: backlogs, leases, confirmation, epochs.

use std::collections::HashSet;
use std::task::Poll;
use std::time::Duration;

use super::support::*;
use crate::{Claim, Queue};

#[tokio::test]
async fn a_backlog_larger_than_the_window_is_handed_over_in_order_and_only_so_far_ahead() {
    let mut rig = Rig::new();
    rig.config.window_entries = 16;
    let journal = rig.open();
    journal.append(messages(0..500)).await.expect("stored");
    assert_eq!(journal.status().depth, 500);
    let mut seen = Vec::new();
    while seen.len() < 500 {
        let claimed = Queue::Embedded(journal.clone()).claim("w", ALL).await;
        assert!(claimed.entries.len() <= 16, "{} ahead of confirmation", claimed.entries.len());
        seen.extend(ids_of(&claimed));
        let tags: Vec<_> = claimed.entries.iter().map(|entry| entry.tag).collect();
        journal.ack(&tags);
        assert_eq!(answer(&journal, false).await.len(), tags.len());
    }
    assert_eq!(seen, ids(0..500));
    assert_eq!(journal.status().depth, 0);
    journal.append_one(message(500)).await.expect("stored");
    assert_eq!(deliver(&journal, 1).await, [id(500)], "caught up again");
}

#[tokio::test]
async fn appending_goes_on_while_a_backlog_is_read_back() {
    let mut rig = Rig::new();
    rig.config.window_entries = 20;
    rig.config.window_bytes = 4_000;
    let journal = rig.open();
    let mut seen = Vec::new();
    for round in 0..40 {
        journal.append(messages(round * 20..round * 20 + 20)).await.expect("stored");
        seen.extend(deliver(&journal, 12).await);
    }
    while seen.len() < 800 {
        seen.extend(deliver(&journal, 1).await);
    }
    assert_eq!(seen, ids(0..800));
    assert_eq!(journal.status().depth, 0);
}

#[tokio::test]
async fn entries_that_were_not_kept_in_memory_are_read_again() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append(messages(0..300)).await.expect("stored");
    let first = claim(&journal, 300).await;
    journal.nack(&first.entries.iter().map(|entry| entry.tag).collect::<Vec<_>>());
    let second = claim(&journal, 300).await;
    assert_eq!(ids_of(&second), ids(0..300));
    let envelopes = |claimed: &crate::Claimed| claimed.entries.iter().map(|e| e.envelope.clone()).collect::<Vec<_>>();
    assert_eq!(envelopes(&first), envelopes(&second));
    assert!(second.entries.iter().all(|entry| entry.deliveries == 2));
}

#[tokio::test]
async fn a_claim_that_is_given_up_leaves_its_entries_to_others() {
    let rig = Rig::new();
    let journal = rig.open();
    let queue = Queue::Embedded(journal.clone());
    let gave_up = tokio::time::timeout(Duration::ZERO, queue.claim("w", ALL)).await;
    assert!(gave_up.is_err(), "there is nothing yet");
    journal.append(messages(0..3)).await.expect("stored");
    let first = claim(&journal, 3).await;
    journal.nack(&first.entries.iter().map(|entry| entry.tag).collect::<Vec<_>>());
    // Now the envelopes have to be read back, which the claim waits for when it is given up.
    let mut claiming = Box::pin(queue.claim("w", ALL));
    let polled = std::future::poll_fn(|context| Poll::Ready(claiming.as_mut().poll(context))).await;
    drop(claiming);
    if let Poll::Ready(claimed) = polled {
        journal.nack(&claimed.entries.iter().map(|entry| entry.tag).collect::<Vec<_>>());
    }
    assert_eq!(ids_of(&claim(&journal, 3).await), ids(0..3));
}

#[tokio::test(start_paused = true)]
async fn an_expired_lease_is_claimable_by_a_claim_that_already_waits() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append(messages(0..2)).await.expect("stored");
    let first = claim(&journal, 2).await;
    let started = tokio::time::Instant::now();
    let second = claim(&journal, 2).await;
    assert_eq!(started.elapsed().as_secs(), rig.config.lease.as_secs());
    assert_eq!(ids_of(&second), ids(0..2));
    journal.ack(&first.entries.iter().map(|entry| entry.tag).collect::<Vec<_>>());
    let nobody = tokio::time::timeout(Duration::from_secs(1), journal.unconfirmed(10)).await;
    assert!(nobody.is_err(), "an acknowledgement under a lease that is over changes nothing");
}

#[tokio::test(start_paused = true)]
async fn what_the_store_lacks_after_an_acknowledgement_is_forwarded_again_later() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append(messages(0..2)).await.expect("stored");
    let claimed = claim(&journal, 2).await;
    let started = tokio::time::Instant::now();
    journal.ack(&[claimed.entries[0].tag, claimed.entries[1].tag]);
    let asked = journal.unconfirmed(10).await;
    journal.confirm(EPOCH, &asked, &HashSet::from([id(1)]));
    assert_eq!(journal.status().depth, 1);
    let again = claim(&journal, 1).await;
    assert_eq!(ids_of(&again), [id(1)]);
    assert_eq!(started.elapsed().as_secs(), rig.config.reforward_after.as_secs());
}

#[tokio::test]
async fn a_new_epoch_offers_every_kept_entry_again() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append(messages(0..300)).await.expect("stored");
    deliver(&journal, 290).await;
    assert_eq!(journal.status().epoch, Some(EPOCH));
    let restored = [9; 16];
    journal.confirm(restored, &[], &HashSet::new());
    assert_eq!(journal.status().depth, 300);
    let mut lacked = Vec::new();
    while lacked.len() < 300 {
        let asked = journal.unconfirmed(1000).await;
        journal.confirm(restored, &asked, &asked.iter().map(|(_, id)| *id).collect());
        lacked.extend(asked.into_iter().map(|(_, id)| id));
    }
    assert_eq!(lacked, ids(0..300));
    assert_eq!(ids_of(&claim(&journal, 300).await), ids(0..300));
}

#[tokio::test]
async fn after_a_restored_backup_only_what_the_store_lacks_is_forwarded() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append(messages(0..100)).await.expect("stored");
    deliver(&journal, 100).await;
    let journal = rig.reopen(journal).await;
    assert_eq!(journal.status().epoch, Some(EPOCH));
    let restored = [9; 16];
    journal.confirm(restored, &[], &HashSet::new());
    let mut count = 0;
    while count < 100 {
        let asked = journal.unconfirmed(1000).await;
        count += asked.len();
        journal.confirm(restored, &asked, &ids(60..100).into_iter().collect());
    }
    assert_eq!(ids_of(&claim(&journal, 40).await), ids(60..100));
    let journal = rig.reopen(journal).await;
    assert_eq!((journal.status().epoch, journal.status().depth), (Some(restored), 40));
}

#[tokio::test]
async fn a_rewind_and_its_epoch_are_saved_together() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append(messages(0..50)).await.expect("stored");
    deliver(&journal, 50).await;
    tidy(&journal);
    journal.confirm([9; 16], &[], &HashSet::new());
    tidy(&journal);
    for seed in 0..10 {
        let rig = rig.after_power_cut(seed);
        let journal = rig.open();
        assert_eq!((journal.status().epoch, journal.status().depth), (Some([9; 16]), 50));
    }
}

#[tokio::test]
async fn several_workers_share_the_entries() {
    let rig = Rig::new();
    let journal = rig.open();
    let mut set = tokio::task::JoinSet::new();
    for worker in 0..4 {
        let queue = Queue::Embedded(journal.clone());
        set.spawn(async move {
            let mut seen = Vec::new();
            while seen.len() < 25 {
                let claimed = queue.claim(&format!("w{worker}"), Claim { entries: 1, bytes: 1 }).await;
                seen.extend(ids_of(&claimed));
            }
            seen
        });
    }
    for n in 0..100 {
        journal.append_one(message(n)).await.expect("stored");
    }
    let mut seen = set.join_all().await.concat();
    seen.sort_unstable();
    assert_eq!(seen, ids(0..100));
}
