//! Why a message is where it is: its deliveries in words, and every attempt.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use mb_api::dto::{AttemptOutcome, AttemptRow, DeliveryRow, SecretText};
use mb_api::problem::ApiError;
use mb_core::delivery::{BreakerState, Outcome};
use mb_core::{DeliveryState, DestinationKind, DestinationState, MessageId, Timestamp};
use mb_crypto::sealed_value::{self, Purpose};
use mb_store::{MessageStatus, StoredAttempt};

use crate::app::App;
use crate::opening::{self, About};
use crate::routes::store_fault;

/// Attempts that are shown, the newest of all.
const ATTEMPTS: u32 = 500;

pub(super) async fn deliveries(app: &App, message: MessageId) -> Result<Vec<DeliveryRow>, ApiError> {
    let now = app.clock.now();
    let mut rows = Vec::new();
    for delivery in app.store.deliveries(message).await.map_err(store_fault)? {
        let destination = app.store.destination(delivery.destination).await.map_err(store_fault)?;
        let route = destination.as_ref().map(|row| &row.route);
        let breaker = destination.as_ref().map(|row| row.breaker.state(now));
        let leased = delivery.leased_by.is_some() && delivery.due_at.is_some_and(|until| until > now);
        let explanation = explain(&delivery, destination.as_ref(), leased, now);
        let next_attempt_at = destination.as_ref().and_then(|row| next(&delivery, row)).filter(|_| !leased);
        rows.push(DeliveryRow {
            destination: delivery.destination,
            name: route.map(|route| route.name.clone()),
            state: delivery.state,
            attempts: delivery.attempts,
            explanation,
            next_attempt_at,
            lease_holder: delivery.leased_by.filter(|_| leased),
            leased_until: delivery.due_at.filter(|_| leased),
            destination_state: route.map(|route| route.state),
            breaker,
            last_error: delivery.last_error,
            created_at: delivery.created_at,
            finished_at: delivery.finished_at,
        });
    }
    Ok(rows)
}

/// When it may be tried next: not before the breaker lets anything pass, and at no time that is known while nothing is sent.
fn next(delivery: &mb_store::DeliveryRow, destination: &mb_store::DestinationRow) -> Option<Timestamp> {
    let due = delivery.due_at.filter(|_| destination.route.state == DestinationState::Enabled)?;
    Some(destination.breaker.open_until().map_or(due, |until| due.max(until)))
}

fn explain(
    delivery: &mb_store::DeliveryRow,
    destination: Option<&mb_store::DestinationRow>,
    leased: bool,
    now: Timestamp,
) -> String {
    match delivery.state {
        DeliveryState::Delivered => return "the destination has taken it".to_owned(),
        DeliveryState::Dead => return "it was given up: there is a dead letter".to_owned(),
        DeliveryState::Expired => return "it was not taken in time".to_owned(),
        DeliveryState::Cancelled => return "the message was withdrawn".to_owned(),
        DeliveryState::Open => {}
    }
    let Some(row) = destination else { return "the destination was deleted: it is about to be given up".to_owned() };
    let breaker = row.breaker.state(now);
    match (row.route.state, breaker) {
        _ if leased => "somebody works on it".to_owned(),
        (DestinationState::Disabled, _) => "the destination is disabled: it is about to be given up".to_owned(),
        (DestinationState::Paused, _) => "the destination is paused".to_owned(),
        (DestinationState::Enabled, BreakerState::Open) => {
            "the destination's circuit breaker is open after failures".to_owned()
        }
        _ if delivery.due_at.is_some_and(|due| due > now) && delivery.attempts > 0 => {
            "it waits for its next attempt".to_owned()
        }
        _ if delivery.due_at.is_some_and(|due| due > now) => "it waits for its time".to_owned(),
        (DestinationState::Enabled, _) if row.route.kind == DestinationKind::Pull => {
            "it waits for a consumer to fetch it".to_owned()
        }
        (DestinationState::Enabled, _) => "it waits for its turn".to_owned(),
    }
}

/// The newest attempts in the order in which they were made, each with its number among all.
pub(super) async fn attempts(app: &App, message: &MessageStatus) -> Result<Vec<AttemptRow>, ApiError> {
    let attempts = app.store.attempts(message.message_id, ATTEMPTS).await.map_err(store_fault)?;
    rows(app, message, &attempts).await
}

async fn rows(app: &App, message: &MessageStatus, attempts: &[StoredAttempt]) -> Result<Vec<AttemptRow>, ApiError> {
    let before = message.attempt_count.saturating_sub(attempts.len() as u64);
    let mut names = BTreeMap::new();
    let mut rows = Vec::with_capacity(attempts.len());
    for (number, attempt) in (before + 1..).zip(attempts) {
        if let Entry::Vacant(vacant) = names.entry(attempt.destination) {
            let row = app.store.destination_ever(attempt.destination).await.map_err(store_fault)?;
            vacant.insert(row.map_or_else(|| attempt.destination.to_string(), |row| row.route.name.to_string()));
        }
        rows.push(AttemptRow {
            id: number,
            destination: names[&attempt.destination].clone(),
            at: attempt.at,
            duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
            outcome: match attempt.class.outcome() {
                Outcome::Delivered => AttemptOutcome::Delivered,
                Outcome::Retry => AttemptOutcome::Retry,
                Outcome::Reject => AttemptOutcome::Reject,
            },
            class: attempt.class,
            status: attempt.status,
            worker: attempt.worker.clone(),
            detail: attempt.detail.clone(),
            answer: None,
        });
    }
    Ok(rows)
}

/// The same with what receivers answered, for whoever may open the message. What does not open is said, and told like a
/// message that does not.
pub(super) async fn opened_attempts(
    app: &App,
    message: &MessageStatus,
    about: About<'_>,
) -> Result<Vec<AttemptRow>, ApiError> {
    let attempts = app.store.attempts(message.message_id, ATTEMPTS).await.map_err(store_fault)?;
    let (mut rows, mut broken) = (rows(app, message, &attempts).await?, false);
    for (row, attempt) in rows.iter_mut().zip(attempts) {
        let Some(sealed) = attempt.answer else { continue };
        let opened = sealed_value::open(&app.master, Purpose::AttemptAnswer, &attempt.attempt.to_string(), &sealed);
        if let Ok(bytes) = opened {
            row.answer = Some(SecretText::new(String::from_utf8_lossy(&bytes).into_owned()));
        } else {
            broken = true;
            let said = row.detail.take().map(|said| format!("{said}; ")).unwrap_or_default();
            row.detail = Some(format!("{said}what was answered does not open: it is not what was kept"));
        }
    }
    if broken {
        opening::report_answer(app, about).await;
    }
    Ok(rows)
}
