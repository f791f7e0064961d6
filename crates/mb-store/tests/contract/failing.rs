//! Destinations that fail for long, what all main servers know of it, and what is given up.

use std::time::Duration;

use mb_core::delivery::DISABLE_AFTER;
use mb_core::{AttemptClass, DestinationKind, DestinationState, MessageState};
use mb_store::{Begin, DeadLetterFilter, DestinationChange, LeaseAsk, Leasing, NewMessage, NextDue, Whose};

use crate::delivering::{destination, lease, lease_id, pass, register, register_as, report, tell};
use crate::fixture::{Fixture, Place, dead, dead_letter, id, message};

pub(crate) async fn five_days_of_failure_disable_a_destination(fixture: Fixture) {
    let store = &fixture.store;
    if let Place::Server(_) = fixture.place {
        // A server's clock cannot be set, and the breaker's own times lie in its text.
        return;
    }
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    let fail = async |n: u8| {
        register(store, u32::from(n)..u32::from(n) + 1, &[hook]).await;
        let leased = lease(store, n, 10).await;
        let fresh = leased.iter().find(|leased| leased.number == 1).expect("the new one");
        tell(store, &[report(fresh, n, AttemptClass::ClientError)]).await
    };
    assert!(fail(1).await.disabled.is_empty());
    pass(&fixture, DISABLE_AFTER.saturating_sub(Duration::from_secs(1))).await;
    assert!(fail(2).await.disabled.is_empty(), "not yet");
    pass(&fixture, Duration::from_secs(1)).await;
    let disabled = fail(3).await.disabled;
    assert_eq!(disabled.iter().map(|(row, why)| (row.route.id, *why)).collect::<Vec<_>>(), [(hook, "failing")]);
    let row = store.destination(hook).await.expect("reads").expect("is there");
    assert_eq!((row.route.state, row.state_reason.as_deref()), (DestinationState::Disabled, Some("failing")));
}

pub(crate) async fn a_breaker_is_one_for_all_servers(fixture: Fixture) {
    let store = &fixture.store;
    let other = fixture.second().await;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    register(store, 0..30, &[hook]).await;
    let (here, there) = (lease(store, 1, 5).await, lease(&other, 2, 5).await);
    let timeouts = |leased: &[mb_store::Leased], first: u8| {
        (first..).zip(leased).map(|(n, leased)| report(leased, n, AttemptClass::Timeout)).collect::<Vec<_>>()
    };
    assert!(tell(store, &timeouts(&here, 1)).await.turned.is_empty(), "five are not enough");
    assert_eq!(tell(&other, &timeouts(&there, 11)).await.turned.len(), 1, "ten are, whoever made them");
    assert!(lease(store, 3, 10).await.is_empty(), "open for the one that has seen five");
    assert!(lease(&other, 4, 10).await.is_empty());
    other.close().await;
}

pub(crate) async fn what_is_given_up_at_once_says_when_and_why(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    let as_state = |n, status| NewMessage { status, delivered_at: None, ..message(n) };
    let messages = vec![as_state(0, MessageState::Failed), as_state(1, MessageState::Processing)];
    register_as(store, messages, &[hook], &Begin::Dead("destination_disabled")).await;
    let failed = store.message(id(0)).await.expect("reads").expect("is there");
    assert!(failed.failed_at.is_some());
    assert_eq!(failed.last_error.as_deref(), Some("destination_disabled"));
    // Another destination may still take this one.
    let open = store.message(id(1)).await.expect("reads").expect("is there");
    assert_eq!((open.failed_at, open.last_error.as_deref()), (None, Some("destination_disabled")));
}

pub(crate) async fn dead_letters_count_while_they_lie_there(fixture: Fixture) {
    let store = &fixture.store;
    store.register(dead(vec![dead_letter(1, "one"), dead_letter(2, "two")])).await.expect("registers");
    assert_eq!(store.open_dead_letters().await.expect("counts"), 2);
    let letters = store.dead_letter_page(&DeadLetterFilter::default(), None, 1).await.expect("reads");
    store.purge_dead_letters(&[letters[0].id], "dead_letter.purge", "ann").await.expect("purges");
    assert_eq!(store.open_dead_letters().await.expect("counts"), 1);
}

