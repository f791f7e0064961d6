//! What was given up or delivered is sent again: within the times that its message bears, and never what was withdrawn.

use std::time::Duration;

use mb_core::{AttemptClass, DeliveryState, DestinationId, DestinationKind, MessageState, Timestamp};
use mb_store::{
    Begin, Cancelled, DeadLetterFilter, LEASE, NewMessage, Redriven, Replay, Reporter, Reports, Retried, Retry, Store,
};

use crate::delivering::{destination, lease, pass, register, register_as, report, status, tell};
use crate::fixture::{Fixture, NOW, batch, id, message};

/// The time that the store goes by: a server's clock cannot be set.
fn now(fixture: &Fixture) -> Timestamp {
    match fixture.place {
        crate::fixture::Place::Files(_) => fixture.clock.now(),
        crate::fixture::Place::Server(_) => mb_core::Clock::System.now(),
    }
}

const HOUR: Duration = Duration::from_hours(1);

/// A message that is given up after its last attempt; the number of its dead letter.
async fn given_up(fixture: &Fixture, to: DestinationId, expires_at: Option<Timestamp>) -> i64 {
    let store = &fixture.store;
    let mut new = NewMessage { status: MessageState::Processing, delivered_at: None, ..message(0) };
    new.header.expires_at = expires_at;
    register_as(store, vec![new], &[to], &Begin::Waiting).await;
    for attempt in 1..=3 {
        let leased = lease(store, attempt, 10).await;
        tell(store, &[report(&leased[0], attempt, AttemptClass::ServerError)]).await;
        pass(fixture, Duration::from_secs(31)).await;
    }
    assert_eq!(status(store, 0).await.0, MessageState::Failed);
    store.dead_letter_page(&DeadLetterFilter::default(), None, 9).await.expect("reads")[0].id
}

async fn redrive(store: &Store, letter: i64) -> Redriven {
    store.redrive_dead_letters(&[letter], &"one".into(), "ann").await.expect("asks")
}

async fn retry(store: &Store) -> Retry {
    store.retry_message(id(0), &"one".into(), "ann").await.expect("asks")
}

fn everything() -> Replay {
    Replay { since: NOW, until: NOW.plus(LEASE), topics: None, message: None, dry_run: false, after: None }
}

pub(crate) async fn what_has_expired_is_not_sent_again(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await;
    let letter = given_up(&fixture, hook.route.id, None).await;
    fixture.beside().await.run("UPDATE messages SET expires_at = queued_at").await;
    assert_eq!(redrive(store, letter).await, Redriven { sent: 0, expired: 1 });
    assert!(matches!(retry(store).await, Retry::Expired(_)));
    assert_eq!(store.replay(&hook, &everything(), &"one".into(), "ann").await.expect("asks").sent, 0);
    assert_eq!(status(store, 0).await.0, MessageState::Failed);
    assert!(lease(store, 9, 10).await.is_empty());
    assert_eq!(store.dead_letter_page(&DeadLetterFilter::default(), None, 9).await.expect("reads").len(), 1);
}

pub(crate) async fn what_is_sent_again_expires_at_its_time(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    given_up(&fixture, hook, Some(now(&fixture).plus(HOUR))).await;
    assert_eq!(retry(store).await, Retry::Done(Retried { hastened: 0, redriven: 1 }));
    let mut beside = fixture.beside().await;
    let sql = "SELECT COUNT(*) FROM deliveries, messages WHERE deliveries.expires_at = messages.expires_at";
    assert_eq!(beside.number(sql).await, 1);
    beside.run("UPDATE deliveries SET expires_at = created_at").await;
    assert_eq!(store.expire_deliveries(&"one".into(), 10).await.expect("ends"), 1);
    assert_eq!(status(store, 0).await.0, MessageState::Expired);
}

