//! What is done to a destination: it is enabled, paused, disabled, tried, given another secret.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mb_api::dto::delivery::Probe;
use mb_api::dto::{DestinationRow, DestinationTest, RotatedSecret, SecretText, SetDestinationState};
use mb_api::paths;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{AttemptId, DestinationKind, DestinationState, NoticeKind, Timestamp};
use mb_crypto::random;
use mb_crypto::webhook::WebhookSecret;
use mb_store::{DestinationChange, NoticeKey};
use serde_json::json;

use super::{MAX_BODY, number, present};
use crate::app::App;
use crate::caller::Caller;
use crate::delivering::{self, probes};
use crate::policy::FOLLOWS;
use crate::routes::store_fault;

/// How long the secret before is used, too.
const OVERLAP: Duration = Duration::from_hours(24);
/// How long a worker and the receiver together may take over a trial.
const TRIAL: Duration = Duration::from_secs(25);

#[utoipa::path(
    put, path = paths::DESTINATION_STATE, tag = "destinations", operation_id = "set_destination_state",
    summary = "Enable, pause or disable a destination",
    description = "What a paused one should take waits; what a disabled one should take becomes dead letters. Enabling \
                   forgets how it fared.",
    params(("id" = mb_api::schema::DestinationId, Path, description = "The destination")),
    request_body = SetDestinationState,
    responses((status = 200, body = DestinationRow)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn set_state(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<DestinationRow>, ApiError> {
    let actor = caller.admin()?;
    let SetDestinationState { state } = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let change = DestinationChange::State(state, None);
    let row = app.store.change_destination(number(&id)?, &change, actor.as_str()).await.map_err(store_fault)?;
    let row = row.ok_or_else(ApiError::not_found)?;
    app.delivering.announce(&app.store).await.map_err(store_fault)?;
    if state == DestinationState::Enabled {
        let key = format!("{}/{}", row.route.domain, row.route.name);
        let notice = NoticeKey::About(NoticeKind::DestinationDisabled, &key);
        app.store.resolve_notice(notice, actor.as_str()).await.map_err(store_fault)?;
    }
    Ok(Json(present(row, app.clock.now())))
}

#[utoipa::path(
    post, path = paths::DESTINATION_SECRET, tag = "destinations", operation_id = "rotate_destination_secret",
    summary = "Give a destination another secret",
    description = "For 24 hours messages are signed with the one before, too. The new one is shown this once.",
    params(("id" = mb_api::schema::DestinationId, Path, description = "The destination")),
    responses(
        (status = 200, body = RotatedSecret),
        (status = 409, description = "One that pulls has no secret; or two secrets before this one are still good"),
    ),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn rotate_secret(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<RotatedSecret>, ApiError> {
    let actor = caller.admin()?;
    let id = number(&id)?;
    let row = app.store.destination(id).await.map_err(store_fault)?.ok_or_else(ApiError::not_found)?;
    let route = webhook(&row)?;
    let now = app.clock.now();
    let is_good = |secret: &Option<(Vec<u8>, Timestamp)>| secret.as_ref().is_some_and(|(_, until)| *until > now);
    if is_good(&row.previous_secret) && is_good(&row.older_secret) {
        let detail = "two secrets before this one are still good: rotate again when the older one is not";
        return Err(ApiError::new(ProblemCode::Conflict, detail));
    }
    let secret = WebhookSecret::generate();
    let sealed = delivering::seal_secret(&app.master, &route.domain, &route.name, secret.text());
    let overlap_until = now.plus(OVERLAP);
    let change = DestinationChange::Secret(sealed.map_err(ApiError::internal)?, overlap_until);
    let changed = app.store.change_destination(id, &change, actor.as_str()).await.map_err(store_fault)?;
    changed.ok_or_else(ApiError::not_found)?;
    app.delivering.announce(&app.store).await.map_err(store_fault)?;
    Ok(Json(RotatedSecret { secret: SecretText::new(secret.text().expose().clone()), overlap_until }))
}

#[utoipa::path(
    post, path = paths::DESTINATION_TEST, tag = "destinations", operation_id = "test_destination",
    summary = "Send a trial to a destination",
    description = "A worker sends a signed message of no consequence, whatever the state of the destination, and the \
                   whole exchange is shown.",
    params(("id" = mb_api::schema::DestinationId, Path, description = "The destination")),
    responses((status = 200, body = DestinationTest), (status = 409, description = "One that pulls is not sent to")),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn test(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<DestinationTest>, ApiError> {
    let actor = caller.admin()?;
    let row = app.store.destination(number(&id)?).await.map_err(store_fault)?.ok_or_else(ApiError::not_found)?;
    let route = webhook(&row)?;
    if !app.store.has_workers(FOLLOWS).await.map_err(store_fault)? {
        let detail = "no worker is running, and a trial is made by one: start it, then ask again";
        return Err(ApiError::new(ProblemCode::Unavailable, detail));
    }
    let probe = AttemptId::from_bytes(random::public_array());
    let webhook_id = format!("test-{probe}");
    let request_body = json!({
        "message_id": webhook_id, "domain": route.domain, "topic": "test", "message_body": "This is a trial.",
        "queued_at": app.clock.now(),
    })
    .to_string();
    let asked = Probe { id: probe, webhook_id, destination: route.id, payload: request_body.clone() };
    let about = json!({ "domain": route.domain, "name": route.name });
    let object = route.id.to_string();
    app.store.audit(actor.as_str(), "destination.test", &object, about).await.map_err(store_fault)?;
    match probes::make(&app, &asked, TRIAL).await? {
        Some(report) => {
            let mut exchange = report.exchange;
            exchange.answer = exchange
                .answer
                .map(|answer| String::from_utf8_lossy(&STANDARD.decode(answer).unwrap_or_default()).into_owned());
            Ok(Json(DestinationTest {
                peer: report.peer,
                request_headers: report.request_headers,
                request_body,
                response_headers: report.response_headers,
                exchange,
            }))
        }
        None => Err(ApiError::new(ProblemCode::Unavailable, "no worker has made the trial in time")),
    }
}

fn webhook(row: &mb_store::DestinationRow) -> Result<&mb_core::Destination, ApiError> {
    if row.route.kind == DestinationKind::Webhook {
        Ok(&row.route)
    } else {
        Err(ApiError::new(ProblemCode::Conflict, "nothing is sent to a destination that pulls"))
    }
}
