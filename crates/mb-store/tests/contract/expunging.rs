//! What was expunged comes in no more: not again, not after its row is gone, not after the store was put back.

use std::collections::BTreeMap;
use std::time::Duration;

use mb_core::policy::HORIZON;
use mb_core::{AttemptClass, DestinationKind, MessageState, Timestamp};
use mb_store::{
    CounterEvent, DeadLetterFilter, MergedExpunged, Redriven, RegisterBatch, Registered, Retried, Retry, Store,
};

use crate::delivering::{destination, lease, pass, register, report, status, tell};
use crate::fixture::{Fixture, NOW, batch, dead, dead_letter, id, message};

async fn expunge(store: &Store, n: u32) -> bool {
    store.expunge_message(id(n), &"one".into(), "ann").await.expect("asks")
}

pub(crate) async fn what_was_expunged_stays_out_while_its_row_is_there(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    register(store, 0..1, &[hook]).await;
    let version = store.policy_version().await.expect("reads");
    assert!(expunge(store, 0).await);
    let row = store.message(id(0)).await.expect("reads").expect("is there");
    assert_eq!((row.status, row.sealed.len(), row.sender_number_hashed), (MessageState::Cancelled, 0, None));
    assert!(lease(store, 1, 10).await.is_empty());
    let again = store.register(batch(vec![message(0)])).await.expect("registers");
    assert!(matches!(again.messages[0], Registered::Duplicate(_)));
    assert!(!expunge(store, 9).await, "there is none");
    let parts = store.policy_parts().await.expect("reads");
    assert_eq!((parts.expunged.keys().copied().collect::<Vec<_>>(), parts.version), (vec![id(0)], version + 1));
    assert!(expunge(store, 0).await, "a repeat is no fault");
    register(store, 1..2, &[hook]).await;
    assert_eq!(lease(store, 2, 10).await.len(), 1);
    let version = store.destinations_version().await.expect("reads");
    assert!(expunge(store, 1).await);
    assert!(store.destinations_version().await.expect("reads") > version, "whoever holds it is told");
}

pub(crate) async fn what_was_expunged_stays_out_when_its_row_is_gone(fixture: Fixture) {
    let store = &fixture.store;
    store.register(batch(vec![message(0), message(1)])).await.expect("registers");
    assert!(expunge(store, 0).await);
    fixture.beside().await.run("DELETE FROM messages").await;
    for round in 0..2 {
        let lacking = store.lacking(&[id(0), id(1), id(2)]).await.expect("asks").1;
        assert_eq!(lacking, if round == 0 { vec![id(1), id(2)] } else { vec![id(2)] }, "nobody is to bring it");
        let again = RegisterBatch { dead_letters: vec![dead_letter(0, "kept")], ..batch(vec![message(0), message(1)]) };
        let again = store.register(again).await.expect("registers");
        assert_eq!((&again.messages[0], &again.dead_letters[0]), (&Registered::Expunged, &Registered::Expunged));
        assert_eq!(again.messages[1] == Registered::Stored, round == 0, "the other is stored");
        store.new_epoch("restore").await.expect("mints");
    }
    assert_eq!(store.message(id(0)).await.expect("reads"), None);
    assert!(store.dead_letters(None, 9).await.expect("reads").is_empty());
    let all = (Timestamp::default(), Timestamp::from_micros(i64::MAX));
    let counts = store.event_counts(None, all.0, all.1).await.expect("reads");
    assert_eq!(counts[&CounterEvent::Registered], 3, "one of them twice, this one once");
}

