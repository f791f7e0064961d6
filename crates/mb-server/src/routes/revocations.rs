//! `POST /internal/revocations`: what a proxy knows as revoked or expunged and the policy does not name any more.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use mb_api::dto::{KnownForGood, OpenForGood};
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
    description = "For a week after a new epoch they are merged back. At other times nothing is changed: what has expired \
                   or is revoked here is settled, and what is good here is answered as still open.",
    request_body = KnownForGood,
    responses((status = 200, body = OpenForGood)),
    security(("certificate" = ["proxy"])),
)]
pub(crate) async fn merge(State(app): State<Arc<App>>, peer: Peer, body: Body) -> Result<Json<OpenForGood>, ApiError> {
    let actor = actor::require(&app, &peer, &[Role::Proxy])?;
    let request: KnownForGood = mb_runtime::body::read_json(body, 4 << 20).await?;
    if request.revoked.len() + request.expunged.len() > MAX {
        return Err(ApiError::new(ProblemCode::TooManyItems, format!("at most {MAX} per request")));
    }
    let merged = app.store.merge_revocations(&request.revoked, actor.as_str()).await.map_err(store_fault)?;
    let expunged = app.store.merge_expunged(&request.expunged, &app.instance, actor.as_str()).await;
    let expunged = expunged.map_err(store_fault)?;
    if merged.count + expunged.count > 0 {
        let (revoked, expunged) = (merged.count, expunged.count);
        tracing::warn!(revoked, expunged, "merged back from a proxy after a restore");
        app.policy.refresh(&app.store).await.map_err(store_fault)?;
    }
    if !merged.open.is_empty() {
        mb_runtime::logging::limited("open revocations", || {
            let count = merged.open.len();
            tracing::error!(
                count,
                "a proxy refuses certificates that are good in the store: was it restored without admin store new-epoch?"
            );
        });
    }
    Ok(Json(OpenForGood { open: merged.open, expunged: expunged.open }))
}
