//! `POST /internal/messages/register`: one batch, one transaction, an answer per envelope.
//!
//! A request fails as a whole only for passing reasons. Whatever is wrong with one envelope is said of that envelope
//! alone: it is refused (not genuine, nothing stored) or becomes a dead letter (genuine, cannot be a message).

pub(super) mod taking;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use mb_api::dto::delivery::{LeasedDeliveries, RegisterQuery};
use mb_api::dto::{Epoch, RegisterAnswer, RegisterResult};
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::{Query, paths};
use mb_core::Role;
use mb_core::envelope::Envelope;
use mb_core::handover::Batch;
use mb_store::{ExistingMessage, NewDeadLetter, RegisterBatch, Registered, Routed, StoreError};
use tokio::time::Instant;

use super::store_fault;
use crate::actor;
use crate::app::App;
use crate::contents::{self, Admitted, Examination, Examined};
use crate::opening;
use taking::Taking;

/// The most bytes of one request.
const MAX_BODY: usize = 32 << 20;
/// How often a batch is routed anew because the destinations changed meanwhile.
const ROUTINGS: u32 = 5;

#[utoipa::path(
    post, path = paths::REGISTER, tag = "internal", operation_id = "register",
    summary = "Hand over a batch of envelopes",
    description = "The body is a hand-over batch in its binary form. A worker that delivers takes along what it has room for.",
    params(RegisterQuery),
    request_body(content = Vec<u8>, content_type = mb_core::handover::MEDIA_TYPE),
    responses((status = 200, body = RegisterAnswer)),
    security(("certificate" = ["worker"])),
)]
pub(crate) async fn register(
    State(app): State<Arc<App>>,
    peer: Peer,
    Query(query): Query<RegisterQuery>,
    body: Body,
) -> Result<Response, ApiError> {
    actor::require(&app, &peer, &[Role::Worker])?;
    let body = mb_runtime::body::read_body(body, MAX_BODY).await?;
    let batch = Batch::parse(&body)
        .ok_or_else(|| ApiError::new(ProblemCode::MalformedRequest, "the body is not a hand-over batch"))?;
    let mut attempt = 1;
    loop {
        let examination = contents::examine(&app, &batch, &body).await.map_err(store_fault)?;
        match store(&app, examination, &batch, &body, Taking::new(&query)).await {
            // The destinations changed since they were read: what they decided is decided anew.
            Err(Fault::Superseded) if attempt < ROUTINGS => {
                attempt += 1;
                app.delivering.refresh(&app.store).await.map_err(store_fault)?;
            }
            Err(Fault::Superseded) => return Err(ApiError::unavailable(StoreError::Superseded)),
            Err(Fault::Api(error)) => return Err(error),
            Ok(answer) => {
                // It holds messages: who was taken out meanwhile is given none.
                actor::require(&app, &peer, &[Role::Worker])?;
                return Ok(axum::Json(answer).into_response());
            }
        }
    }
}