pub(crate) async fn a_store_that_was_put_back_is_told_what_was_expunged(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    register(store, 0..2, &[hook]).await;
    let real = match fixture.place {
        crate::fixture::Place::Files(_) => NOW,
        crate::fixture::Place::Server(_) => mb_core::Clock::System.now(),
    };
    let old = real.minus(HORIZON);
    let known = BTreeMap::from([(id(0), real), (id(8), real), (id(1), old)]);
    let merge = async || store.merge_expunged(&known, &"one".into(), "proxy:a").await.expect("asks");
    let waits = MergedExpunged { count: 0, open: vec![id(0), id(8)] };
    assert_eq!(merge().await, waits, "no epoch began");
    store.new_epoch("restore").await.expect("mints");
    assert_eq!(merge().await, MergedExpunged { count: 2, open: Vec::new() });
    assert_eq!(merge().await, MergedExpunged::default());
    let row = store.message(id(0)).await.expect("reads").expect("is there");
    assert_eq!((row.status, row.sealed.len()), (MessageState::Cancelled, 0));
    assert_eq!(status(store, 1).await.0, MessageState::Processing, "of that one no copy would come");
    let again = store.register(batch(vec![message(8)])).await.expect("registers");
    assert_eq!(again.messages, [Registered::Expunged], "it was never here, and stays out");
    let expunged = store.policy_parts().await.expect("reads").expunged;
    assert_eq!(expunged.into_keys().collect::<Vec<_>>(), [id(0), id(8)]);
    let actions = store.audit_log(None, 2).await.expect("reads");
    assert!(actions.iter().all(|row| row.action == "message.expunge" && row.actor == "proxy:a"));
    fixture.clock.set(fixture.clock.now().plus(Duration::from_hours(8 * 24)));
    assert_eq!(merge().await, MergedExpunged::default(), "the restore is long past, and it is known");
}

pub(crate) async fn a_dead_letter_is_expunged_like_a_message(fixture: Fixture) {
    let store = &fixture.store;
    store.register(dead(vec![dead_letter(5, "kept")])).await.expect("registers");
    assert!(expunge(store, 5).await);
    let letters = store.dead_letters(None, 9).await.expect("reads");
    assert_eq!((letters.len(), letters[0].envelope.len()), (1, 0));
    let again = store.register(dead(vec![dead_letter(5, "another copy")])).await.expect("registers");
    assert_eq!(again.dead_letters, [Registered::Expunged]);
}

pub(crate) async fn what_was_expunged_is_not_redriven(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    register(store, 0..1, &[hook]).await;
    for (attempt, wait) in [(1, 5), (2, 30), (3, 0)] {
        let leased = lease(store, attempt, 10).await;
        tell(store, &[report(&leased[0], attempt, AttemptClass::ServerError)]).await;
        pass(&fixture, Duration::from_secs(wait + 1)).await;
    }
    assert!(expunge(store, 0).await);
    let letters = store.dead_letter_page(&DeadLetterFilter::default(), None, 9).await.expect("reads");
    let redriven = store.redrive_dead_letters(&[letters[0].id], &"one".into(), "ann").await.expect("asks");
    let retried = store.retry_message(id(0), &"one".into(), "ann").await.expect("asks");
    assert_eq!(
        (redriven, retried, status(store, 0).await.0),
        (Redriven::default(), Retry::Done(Retried::default()), MessageState::Failed)
    );
}

pub(crate) async fn a_tombstone_is_forgotten_when_no_copy_can_come(fixture: Fixture) {
    let store = &fixture.store;
    store.register(batch(vec![message(0)])).await.expect("registers");
    assert!(expunge(store, 0).await);
    assert_eq!(store.sweep_tombstones(10).await.expect("sweeps"), 0);
    let days = 30 * 86_400_000_000_i64;
    let mut beside = fixture.beside().await;
    beside
        .run_either(
            &format!("UPDATE tombstones SET expunged_at = expunged_at - {days} - 1"),
            &format!("UPDATE tombstones SET expunged_at = expunged_at - INTERVAL {days} MICROSECOND"),
        )
        .await;
    assert!(store.policy_parts().await.expect("reads").expunged.is_empty());
    assert_eq!(store.sweep_tombstones(10).await.expect("sweeps"), 1);
    assert_eq!(beside.number("SELECT COUNT(*) FROM tombstones").await, 0);
}
