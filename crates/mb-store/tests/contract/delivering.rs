//! Deliveries: leased by one at a time, reported once, final when they should be.

use std::time::Duration;

use mb_core::delivery::BreakerState;
use mb_core::{
    AttemptClass, AttemptId, DeliveryState, DestinationId, DestinationKind, DestinationName, DestinationState,
    DomainName, LeaseId, MessageId, MessageState, RetrySchedule, Timestamp,
};
use mb_store::{
    AttemptReport, Begin, Cancelled, DeadLetterFilter, DestinationChange, DestinationRow, DestinationSettings, LEASE,
    LeaseAsk, Leased, NewDelivery, NewDestination, NextDue, RegisterBatch, Replay, Reported, Reporter, Reports, Routed,
    Store, StoreError, Whose,
};

use crate::fixture::{Fixture, NOW, batch, id, message};

pub(crate) fn lease_id(n: u8) -> LeaseId {
    LeaseId::from_bytes([n; 16])
}

pub(crate) async fn destination(store: &Store, name: &str, kind: DestinationKind) -> DestinationRow {
    store.ensure_domain(&DomainName::default(), "test").await.expect("is there");
    let new = NewDestination {
        domain: DomainName::default(),
        name: DestinationName::parse(name).expect("valid"),
        kind,
        topics: Vec::new(),
        clients: Vec::new(),
        settings: DestinationSettings {
            url: "https://hooks.example/".into(),
            retry: RetrySchedule::parse("5s,30s").expect("valid"),
            concurrency: 8,
            rate: None,
            ca: None,
            identity: None,
        },
        secret: Some(b"sealed".to_vec()),
    };
    store.insert_destination(&new, "test").await.expect("adds")
}

/// Registers messages on their way to these destinations.
pub(crate) async fn register(store: &Store, numbers: std::ops::Range<u32>, to: &[DestinationId]) {
    let messages =
        numbers.map(|n| mb_store::NewMessage { status: MessageState::Processing, delivered_at: None, ..message(n) });
    register_as(store, messages.collect(), to, &Begin::Waiting).await;
}

pub(crate) async fn register_as(
    store: &Store,
    messages: Vec<mb_store::NewMessage>,
    to: &[DestinationId],
    begin: &Begin,
) {
    let deliveries = (0..messages.len()).flat_map(|message| {
        to.iter().map(move |destination| NewDelivery { message, destination: *destination, begin: begin.clone() })
    });
    let routed = Routed { version: None, deliveries: deliveries.collect() };
    store.register(RegisterBatch { routed, ..batch(messages) }).await.expect("registers");
}

pub(crate) async fn lease(store: &Store, n: u8, limit: u32) -> Vec<Leased> {
    let holder = format!("worker-{n}");
    let whose = Whose::Webhooks { except: &[], behind: None };
    let ask = LeaseAsk { lease: lease_id(n), holder: &holder, limit, whose };
    store.lease_deliveries(&ask).await.expect("leases").deliveries
}

pub(crate) fn report(leased: &Leased, attempt: u8, class: AttemptClass) -> AttemptReport {
    attempt_of((leased.message.header.message_id, leased.destination, leased.lease), attempt, class)
}

pub(crate) fn attempt_of(
    (message, destination, lease): (MessageId, DestinationId, LeaseId),
    attempt: u8,
    class: AttemptClass,
) -> AttemptReport {
    AttemptReport {
        attempt: AttemptId::from_bytes([attempt; 16]),
        message,
        destination,
        lease,
        at: NOW,
        duration: Duration::from_millis(3),
        class,
        status: (class == AttemptClass::ServerError).then_some(503),
        retry_after: None,
        detail: None,
        answer: None,
    }
}

pub(crate) async fn tell(store: &Store, attempts: &[AttemptReport]) -> Reported {
    let reports = Reports {
        by: Reporter::Worker,
        attempts,
        released: &[],
        expired: &[],
        worker: "worker",
        instance: &"one".into(),
        jitter: &[],
    };
    store.report_attempts(&reports).await.expect("reports")
}

