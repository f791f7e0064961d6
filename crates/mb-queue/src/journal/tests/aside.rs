//! Entries older than the horizon, and those that the store never takes.

use std::time::Duration;

use super::support::*;
use crate::{Aside, Degraded, Queue};

async fn with_stale(rig: &Rig) -> crate::Journal {
    let journal = rig.open();
    journal.append(messages(0..5)).await.expect("stored");
    rig.later(rig.config.horizon + Duration::from_secs(1));
    let mut fresh = message(5);
    fresh.envelope = envelope(fresh.id, rig.clock.now(), 1, 100);
    journal.append_one(fresh).await.expect("stored");
    assert_eq!(ids_of(&claim(&journal, 1).await), [id(5)], "only what is young enough");
    tidy(&journal);
    journal
}

#[tokio::test]
async fn they_are_set_aside_instead_of_being_forwarded() {
    let rig = Rig::new();
    let journal = with_stale(&rig).await;
    let status = journal.status();
    assert_eq!((status.stale, status.depth, status.degraded), (5, 1, vec![Degraded::Stale]));
    let listed = journal.aside_list(Aside::Stale).expect("the disk works");
    assert_eq!(
        listed.iter().map(|entry| (entry.id, entry.queued_at)).collect::<Vec<_>>(),
        ids(0..5).into_iter().map(|id| (id, NOW)).collect::<Vec<_>>()
    );
    for seed in 0..5 {
        let rig = rig.after_power_cut(seed);
        assert_eq!(rig.open().status().stale, 5);
    }
}

#[tokio::test]
async fn the_keys_of_what_was_set_aside_are_read_once() {
    let rig = Rig::new();
    let journal = with_stale(&rig).await;
    assert_eq!(journal.signed_keys().expect("the disk works"), [signed_key(1)]);
    let disk = crate::Disk::Simulated(rig.sim.clone());
    let files = crate::journal::aside::files(&disk, &rig.config.dir, Aside::Stale).expect("the disk works");
    rig.sim.flip(&files[0], 40, 1);
    assert_eq!(journal.signed_keys().expect("no file is read"), [signed_key(1)]);
    let journal = rig.reopen(journal).await;
    assert!(journal.signed_keys().is_err(), "nobody knows what a damaged one needs");
    journal.discard_aside().expect("the disk works");
    assert_eq!(journal.signed_keys().expect("the disk works"), [signed_key(1)], "of what is in the segments");
}

#[tokio::test]
async fn an_operator_has_them_forwarded_whatever_their_age() {
    let rig = Rig::new();
    let journal = with_stale(&rig).await;
    assert_eq!(journal.replay_aside().await.expect("taken back"), 5);
    assert_eq!(journal.status().stale, 0);
    let claimed = claim(&journal, 5).await;
    assert_eq!(ids_of(&claimed), ids(0..5));
    assert_eq!(claimed.keys, [signed_key(1)]);
    let journal = rig.reopen(journal).await;
    assert_eq!(ids_of(&take_all(&journal).await).len(), 6, "a restart does not set them aside again");
}

#[tokio::test]
async fn an_operator_throws_them_away() {
    let rig = Rig::new();
    let journal = with_stale(&rig).await;
    assert_eq!(journal.discard_aside().expect("the disk works"), 5);
    assert_eq!(journal.aside_list(Aside::Stale).expect("the disk works"), []);
    assert_eq!((journal.status().stale, journal.status().degraded), (0, vec![]));
    let journal = rig.reopen(journal).await;
    assert_eq!(journal.status().stale, 0);
}

#[tokio::test]
async fn nothing_counts_as_set_aside_before_it_is_on_disk() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append(messages(0..5)).await.expect("stored");
    rig.later(rig.config.horizon + Duration::from_secs(1));
    rig.sim.set_capacity(Some(0));
    let queue = Queue::Embedded(journal.clone());
    assert!(tokio::time::timeout(Duration::ZERO, queue.claim("w", ALL)).await.is_err());
    tidy(&journal);
    let status = journal.status();
    assert_eq!((status.stale, status.depth), (0, 5));
    assert!(status.degraded.contains(&Degraded::UpkeepFailed));
    rig.sim.set_capacity(None);
    tidy(&journal);
    assert_eq!((journal.status().stale, journal.status().depth), (5, 0));
    assert!(!journal.status().degraded.contains(&Degraded::UpkeepFailed));
}

/// Hands an entry to a worker and the store lacks it all the same, until it is no longer handed out.
async fn refuse_for_good(rig: &Rig, journal: &crate::Journal) -> usize {
    let queue = Queue::Embedded(journal.clone());
    for round in 0..20 {
        let Ok(claimed) = tokio::time::timeout(Duration::from_secs(1), queue.claim("w", ALL)).await else {
            return round;
        };
        let tags: Vec<_> = claimed.entries.iter().map(|entry| entry.tag).collect();
        journal.ack(&tags);
        assert_eq!(answer(journal, true).await.len(), tags.len());
        tidy(journal);
        tokio::time::advance(rig.config.reforward_after).await;
    }
    20
}

#[tokio::test(start_paused = true)]
async fn what_the_store_refuses_again_and_again_is_set_aside_and_comes_back_if_an_operator_wants() {
    let rig = Rig::new();
    let journal = rig.open();
    journal.append_one(message(0)).await.expect("stored");
    assert_eq!(refuse_for_good(&rig, &journal).await, 10);
    let status = journal.status();
    assert_eq!((status.refused, status.depth, status.degraded), (1, 0, vec![Degraded::Refused]));
    let listed = journal.aside_list(Aside::Refused).expect("the disk works");
    assert_eq!(listed.iter().map(|entry| entry.id).collect::<Vec<_>>(), [id(0)]);
    let journal = rig.reopen(journal).await;
    assert_eq!(journal.status().refused, 1);
    assert_eq!(journal.replay_aside().await.expect("taken back"), 1);
    let claimed = take_all(&journal).await;
    assert_eq!((ids_of(&claimed), claimed.keys), (vec![id(0)], vec![signed_key(1)]));
    assert_eq!((journal.status().refused, journal.status().degraded), (0, vec![]));
}
