//! `DELETE /api/v1/messages/{id}`: a client withdraws a message. The main server decides; what it does not hold yet cannot
//! be withdrawn yet.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use mb_api::dto::CancelRequest;
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::request_id::RequestId;
use mb_core::{MessageId, MessageState};
use serde::Serialize;

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
    let unknown = || ApiError::new(ProblemCode::NotFound, "no message of this client has that id");
    let message_id = MessageId::parse(&id).ok_or_else(unknown)?;
    let ask = CancelRequest { client_id: admitted.client.clone(), message_id };
    let Err(error) = shared.server.cancel_for(&ask, Some(&request_id)).await else {
        return Ok(Json(Withdrawn { message_id, status: MessageState::Cancelled }));
    };
    let later = |detail| ApiError::new(ProblemCode::StatusUnavailable, detail);
    match error.code() {
        Some(ProblemCode::Conflict) => {
            Err(ApiError::new(ProblemCode::Conflict, "the message is final, or in delivery already"))
        }
        Some(ProblemCode::NotFound) => {
            let found = shared.journal.find(&[message_id]).await.into_iter().flatten();
            let waits = found.filter(|found| found.header.client == admitted.client).any(|found| !found.confirmed);
            Err(if waits { later("the message is not registered yet; ask again in a moment") } else { unknown() })
        }
        _ => Err(later("the main server does not answer; ask again").caused_by(error)),
    }
}