pub(crate) async fn status(store: &Store, n: u32) -> (MessageState, u64) {
    let message = store.message(id(n)).await.expect("reads").expect("is there");
    (message.status, message.attempt_count)
}

/// Lets leases and waits grow older, as [`Fixture::pass`] does for who leads.
pub(crate) async fn pass(fixture: &Fixture, time: Duration) {
    fixture.pass(time).await;
    if let crate::fixture::Place::Server(_) = fixture.place {
        let micros = time.as_micros();
        let mut beside = fixture.beside().await;
        beside.run(&format!("UPDATE deliveries SET due_at = due_at - INTERVAL {micros} MICROSECOND")).await;
        beside
            .run(&format!("UPDATE destinations SET breaker_until = breaker_until - INTERVAL {micros} MICROSECOND"))
            .await;
    }
}

pub(crate) async fn a_delivery_is_leased_by_one_until_its_lease_ends(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    register(store, 0..30, &[hook]).await;
    let first = lease(store, 1, 20).await;
    assert_eq!((first.len(), first[0].number, first[0].lease), (20, 1, lease_id(1)));
    assert_eq!(first[0].message.sealed, message(0).sealed);
    assert_eq!(lease(store, 2, 100).await.len(), 10, "the rest");
    assert!(lease(store, 3, 100).await.is_empty());
    let ids = first.iter().map(|leased| leased.message.header.message_id).collect::<Vec<_>>();
    pass(&fixture, LEASE / 2).await;
    let mut held = ids.iter().map(|id| (hook, lease_id(1), *id)).collect::<Vec<_>>();
    assert!(store.prolong_leases(&held, None).await.expect("prolongs").is_empty());
    assert_eq!(store.held_deliveries("worker-1", &ids[..3]).await.expect("reads").len(), 3);
    pass(&fixture, LEASE * 3 / 4).await;
    assert_eq!(lease(store, 3, 100).await.len(), 10, "what was not prolonged");
    // Another's, and that of a destination that is served no more.
    held[0].1 = lease_id(2);
    assert_eq!(store.prolong_leases(&held, None).await.expect("prolongs"), held[..1]);
    for state in [DestinationState::Paused, DestinationState::Disabled] {
        store.change_destination(hook, &DestinationChange::State(state, None), "ann").await.expect("changes");
        let mut lost = store.prolong_leases(&held, None).await.expect("asks");
        lost.sort_unstable();
        held.sort_unstable();
        assert_eq!(lost, held, "{state}");
    }
}

pub(crate) async fn a_message_is_final_when_its_last_delivery_is(fixture: Fixture) {
    let store = &fixture.store;
    let (one, two) = (
        destination(store, "one", DestinationKind::Webhook).await.route.id,
        destination(store, "two", DestinationKind::Webhook).await.route.id,
    );
    register(store, 0..1, &[one, two]).await;
    let leased = lease(store, 1, 10).await;
    assert_eq!(leased.len(), 2);
    tell(store, &[report(&leased[0], 1, AttemptClass::Taken)]).await;
    assert_eq!(status(store, 0).await, (MessageState::Processing, 1));
    let last = [report(&leased[1], 2, AttemptClass::Taken)];
    tell(store, &last).await;
    assert_eq!(status(store, 0).await, (MessageState::Delivered, 2));
    tell(store, &last).await;
    assert_eq!(status(store, 0).await, (MessageState::Delivered, 2), "a repeat counts once");
    assert_eq!(store.attempts(id(0), 9).await.expect("reads").len(), 2);
    let counts = store.messages_by_status(None).await.expect("reads");
    assert!(counts.contains(&(MessageState::Delivered, 1)) && counts.contains(&(MessageState::Processing, 0)));
}

