//! `/api/v1/pull/{name}`: consumers fetch messages, and say what became of them. The deliveries are the same as those of
//! webhooks; a lease that ends gives a message to the next consumer.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mb_api::dto::SecretText;
use mb_api::dto::pull::{
    MAX_PULLED, Prolonged, PullRequest, PulledMessage, PulledMessages, Settle, parse_receipt, receipt,
};
use mb_api::paths;
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{
    AttemptClass, AttemptId, DestinationKind, DestinationName, FieldError, Identity, LeaseId, MessageId, Role,
};
use mb_crypto::random;
use mb_store::{AttemptReport, DestinationRow, LEASE, LeaseAsk, NextDue, Reporter, Reports, Whose};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{deliveries, store_fault};
use crate::app::App;
use crate::delivering::opened;
use crate::delivering::polls::MOST;

/// The most bytes of a request.
const MAX_BODY: usize = 256 << 10;
/// The longest wait, seconds.
const MAX_WAIT: u64 = 30;
/// What 409 means.
const NOT_HELD: &str = "Some are not leased to this consumer: nothing was done about those, the others are settled";
/// How long is waited before the store is asked again, see `deliveries`.
const LOOK: Duration = Duration::from_secs(1);

#[utoipa::path(
    post, path = paths::PULL, tag = "consuming", operation_id = "pull",
    summary = "Fetch messages",
    description = "They are the consumer's for 60 seconds, unless it prolongs that: what is neither acked nor nacked by then \
                   is fetched again by whoever asks next.",
    params(("name" = mb_api::schema::DestinationName, Path, description = "The destination, of the consumer's domain")),
    request_body = PullRequest,
    responses((status = 200, body = PulledMessages)),
    security(("certificate" = ["consumer"])),
)]
pub(crate) async fn pull(
    State(app): State<Arc<App>>,
    peer: Peer,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<PulledMessages>, ApiError> {
    let consumer = consumer(&app, &peer)?;
    let PullRequest { max, wait_seconds } = mb_runtime::body::read_json(body, MAX_BODY).await?;
    if !(1..=MAX_PULLED).contains(&max) {
        let detail = format!("max must be 1 to {MAX_PULLED}");
        return Err(ApiError::invalid(vec![FieldError::new("/max", "out_of_range", detail)]));
    }
    let destination = destination(&app, consumer, &name).await?;
    let _open = app.delivering.polls.begin(&consumer.name).ok_or_else(|| {
        ApiError::new(ProblemCode::RateLimited, format!("at most {MOST} questions of a consumer may be open at a time"))
    })?;
    let holder = holder(consumer);
    let deadline = Instant::now() + Duration::from_secs(wait_seconds.min(MAX_WAIT));
    let mut woken = app.delivering.woken();
    loop {
        woken.mark_unchanged();
        // It may have waited: who was taken out meanwhile is given nothing.
        self::consumer(&app, &peer)?;
        let whose = Whose::Pull(destination.route.id);
        let ask = LeaseAsk { lease: deliveries::new_lease(), holder: &holder, limit: max, whose };
        let leasing = app.store.lease_deliveries(&ask).await.map_err(store_fault)?;
        let data = open(&app, leasing.deliveries).await?;
        self::consumer(&app, &peer)?;
        if !data.is_empty() || Instant::now() >= deadline || app.stopping.is_cancelled() {
            return Ok(Json(PulledMessages { data }));
        }
        let until = match leasing.next {
            NextDue::Now => Instant::now(),
            NextDue::At { due, now } => Instant::now() + due.since(now).min(LOOK),
            NextDue::Never => Instant::now() + LOOK,
        };
        tokio::select! {
            () = app.stopping.cancelled() => {}
            () = tokio::time::sleep_until(until.min(deadline)) => {}
            _ = woken.changed() => {}
        }
    }
}

#[utoipa::path(
    post, path = paths::PULL_ACK, tag = "consuming", operation_id = "ack",
    summary = "Say that messages were taken",
    params(("name" = mb_api::schema::DestinationName, Path, description = "The destination, of the consumer's domain")),
    request_body = Settle,
    responses((status = 204, description = "They are delivered"), (status = 409, description = NOT_HELD)),
    security(("certificate" = ["consumer"])),
)]
pub(crate) async fn ack(
    State(app): State<Arc<App>>,
    peer: Peer,
    Path(name): Path<String>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    settle(&app, &peer, &name, body, AttemptClass::Taken).await
}

#[utoipa::path(
    post, path = paths::PULL_NACK, tag = "consuming", operation_id = "nack",
    summary = "Give messages back",
    description = "They are fetched again when the destination's schedule says so; after its end they are dead letters.",
    params(("name" = mb_api::schema::DestinationName, Path, description = "The destination, of the consumer's domain")),
    request_body = Settle,
    responses((status = 204, description = "They wait for their next attempt"), (status = 409, description = NOT_HELD)),
    security(("certificate" = ["consumer"])),
)]
pub(crate) async fn nack(
    State(app): State<Arc<App>>,
    peer: Peer,
    Path(name): Path<String>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    settle(&app, &peer, &name, body, AttemptClass::Nacked).await
}