pub(crate) async fn what_is_given_back_rests_and_ends_if_its_time_is_over(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    register(store, 0..3, &[hook]).await;
    let leased = lease(store, 1, 10).await;
    assert_eq!(leased.len(), 3);
    // The delivery does not say it, the message does.
    fixture.beside().await.run("UPDATE messages SET expires_at = queued_at").await;
    let of = |n: u32| (hook, leased[0].lease, id(n));
    let (released, expired, one) = ([of(0)], [of(1)], "one".into());
    let mut reports = Reports {
        by: Reporter::Worker,
        attempts: &[],
        released: &released,
        expired: &expired,
        worker: "w",
        instance: &one,
        jitter: &[],
    };
    store.report_attempts(&reports).await.expect("reports");
    assert!(lease(store, 2, 10).await.is_empty(), "neither at once nor ever");
    assert_eq!(store.expire_deliveries(&one, 10).await.expect("ends"), 1);
    assert_eq!(status(store, 1).await.0, MessageState::Expired);
    pass(&fixture, Duration::from_secs(2)).await;
    assert_eq!(lease(store, 2, 10).await.len(), 1, "what was released");
    // Of what bears no such time, as far as the store knows, nothing is lost.
    fixture.beside().await.run("UPDATE messages SET expires_at = NULL").await;
    let expired = [of(2)];
    (reports.released, reports.expired) = (&[], &expired);
    store.report_attempts(&reports).await.expect("reports");
    pass(&fixture, Duration::from_secs(2)).await;
    assert_eq!(lease(store, 3, 10).await.len(), 1);
}

pub(crate) async fn a_replay_sends_what_was_delivered_or_given_up_when_it_is_due(fixture: Fixture) {
    let store = &fixture.store;
    let later = now(&fixture).plus(HOUR);
    let mut messages = Vec::new();
    for (n, status) in [MessageState::Delivered, MessageState::Cancelled, MessageState::Expired, MessageState::Failed]
        .into_iter()
        .enumerate()
    {
        messages.push(NewMessage { status, ..message(u32::try_from(n).expect("few")) });
    }
    // Stored as delivered at a later time, since nothing waits for it.
    let mut scheduled = NewMessage { delivered_at: Some(later), ..message(4) };
    scheduled.header.deliver_at = Some(later);
    messages.push(scheduled);
    store.register(batch(messages)).await.expect("registers");
    let hook = destination(store, "hook", DestinationKind::Webhook).await;
    assert_eq!(store.replay(&hook, &everything(), &"one".into(), "ann").await.expect("replays").sent, 3);
    let leased = lease(store, 1, 10).await;
    let mut ids = leased.iter().map(|leased| leased.message.header.message_id).collect::<Vec<_>>();
    ids.sort_unstable();
    assert_eq!(ids, [id(0), id(3)], "what was withdrawn or is for later is not");
    assert_eq!(store.deliveries(id(4)).await.expect("reads")[0].due_at, Some(later));
    let cancelled = store.cancel_message(id(4), None, &"one".into(), "ann").await.expect("asks");
    assert_eq!((cancelled, status(store, 4).await.0), (Cancelled::Done, MessageState::Cancelled));
    assert_eq!(store.deliveries(id(4)).await.expect("reads")[0].state, DeliveryState::Cancelled);
}

pub(crate) async fn a_replay_revives_what_was_given_up_there(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await;
    given_up(&fixture, hook.route.id, None).await;
    assert_eq!(store.replay(&hook, &everything(), &"one".into(), "ann").await.expect("replays").sent, 1);
    assert_eq!(status(store, 0).await.0, MessageState::Processing);
    let leased = lease(store, 9, 10).await;
    tell(store, &[report(&leased[0], 9, AttemptClass::Taken)]).await;
    assert_eq!(status(store, 0).await.0, MessageState::Delivered);
    assert!(store.dead_letter_page(&DeadLetterFilter::default(), None, 9).await.expect("reads").is_empty());
}

pub(crate) async fn what_is_for_later_is_not_hastened(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    let later = now(&fixture).plus(HOUR);
    let mut new = NewMessage { status: MessageState::Queued, delivered_at: None, ..message(0) };
    new.header.deliver_at = Some(later);
    register_as(store, vec![new], &[hook], &Begin::Waiting).await;
    assert_eq!(retry(store).await, Retry::Done(Retried { hastened: 0, redriven: 0 }));
    assert!(lease(store, 1, 10).await.is_empty());
    assert_eq!(store.deliveries(id(0)).await.expect("reads")[0].due_at, Some(later));
}