pub(crate) async fn what_is_not_taken_is_tried_again_and_given_up_in_the_end(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    register(store, 0..1, &[hook]).await;
    for (attempt, wait) in [(1, 5), (2, 30), (3, 0)] {
        let leased = lease(store, attempt, 10).await;
        assert_eq!(leased.len(), 1, "attempt {attempt}");
        assert_eq!(leased[0].number, u32::from(attempt));
        tell(store, &[report(&leased[0], attempt, AttemptClass::ServerError)]).await;
        assert!(lease(store, 9, 10).await.is_empty(), "it is not due");
        pass(&fixture, Duration::from_secs(wait + 1)).await;
    }
    assert_eq!(status(store, 0).await, (MessageState::Failed, 3));
    let last = store.attempts(id(0), 2).await.expect("reads");
    assert_eq!(last.iter().map(|attempt| attempt.attempt.as_bytes()[0]).collect::<Vec<_>>(), [2, 3]);
    let letters = store.dead_letter_page(&DeadLetterFilter::default(), None, 9).await.expect("reads");
    let found = letters.iter().map(|letter| (letter.reason.as_str(), letter.destination, letter.attempts));
    assert_eq!(found.collect::<Vec<_>>(), [("server_error", Some(hook), Some(3))]);
    assert_eq!(letters[0].last_error.as_deref(), Some("server_error 503"));
    let redriven = store.redrive_dead_letters(&[letters[0].id], &"one".into(), "ann").await.expect("redrives");
    assert_eq!((redriven.sent, status(store, 0).await), (1, (MessageState::Processing, 3)));
    assert!(store.dead_letter_page(&DeadLetterFilter::default(), None, 9).await.expect("reads").is_empty());
    let leased = lease(store, 7, 10).await;
    tell(store, &[report(&leased[0], 7, AttemptClass::Taken)]).await;
    assert_eq!(status(store, 0).await, (MessageState::Delivered, 4));
    let counts = store.messages_by_status(None).await.expect("reads");
    assert!(
        counts.contains(&(MessageState::Failed, 0)) && counts.contains(&(MessageState::Delivered, 1)),
        "{counts:?}"
    );
}

pub(crate) async fn a_report_under_a_lost_lease_counts_only_if_it_was_taken(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    register(store, 0..2, &[hook]).await;
    let frozen = lease(store, 1, 10).await;
    pass(&fixture, LEASE + Duration::from_secs(1)).await;
    let other = lease(store, 2, 10).await;
    assert_eq!(other.len(), 2);
    let of = |leased: &[Leased], n: u32| {
        leased.iter().find(|leased| leased.message.header.message_id == id(n)).expect("leased").clone()
    };
    tell(store, &[report(&of(&frozen, 0), 1, AttemptClass::Gone), report(&of(&frozen, 1), 2, AttemptClass::Taken)])
        .await;
    assert_eq!(status(store, 0).await.0, MessageState::Processing, "the lease is another's");
    assert_eq!(status(store, 1).await.0, MessageState::Delivered, "taken is taken");
    tell(store, &[report(&of(&other, 0), 3, AttemptClass::Taken), report(&of(&other, 1), 4, AttemptClass::Timeout)])
        .await;
    assert_eq!(status(store, 0).await, (MessageState::Delivered, 2));
    assert_eq!(status(store, 1).await, (MessageState::Delivered, 2), "final stays final");
}

pub(crate) async fn fresh_ones_and_repeats_keep_each_other_from_nothing(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    register(store, 0..100, &[hook]).await;
    let leased = lease(store, 1, 100).await;
    // Refusals open no breaker.
    let attempts = (0..).zip(&leased).map(|(n, leased)| report(leased, n, AttemptClass::ClientError));
    tell(store, &attempts.collect::<Vec<_>>()).await;
    pass(&fixture, Duration::from_secs(10)).await;
    register(store, 100..200, &[hook]).await;
    let leased = lease(store, 2, 40).await;
    let fresh = leased.iter().filter(|leased| leased.number == 1).count();
    assert_eq!((leased.len(), fresh), (40, 30));
}