pub(crate) async fn figures_show_what_is_due_and_for_how_long(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    let paused = destination(store, "paused", DestinationKind::Webhook).await.route.id;
    destination(store, "inbox", DestinationKind::Pull).await;
    let change = DestinationChange::State(DestinationState::Paused, None);
    store.change_destination(paused, &change, "ann").await.expect("pauses");
    register(store, 0..10, &[hook, paused]).await;
    pass(&fixture, Duration::from_mins(10)).await;
    let figures = store.destination_figures().await.expect("reads");
    assert_eq!((figures.of(DestinationState::Enabled), figures.of(DestinationState::Paused)), (2, 1));
    let late = figures.overdue(DestinationKind::Webhook);
    assert!((600..660).contains(&late.as_secs()), "{late:?}");
    assert_eq!((figures.overdue(DestinationKind::Pull), figures.breakers_open), (Duration::ZERO, 0));
    let leased = lease(store, 1, 10).await;
    assert_eq!(store.destination_figures().await.expect("reads").overdue(DestinationKind::Webhook), Duration::ZERO);
    let timeouts = (0..).zip(&leased).map(|(n, leased)| report(leased, n, AttemptClass::Timeout));
    tell(store, &timeouts.collect::<Vec<_>>()).await;
    assert_eq!(store.destination_figures().await.expect("reads").breakers_open, 1);
}

pub(crate) async fn lanes_show_what_waits_as_far_as_it_is_worth_counting(fixture: Fixture) {
    let store = &fixture.store;
    let (first, second) = (
        destination(store, "first", DestinationKind::Webhook).await.route.id,
        destination(store, "second", DestinationKind::Pull).await.route.id,
    );
    destination(store, "idle", DestinationKind::Webhook).await;
    register(store, 0..5, &[first]).await;
    register(store, 5..1011, &[second]).await;
    let leased = lease(store, 1, 2).await;
    tell(store, &[report(&leased[0], 1, AttemptClass::Timeout)]).await;
    let lanes = store.destination_lanes().await.expect("reads");
    let counted = lanes.iter().map(|lanes| {
        let count = |lane: mb_store::Lane| (lane.waiting, lane.leased);
        (lanes.name.as_str(), count(lanes.fresh), count(lanes.tried))
    });
    let mut counted = counted.collect::<Vec<_>>();
    counted.sort_unstable();
    assert_eq!(counted, [("first", (4, 1), (1, 0)), ("second", (1000, 0), (0, 0))]);
}

pub(crate) async fn an_answer_carries_no_more_than_fits(fixture: Fixture) {
    let store = &fixture.store;
    let hook = destination(store, "hook", DestinationKind::Webhook).await.route.id;
    let heavy = |n, bytes: usize| NewMessage {
        status: MessageState::Processing,
        delivered_at: None,
        sealed: vec![7; bytes].into(),
        ..message(n)
    };
    let messages = (0..6).map(|n| heavy(n, 1 << 20)).chain([heavy(6, 5 << 20)]);
    register_as(store, messages.collect(), &[hook], &Begin::Waiting).await;
    let mut carried = Vec::new();
    for round in 1..=9 {
        let whose = Whose::Webhooks { except: &[], behind: None };
        let ask = LeaseAsk { lease: lease_id(round), holder: "w", limit: 100, whose };
        let Leasing { deliveries, next, .. } = store.lease_deliveries(&ask).await.expect("leases");
        let bytes = deliveries.iter().map(|leased| leased.message.sealed.len()).sum::<usize>();
        if deliveries.is_empty() {
            break;
        }
        assert!(bytes <= 4 << 20 || deliveries.len() == 1, "{bytes} bytes of {}", deliveries.len());
        carried.extend(deliveries.into_iter().map(|leased| leased.message.header.message_id));
        assert!(carried.len() == 7 || matches!(next, NextDue::Now), "what did not fit is free at once");
    }
    carried.sort_unstable();
    assert_eq!(carried, (0..7).map(id).collect::<Vec<_>>());
}
