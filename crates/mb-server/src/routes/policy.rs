//! `GET /internal/policy?since=VERSION`: the policy, at once if it is another than the caller's, else when it changes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use mb_api::client::POLL;
use mb_api::dto::PolicyQuery;
use mb_api::peer::Peer;
use mb_api::problem::ApiError;
use mb_api::{Query, paths};
use mb_core::Role;

use crate::actor;
use crate::app::App;

#[utoipa::path(
    get, path = paths::POLICY, tag = "internal", operation_id = "policy",
    summary = "Wait for a policy other than one's own",
    description = "At once if there is another, else when it changes; after 30 s without a change there is none.",
    params(PolicyQuery),
    responses(
        (status = 200, body = mb_api::schema::Policy),
        (status = 204, description = "The caller's is the newest"),
    ),
    security(("certificate" = ["proxy"]), ("certificate" = ["worker"]), ("certificate" = ["portal"])),
)]
pub(crate) async fn policy(
    State(app): State<Arc<App>>,
    peer: Peer,
    Query(query): Query<PolicyQuery>,
) -> Result<Response, ApiError> {
    actor::require(&app, &peer, &[Role::Proxy, Role::Worker, Role::Portal])?;
    if let Some(proxy) = peer.identity.as_ref().filter(|identity| identity.role == Role::Proxy) {
        app.policy.asked(proxy, query, app.clock.now());
    }
    let mut feed = app.policy.subscribe();
    // "Another", not "newer": after the restore of a backup the store's version may be lower than the caller's.
    let changed = feed.wait_for(|policy| {
        let proxies = policy.limits.proxies;
        Some(policy.version) != query.since || query.proxies.is_some_and(|held| held != proxies)
    });
    let waited = app.stopping.run_until_cancelled(tokio::time::timeout(POLL, changed)).await;
    match waited {
        Some(Ok(Ok(policy))) => Ok(Json(policy.as_ref()).into_response()),
        _ => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}