pub(crate) async fn an_open_breaker_lets_one_delivery_see(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    register(store, 0..30, &[hook]).await;
    let leased = lease(store, 1, 10).await;
    let attempts = (0..).zip(&leased).map(|(n, leased)| report(leased, n, AttemptClass::Timeout));
    let reported = tell(store, &attempts.collect::<Vec<_>>()).await;
    assert_eq!(reported.turned.len(), 1);
    assert!(lease(store, 2, 10).await.is_empty(), "open");
    if let crate::fixture::Place::Server(_) = fixture.place {
        // A server's clock cannot be set, and the breaker's own times lie in its text.
        return;
    }
    pass(&fixture, Duration::from_secs(31)).await;
    let probe = lease(store, 3, 10).await;
    assert_eq!(probe.len(), 1);
    assert!(lease(store, 4, 10).await.is_empty(), "one at a time");
    assert_eq!(probe[0].number, 1, "a fresh one, because those that were tried may be why it is ill");
    tell(store, &[report(&probe[0], 99, AttemptClass::ServerError)]).await;
    pass(&fixture, Duration::from_secs(31)).await;
    let probe = lease(store, 4, 10).await;
    assert_eq!(probe.len(), 1, "half a minute after the one that failed");
    tell(store, &[report(&probe[0], 98, AttemptClass::ClientError)]).await;
    assert_eq!(lease(store, 5, 10).await.len(), 10, "it answers");
    let row = store.destination(hook).await.expect("reads").expect("is there");
    assert_eq!(row.breaker.state(fixture.clock.now()), BreakerState::Closed);
}

pub(crate) async fn gone_disables_and_what_waits_becomes_dead_letters(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    register(store, 0..3, &[hook]).await;
    let leased = lease(store, 1, 1).await;
    let reported = tell(store, &[report(&leased[0], 1, AttemptClass::Gone)]).await;
    assert_eq!(reported.disabled.iter().map(|(_, reason)| *reason).collect::<Vec<_>>(), ["gone"]);
    let row = store.destination(hook).await.expect("reads").expect("is there");
    assert_eq!((row.route.state, row.state_reason.as_deref()), (DestinationState::Disabled, Some("gone")));
    assert!(lease(store, 2, 10).await.is_empty());
    assert_eq!(store.bury_deliveries(&"one".into(), 100).await.expect("buries"), 2);
    assert_eq!(store.bury_deliveries(&"one".into(), 100).await.expect("buries"), 0);
    assert_eq!(status(store, 2).await, (MessageState::Failed, 0));
    let disabled = DeadLetterFilter { reason: Some("destination_disabled".into()), ..DeadLetterFilter::default() };
    let letters = store.dead_letter_page(&disabled, None, 9).await.expect("reads");
    assert_eq!(letters.len(), 2);
    let ids = letters.iter().map(|letter| letter.id).collect::<Vec<_>>();
    assert_eq!(store.redrive_dead_letters(&ids, &"one".into(), "ann").await.expect("asks").sent, 0, "it takes nothing");
    let change = DestinationChange::State(DestinationState::Enabled, None);
    store.change_destination(hook, &change, "ann").await.expect("enables").expect("is there");
    assert_eq!(store.redrive_dead_letters(&ids, &"one".into(), "ann").await.expect("redrives").sent, 2);
    assert_eq!(lease(store, 3, 10).await.len(), 2);
}

pub(crate) async fn what_is_scheduled_waits_and_what_expires_ends(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    let real = fixture.clock.now();
    let now = match fixture.place {
        crate::fixture::Place::Files(_) => real,
        crate::fixture::Place::Server(_) => mb_core::Clock::System.now(),
    };
    let at = |n: u32, deliver: Option<u64>, expire: Option<i64>| {
        let mut new = mb_store::NewMessage { status: MessageState::Queued, delivered_at: None, ..message(n) };
        new.header.deliver_at = deliver.map(|seconds| now.plus(Duration::from_secs(seconds)));
        new.header.expires_at = expire.map(|seconds| Timestamp::from_micros(now.micros() + seconds * 1_000_000));
        new
    };
    let messages = vec![at(0, Some(3600), None), at(1, None, Some(-1)), at(2, Some(3600), Some(7200))];
    register_as(store, messages, &[hook], &Begin::Waiting).await;
    let whose = Whose::Webhooks { except: &[], behind: None };
    let ask = LeaseAsk { lease: lease_id(1), holder: "worker", limit: 10, whose };
    let leasing = store.lease_deliveries(&ask).await.expect("asks");
    assert!(leasing.deliveries.is_empty(), "neither its time nor in time");
    assert_eq!(store.expire_deliveries(&"one".into(), 10).await.expect("ends"), 1);
    let next = store.lease_deliveries(&ask).await.expect("asks").next;
    assert!(matches!(next, NextDue::At { .. }), "{next:?}");
    assert_eq!(status(store, 1).await.0, MessageState::Expired);
    assert_eq!(cancel(store, 2).await, Cancelled::Done);
    assert_eq!(
        (status(store, 2).await.0, cancel(store, 2).await),
        (MessageState::Cancelled, Cancelled::Final(MessageState::Cancelled))
    );
    pass(&fixture, Duration::from_secs(3601)).await;
    assert_eq!(lease(store, 2, 10).await.len(), 1);
    assert_eq!(status(store, 0).await.0, MessageState::Processing);
    assert_eq!(cancel(store, 0).await, Cancelled::InDelivery);
    assert_eq!(cancel(store, 9).await, Cancelled::Missing);
}

