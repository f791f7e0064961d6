//! The routes that clients use, one file per way in.

mod accept;
mod batch;
mod body;
mod cancel;
mod ndjson;
mod results;
mod status;
mod submit;

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use mb_api::paths;
use mb_api::problem::ApiError;

use crate::Shared;

pub(crate) use submit::submit_directly;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(paths::MESSAGES, post(submit::submit))
        .route(paths::MESSAGES_BATCH, post(batch::submit))
        .route(paths::MESSAGES_STATUS, post(status::many))
        .route(paths::MESSAGE, get(status::one).delete(cancel::cancel))
        .with_state(shared)
}

/// A refusal of a whole request, counted.
fn refused(shared: &Shared, error: ApiError) -> Response {
    shared.metrics.reject(error.code());
    error.into_response()
}
