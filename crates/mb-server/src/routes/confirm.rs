//! `POST /internal/messages/confirm`: which of these ids does the store lack?
//!
//! The answer carries the store's epoch: a proxy that sees a new one offers everything that it still keeps again.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use mb_api::dto::{ConfirmAnswer, ConfirmRequest, Epoch};
use mb_api::paths;
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::Role;

use super::store_fault;
use crate::actor;
use crate::app::App;

/// The most ids of one request.
const MAX_IDS: usize = 10_000;

#[utoipa::path(
    post, path = paths::CONFIRM, tag = "internal", operation_id = "confirm",
    summary = "Which of these messages does the store lack?",
    request_body = ConfirmRequest,
    responses((status = 200, body = ConfirmAnswer)),
    security(("certificate" = ["proxy"])),
)]
pub(crate) async fn confirm(
    State(app): State<Arc<App>>,
    peer: Peer,
    body: Body,
) -> Result<Json<ConfirmAnswer>, ApiError> {
    actor::require(&app, &peer, &[Role::Proxy])?;
    let request: ConfirmRequest = mb_runtime::body::read_json(body, 1 << 20).await?;
    if request.ids.len() > MAX_IDS {
        return Err(ApiError::new(ProblemCode::TooManyItems, format!("at most {MAX_IDS} ids per request")));
    }
    let (epoch, lacking) = app.store.lacking(&request.ids).await.map_err(store_fault)?;
    Ok(Json(ConfirmAnswer { epoch: Epoch::from_bytes(epoch), lacking }))
}