async fn cancel(store: &Store, n: u32) -> Cancelled {
    store.cancel_message(id(n), None, &"one".into(), "ann").await.expect("asks")
}

pub(crate) async fn a_new_destination_gets_what_came_before(fixture: Fixture) {
    let store = &fixture.store;
    store.register(batch((0..700).map(message).collect())).await.expect("registers");
    let hook = destination(store, "hook", DestinationKind::Webhook).await;
    let mut replay =
        Replay { since: NOW, until: NOW.plus(LEASE), topics: None, message: None, dry_run: true, after: None };
    let counted = store.replay(&hook, &replay, &"one".into(), "ann").await.expect("counts");
    assert_eq!((counted.sent, counted.next.is_some()), (500, true));
    assert!(store.deliveries(id(0)).await.expect("reads").is_empty());
    replay.dry_run = false;
    let mut sent = 0;
    loop {
        let step = store.replay(&hook, &replay, &"one".into(), "ann").await.expect("replays");
        sent += step.sent;
        replay.after = step.next;
        if step.next.is_none() {
            break;
        }
    }
    assert_eq!(sent, 700);
    assert_eq!(status(store, 0).await.0, MessageState::Delivered, "where it stands does not change");
    assert_eq!(store.deliveries(id(699)).await.expect("reads")[0].state, DeliveryState::Open);
    replay.after = None;
    assert_eq!(
        store.replay(&hook, &replay, &"one".into(), "ann").await.expect("replays").sent,
        0,
        "they are on their way"
    );
}

pub(crate) async fn a_change_of_the_destinations_is_seen_by_who_registers(fixture: Fixture) {
    let store = &fixture.store;
    let before = store.destinations_version().await.expect("reads");
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route;
    let routed = |version| RegisterBatch {
        routed: Routed { version: Some(version), deliveries: Vec::new() },
        ..batch(vec![message(0)])
    };
    assert!(matches!(store.register(routed(before)).await, Err(StoreError::Superseded)));
    let (version, rows) = store.destinations().await.expect("reads");
    assert_eq!(rows.iter().map(|row| row.route.name.as_str()).collect::<Vec<_>>(), ["hook"]);
    store.register(routed(version)).await.expect("registers");
    let exists = store.insert_destination(&new_of(&rows[0]), "test").await;
    assert!(matches!(exists, Err(StoreError::Exists(_))));
    store.change_destination(hook.id, &DestinationChange::Delete, "test").await.expect("deletes").expect("was there");
    assert_eq!(store.destination(hook.id).await.expect("reads"), None);
    let again = store.insert_destination(&new_of(&rows[0]), "test").await.expect("the name is free");
    assert_ne!(again.route.id, hook.id);
    let actions = store.audit_log(None, 9).await.expect("reads").into_iter().map(|row| row.action).collect::<Vec<_>>();
    assert_eq!(actions[..3], ["destination.create", "destination.delete", "destination.create"]);
}

fn new_of(row: &DestinationRow) -> NewDestination {
    NewDestination {
        domain: row.route.domain.clone(),
        name: row.route.name.clone(),
        kind: row.route.kind,
        topics: row.route.topics.clone(),
        clients: row.route.clients.clone(),
        settings: row.settings.clone(),
        secret: row.secret.clone(),
    }
}
