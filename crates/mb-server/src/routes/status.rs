//! `POST /internal/messages/status`: where a client's messages stand; ids that the store does not hold are left out.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use mb_api::dto::{InternalStatusAnswer, InternalStatusRequest, MAX_STATUS_IDS, MessageStatus};
use mb_api::paths;
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{MessageState, Role, Timestamp};

use super::store_fault;
use crate::actor;
use crate::app::App;

#[utoipa::path(
    post, path = paths::STATUS, tag = "internal", operation_id = "statuses",
    summary = "Where do a client's messages stand?",
    description = "Ids that the store does not hold are left out.",
    request_body = InternalStatusRequest,
    responses((status = 200, body = InternalStatusAnswer)),
    security(("certificate" = ["proxy"])),
)]
pub(crate) async fn status(
    State(app): State<Arc<App>>,
    peer: Peer,
    body: Body,
) -> Result<Json<InternalStatusAnswer>, ApiError> {
    actor::require(&app, &peer, &[Role::Proxy])?;
    let request: InternalStatusRequest = mb_runtime::body::read_json(body, 1 << 20).await?;
    if request.ids.len() > MAX_STATUS_IDS {
        return Err(ApiError::new(ProblemCode::TooManyItems, format!("at most {MAX_STATUS_IDS} ids per request")));
    }
    // Of one message it is told that it is another's. That is seen in the same look: what is registered between two would be
    // taken for another's.
    let whose = (request.ids.len() != 1).then_some(&request.client_id);
    let found = app.store.statuses(whose, &request.ids).await.map_err(store_fault)?;
    let (rows, elsewhere) = found.into_iter().partition::<Vec<_>, _>(|row| row.client == request.client_id);
    let now = app.clock.now();
    Ok(Json(InternalStatusAnswer {
        data: rows.into_iter().map(|row| present(row, now)).collect(),
        elsewhere: elsewhere.into_iter().map(|row| row.message_id).collect(),
    }))
}

/// A message that nothing waits for is stored with its final state at once, so that no second write is needed; until its
/// `deliver_at` it is shown as what it is for the client: queued.
fn present(row: mb_store::MessageStatus, now: Timestamp) -> MessageStatus {
    let scheduled = row.status == MessageState::Delivered && row.delivered_at.is_some_and(|at| at > now);
    MessageStatus {
        message_id: row.message_id,
        status: if scheduled { MessageState::Queued } else { row.status },
        topic: row.topic,
        queued_at: row.queued_at,
        registered_at: Some(row.registered_at),
        delivered_at: row.delivered_at.filter(|_| !scheduled),
        failed_at: row.failed_at,
        attempt_count: u32::try_from(row.attempt_count).unwrap_or(u32::MAX),
        last_error: row.last_error,
        deliver_at: row.deliver_at,
        expires_at: row.expires_at,
    }
}
