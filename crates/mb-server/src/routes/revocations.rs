//! `POST /internal/revocations`: what a proxy knows as revoked or expunged and the policy does not name any more.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use mb_api::dto::KnownForGood;
use mb_api::paths;
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::Role;

use super::store_fault;
use crate::actor;
use crate::app::App;

/// The most of one request.
const MAX: usize = 10_000;

#[utoipa::path(
    post, path = paths::REVOCATIONS, tag = "internal", operation_id = "merge_revocations",
    summary = "Tell which revocations and expunged messages a proxy holds that the policy does not name",
    description = "After a restore they are merged back; at other times they have expired, and nothing is changed.",
    request_body = KnownForGood,
    responses((status = 204, description = "They are known")),
    security(("certificate" = ["proxy"])),
)]
pub(crate) async fn merge(State(app): State<Arc<App>>, peer: Peer, body: Body) -> Result<StatusCode, ApiError> {
    let actor = actor::require(&app, &peer, &[Role::Proxy])?;
    let request: KnownForGood = mb_runtime::body::read_json(body, 4 << 20).await?;
    if request.revoked.len() + request.expunged.len() > MAX {
        return Err(ApiError::new(ProblemCode::TooManyItems, format!("at most {MAX} per request")));
    }
    let revoked = app.store.merge_revocations(&request.revoked, actor.as_str()).await.map_err(store_fault)?;
    let expunged = app.store.merge_expunged(&request.expunged, &app.instance, actor.as_str()).await;
    let (revoked, expunged) = (revoked.unwrap_or(0), expunged.map_err(store_fault)?.unwrap_or(0));
    if revoked + expunged > 0 {
        tracing::warn!(revoked, expunged, "merged back from a proxy after a restore");
        app.policy.refresh(&app.store).await.map_err(store_fault)?;
    }
    Ok(StatusCode::NO_CONTENT)
}