/// Why a batch was not stored.
enum Fault {
    Superseded,
    Api(ApiError),
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

fn fault(error: StoreError) -> Fault {
    if matches!(error, StoreError::Superseded) { Fault::Superseded } else { Fault::Api(store_fault(error)) }
}

async fn store(
    app: &App,
    examination: Examination,
    batch: &Batch<'_>,
    body: &Bytes,
    mut taking: Taking<'_>,
) -> Result<RegisterAnswer, Fault> {
    let keys = examination.key_rows();
    let Examination { items, new_keys, version } = examination;
    let mut results = Vec::with_capacity(items.len());
    let (mut messages, mut dead_letters) = (Vec::with_capacity(items.len()), Vec::new());
    let (mut positions, mut letter_positions) = (Vec::with_capacity(items.len()), Vec::new());
    for (position, item) in items.into_iter().enumerate() {
        results.push(match item {
            Examined::Refused(code) => RegisterResult::Refused(code.into()),
            Examined::DeadLetter(letter) => {
                let reason = letter.reason.clone();
                dead_letters.push(*letter);
                letter_positions.push(position);
                RegisterResult::Quarantined(reason.into())
            }
            Examined::Message(admitted) => {
                let Admitted { message, to, payload } = *admitted;
                taking.route(messages.len(), &message.header, &to, payload.as_ref());
                messages.push(message);
                positions.push(position);
                RegisterResult::Stored
            }
        });
    }
    let mut leased = LeasedDeliveries::default();
    let epoch = if messages.is_empty() && dead_letters.is_empty() {
        app.store.epoch().await.map_err(fault)?
    } else {
        let routed = Routed { version: Some(version), deliveries: std::mem::take(&mut taking.deliveries) };
        let request = RegisterBatch { keys, messages, dead_letters, routed, instance: app.instance.clone() };
        let begun = Instant::now();
        let registered = app.store.register(request).await;
        app.metrics.register_seconds.observe_duration(begun.elapsed());
        let registered = registered.map_err(fault)?;
        for (_, key) in &new_keys {
            key.mark_stored();
        }
        leased = taking.taken(app, &registered.messages).await?;
        positions.append(&mut letter_positions);
        let outcomes = positions.into_iter().zip(registered.messages.into_iter().chain(registered.dead_letters));
        let conflicts = compare_repeats(app, batch, body, outcomes, &mut results).await?;
        if !conflicts.is_empty() {
            let request = RegisterBatch {
                keys: Vec::new(),
                messages: Vec::new(),
                dead_letters: conflicts,
                routed: Routed::default(),
                instance: app.instance.clone(),
            };
            app.store.register(request).await.map_err(fault)?;
        }
        // Of two epochs the older one claims less: a proxy that then sees the newer one offers everything again.
        registered.epoch
    };
    app.metrics.registered(&results);
    Ok(RegisterAnswer { epoch: Epoch::from_bytes(epoch), results, leased })
}

/// Ids that the store already holds: a repeat of the same message is a duplicate; another message under the same
/// idempotency key is quarantined, the first one stands.
async fn compare_repeats(
    app: &App,
    batch: &Batch<'_>,
    body: &Bytes,
    outcomes: impl Iterator<Item = (usize, Registered)>,
    results: &mut [RegisterResult],
) -> Result<Vec<NewDeadLetter>, ApiError> {
    let mut conflicts = Vec::new();
    for (position, outcome) in outcomes {
        if outcome == Registered::Stored {
            continue;
        }
        results[position] = RegisterResult::Duplicate;
        let Registered::Duplicate(existing) = outcome else { continue };
        // The content of this one was removed: what comes under its id stays out.
        if existing.sealed.is_empty() {
            continue;
        }
        let raw = body.slice_ref(batch.envelopes[position]);
        let Ok(envelope) = Envelope::parse(&raw) else { continue };
        // Ids made by a proxy are random: the same id is the same envelope. Only an id from an idempotency key can
        // stand for two contents.
        if envelope.header.message_id.version() != 8 || same_message(app, &envelope, &existing).await? {
            continue;
        }
        results[position] = RegisterResult::Quarantined(NewDeadLetter::CONFLICT.into());
        conflicts.push(NewDeadLetter {
            message_id: envelope.header.message_id,
            reason: NewDeadLetter::CONFLICT.to_owned(),
            envelope: raw.clone(),
            header: Some(envelope.header),
            created_at: app.clock.now(),
        });
    }
    Ok(conflicts)
}

async fn same_message(app: &App, new: &Envelope<'_>, existing: &ExistingMessage) -> Result<bool, ApiError> {
    if existing.sealed.as_ref() == new.sealed {
        return Ok(true);
    }
    if existing.header.topic != new.header.topic || existing.header.client != new.header.client {
        return Ok(false);
    }
    let key = |id| async move { opening::key(app, id).await.map_err(store_fault) };
    let (Ok(new_key), Ok(old_key)) = (key(new.header.key_id).await?, key(existing.header.key_id).await?) else {
        return Ok(false);
    };
    let mut header = Vec::with_capacity(256);
    existing.header.encode(&mut header);
    let (Ok(new), Ok(old)) = (new_key.key.open(new), old_key.key.open_parts(&header, &existing.sealed)) else {
        return Ok(false);
    };
    Ok(new.as_slice() == old.as_slice())
}
