//! What is done about a message: it is tried now, withdrawn, sent again, or its content removed.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mb_api::cursor::{Cursor, List};
use mb_api::dto::{CancelRequest, ReplayMessages, Replayed, Retried};
use mb_api::paths;
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{ClientName, DestinationId, MessageId, Role};
use mb_store::{Cancelled, Replay, Retry};

use super::{row_id, store_fault};
use crate::actor;
use crate::app::App;
use crate::caller::Caller;

/// The most bytes of a request.
const MAX_BODY: usize = 16 << 10;

#[utoipa::path(
    post, path = paths::MESSAGE_RETRY, tag = "messages", operation_id = "retry_message",
    summary = "Have a message tried now",
    description = "What waits for a later time, and what had been given up, unless the message has expired.",
    params(("id" = mb_api::schema::MessageId, Path, description = "The message")),
    responses((status = 200, body = Retried), (status = 409, description = "It has expired")),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn retry(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Retried>, ApiError> {
    let actor = caller.admin()?;
    let retried = app.store.retry_message(message(&id)?, &app.instance, actor.as_str()).await.map_err(store_fault)?;
    match retried {
        Retry::Done(mb_store::Retried { hastened, redriven }) => {
            app.delivering.wake();
            Ok(Json(Retried { hastened, redriven }))
        }
        Retry::Missing => Err(ApiError::not_found()),
        Retry::Expired(at) => {
            let detail = format!("the message was to be delivered by {at}: it has expired");
            Err(ApiError::new(ProblemCode::Conflict, detail))
        }
    }
}

#[utoipa::path(
    post, path = paths::MESSAGE_CANCEL, tag = "messages", operation_id = "cancel_message",
    summary = "Withdraw a message",
    params(("id" = mb_api::schema::MessageId, Path, description = "The message")),
    responses(
        (status = 204, description = "It is withdrawn"),
        (status = 409, description = "It is final, or in delivery"),
    ),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let actor = caller.admin()?;
    withdraw(&app, message(&id)?, None, actor.as_str()).await
}

#[utoipa::path(
    post, path = paths::CANCEL, tag = "internal", operation_id = "cancel_for",
    summary = "Withdraw a client's message",
    request_body = CancelRequest,
    responses(
        (status = 204, description = "It is withdrawn"),
        (status = 404, description = "The client has no such message here"),
        (status = 409, description = "It is final, or in delivery"),
    ),
    security(("certificate" = ["proxy"])),
)]
pub(crate) async fn cancel_for(State(app): State<Arc<App>>, peer: Peer, body: Body) -> Result<StatusCode, ApiError> {
    actor::require(&app, &peer, &[Role::Proxy])?;
    let CancelRequest { client_id, message_id } = mb_runtime::body::read_json(body, MAX_BODY).await?;
    withdraw(&app, message_id, Some(&client_id), &format!("client:{client_id}")).await
}

#[utoipa::path(
    post, path = paths::MESSAGE_EXPUNGE, tag = "messages", operation_id = "expunge_message",
    summary = "Remove a message's content",
    description = "Body, number and answers are gone from the store for good; what waits is withdrawn. For as long as any \
                   copy can be on its way the store and all proxies remember it, so that none comes in again, not even \
                   after a restore. Journals and backups hold ciphertext and age out.",
    params(("id" = mb_api::schema::MessageId, Path, description = "The message")),
    responses((status = 204, description = "It is removed")),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn expunge(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let actor = caller.admin()?;
    let found = app.store.expunge_message(message(&id)?, &app.instance, actor.as_str()).await.map_err(store_fault)?;
    if !found {
        return Err(ApiError::not_found());
    }
    app.delivering.announce(&app.store).await.map_err(store_fault)?;
    super::announce(&app).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(
    post, path = paths::DESTINATION_REPLAY, tag = "destinations", operation_id = "replay_messages",
    summary = "Send messages again to a destination",
    description = "Those of a time that the destination takes and that were delivered or given up, whether it had them or \
                   not. One that it had given up is under way again; where others stand does not change by it. What was withdrawn or has expired is not sent, and what is \
                   to be delivered later waits. In steps: `next` says where to go on.",
    params(("id" = mb_api::schema::DestinationId, Path, description = "The destination")),
    request_body = ReplayMessages,
    responses((status = 200, body = Replayed)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Replayed>, ApiError> {
    let actor = caller.admin()?;
    let ask: ReplayMessages = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let id = row_id(&id).map(DestinationId::new)?;
    let destination = app.store.destination(id).await.map_err(store_fault)?.ok_or_else(ApiError::not_found)?;
    let after = ask.cursor.as_deref().map(|text| Cursor::parse(List::Replay, text)).transpose()?;
    let replay = Replay {
        since: ask.since,
        until: ask.until.unwrap_or_else(|| app.clock.now()),
        topics: ask.topics,
        message: ask.message_id,
        dry_run: ask.dry_run,
        after: after.map(|cursor| (cursor.at, MessageId::from_bytes(cursor.id))),
    };
    let replayed = app.store.replay(&destination, &replay, &app.instance, actor.as_str()).await.map_err(store_fault)?;
    if replayed.sent > 0 && !replay.dry_run {
        app.delivering.wake();
    }
    let next = replayed.next.map(|(at, id)| Cursor { at, id: *id.as_bytes() }.encode(List::Replay));
    Ok(Json(Replayed { sent: replayed.sent, next }))
}

async fn withdraw(app: &App, id: MessageId, client: Option<&ClientName>, actor: &str) -> Result<StatusCode, ApiError> {
    match app.store.cancel_message(id, client, &app.instance, actor).await.map_err(store_fault)? {
        Cancelled::Done => Ok(StatusCode::NO_CONTENT),
        Cancelled::Missing => Err(ApiError::not_found()),
        Cancelled::Final(state) => Err(ApiError::new(ProblemCode::Conflict, format!("the message is {state} already"))),
        Cancelled::InDelivery => Err(ApiError::new(ProblemCode::Conflict, "the message is in delivery already")),
    }
}

fn message(id: &str) -> Result<MessageId, ApiError> {
    MessageId::parse(id).ok_or_else(ApiError::not_found)
}