#[utoipa::path(
    post, path = paths::PULL_PROLONG, tag = "consuming", operation_id = "prolong",
    summary = "Keep messages for longer",
    description = "They are the consumer's for 60 seconds from now. What it has lost meanwhile is named.",
    params(("name" = mb_api::schema::DestinationName, Path, description = "The destination, of the consumer's domain")),
    request_body = Settle,
    responses((status = 200, body = Prolonged)),
    security(("certificate" = ["consumer"])),
)]
pub(crate) async fn prolong(
    State(app): State<Arc<App>>,
    peer: Peer,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<Prolonged>, ApiError> {
    let consumer = consumer(&app, &peer)?;
    let destination = destination(&app, consumer, &name).await?.route.id;
    let ids = receipts(body).await?;
    self::consumer(&app, &peer)?;
    let held = ids.iter().map(|(message, lease)| (destination, *lease, *message)).collect::<Vec<_>>();
    let holder = holder(consumer);
    let lost = app.store.prolong_leases(&held, Some(&holder)).await.map_err(store_fault)?;
    let lost = lost.into_iter().map(|(_, lease, message)| receipt(message, lease)).collect();
    Ok(Json(Prolonged { leased_until: app.clock.now().plus(LEASE), lost }))
}

/// Under which name a consumer holds what it has.
fn holder(consumer: &Identity) -> String {
    format!("consumer:{}", consumer.name)
}

fn consumer<'a>(app: &App, peer: &'a Peer) -> Result<&'a Identity, ApiError> {
    peer.authorize(&app.policy.current(), &[Role::Consumer], app.clock.now()).map(|identity| &**identity)
}

/// The destination of that name in the consumer's own domain; others are not there for it.
async fn destination(app: &App, consumer: &Identity, name: &str) -> Result<DestinationRow, ApiError> {
    let (Some(domain), Some(name)) = (&consumer.domain, DestinationName::parse(name)) else {
        return Err(ApiError::not_found());
    };
    let row = app.store.destination_named(domain, &name).await.map_err(store_fault)?;
    row.filter(|row| row.route.kind == DestinationKind::Pull).ok_or_else(ApiError::not_found)
}

async fn open(app: &App, leased: Vec<mb_store::Leased>) -> Result<Vec<PulledMessage>, ApiError> {
    let leased_until = app.clock.now().plus(LEASE);
    let opened = opened::payloads(app, leased).await?.into_iter();
    let message = |(delivery, text): (mb_store::Leased, SecretText)| {
        let message = RawValue::from_string(text.secret().expose().clone()).map_err(ApiError::internal)?;
        let id = receipt(delivery.message.header.message_id, delivery.lease);
        Ok(PulledMessage { id, leased_until, attempt: delivery.number, message })
    };
    opened.map(message).collect()
}

/// What was fetched, by the ids of a body.
async fn receipts(body: Body) -> Result<Vec<(MessageId, LeaseId)>, ApiError> {
    let Settle { ids } = mb_runtime::body::read_json(body, MAX_BODY).await?;
    if ids.len() > MAX_PULLED as usize {
        return Err(ApiError::new(ProblemCode::TooManyItems, format!("at most {MAX_PULLED} ids at a time")));
    }
    let read = |(at, id): (usize, &String)| {
        let invalid = || FieldError::new(format!("/ids/{at}"), "invalid_id", "an id must be one that was fetched");
        parse_receipt(id).ok_or_else(|| ApiError::invalid(vec![invalid()]))
    };
    ids.iter().enumerate().map(read).collect()
}

async fn settle(app: &App, peer: &Peer, name: &str, body: Body, class: AttemptClass) -> Result<StatusCode, ApiError> {
    let consumer = consumer(app, peer)?;
    let ids = receipts(body).await?;
    self::consumer(app, peer)?;
    let destination = destination(app, consumer, name).await?.route.id;
    let now = app.clock.now();
    let mut attempts = Vec::with_capacity(ids.len());
    let attempt = |lease: LeaseId| {
        // The same for every repeat: one lease of a message is acked once, and nacked once.
        let mut bytes = *lease.as_bytes();
        bytes[0] ^= u8::from(class == AttemptClass::Taken);
        AttemptId::from_bytes(bytes)
    };
    for (message, lease) in ids.iter().copied() {
        attempts.push(AttemptReport {
            attempt: attempt(lease),
            message,
            destination,
            lease,
            at: now,
            duration: Duration::ZERO,
            class,
            status: None,
            retry_after: None,
            detail: None,
            answer: None,
        });
    }
    let worker = format!("consumer:{}", consumer.name);
    let jitter = vec![f64::from(random::public_array::<1>()[0]) / 255.0; attempts.len()];
    let reports = Reports {
        by: Reporter::Consumer,
        attempts: &attempts,
        released: &[],
        expired: &[],
        worker: &worker,
        instance: &app.instance,
        jitter: &jitter,
    };
    let reported = app.store.report_attempts(&reports).await.map_err(store_fault)?;
    deliveries::take_in(app, &reported).await?;
    match &reported.refused[..] {
        [] => Ok(StatusCode::NO_CONTENT),
        [first, ..] => {
            let (count, all) = (reported.refused.len(), ids.len());
            let detail =
                format!("{count} of {all} messages are not leased to this consumer any more, or never were: {first}");
            Err(ApiError::new(ProblemCode::Conflict, detail))
        }
    }
}
