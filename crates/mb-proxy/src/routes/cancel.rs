//! `DELETE /api/v1/messages/{id}`: a client withdraws a message. The main server decides; what it does not hold yet cannot
//! be withdrawn yet. That there is no such message is said only when none can be on its way: whoever reads it believes that
//! nothing will be delivered.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use mb_api::dto::CancelRequest;
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::request_id::RequestId;
use mb_core::{MessageId, MessageState};
use serde::Serialize;

use super::status::{self, Whereabouts};
use crate::Shared;
use crate::admission;

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Withdrawn {
    message_id: MessageId,
    status: MessageState,
}

pub(crate) async fn cancel(
    State(shared): State<Arc<Shared>>,
    peer: Peer,
    request_id: RequestId,
    Path(id): Path<String>,
) -> Result<Json<Withdrawn>, ApiError> {
    let admitted = admission::admit(&shared, &peer)?;
    let message_id = MessageId::parse(&id).ok_or_else(unknown)?;
    let ask = CancelRequest { client_id: admitted.client.clone(), message_id };
    let withdrawn = || Json(Withdrawn { message_id, status: MessageState::Cancelled });
    if withdraw(&shared, &ask, &request_id).await? {
        return Ok(withdrawn());
    }
    match status::whereabouts(&shared, &admitted, message_id, &request_id).await {
        // It was registered in between.
        Whereabouts::Registered if withdraw(&shared, &ask, &request_id).await? => Ok(withdrawn()),
        Whereabouts::Unknown => Err(unknown()),
        Whereabouts::Registered | Whereabouts::OnItsWay => {
            Err(later("the message is not registered yet; ask again in a moment"))
        }
    }
}

fn unknown() -> ApiError {
    ApiError::new(ProblemCode::NotFound, "no message of this client has that id")
}

fn later(detail: &'static str) -> ApiError {
    ApiError::new(ProblemCode::StatusUnavailable, detail)
}

/// Whether the main server has withdrawn it; it does not know it if not.
async fn withdraw(shared: &Shared, ask: &CancelRequest, request_id: &RequestId) -> Result<bool, ApiError> {
    let Err(error) = shared.server.cancel_for(ask, Some(request_id)).await else { return Ok(true) };
    match error.code() {
        Some(ProblemCode::Conflict) => {
            Err(ApiError::new(ProblemCode::Conflict, "the message is final, or in delivery already"))
        }
        Some(ProblemCode::NotFound) => Ok(false),
        _ => Err(later("the main server does not answer; ask again").caused_by(error)),
    }
}
