//! `/admin/proxies/status`: the proxies, whichever main server of this store they ask.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mb_api::dto::ProxyRow;
use mb_api::page::Page;
use mb_api::paths;
use mb_api::problem::ApiError;
use mb_store::SeenProxy;

use super::store_fault;
use crate::app::App;
use crate::caller::Caller;
use crate::policy::FOLLOWS;

#[utoipa::path(
    get, path = paths::PROXIES_STATUS, tag = "proxies", operation_id = "proxies_status",
    summary = "List the proxies",
    description = "Those that asked last come first; one that has not asked for 30 days is forgotten. At most 1000.",
    responses((status = 200, body = Page<ProxyRow>)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn status(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Page<ProxyRow>>, ApiError> {
    caller.admin()?;
    let seen = app.store.seen_proxies().await.map_err(store_fault)?;
    let since = app.store.live_since(FOLLOWS).await.map_err(store_fault)?;
    let newest = app.policy.current().version;
    let row = |SeenProxy { heartbeat, seen_at }: SeenProxy| ProxyRow {
        id: heartbeat.id,
        name: heartbeat.name,
        is_live: seen_at > since,
        seen_at,
        policy_version: heartbeat.policy_version,
        policy_current: heartbeat.policy_version.is_some_and(|version| version >= newest),
        clock_ahead_ms: heartbeat.clock_ahead_ms,
        damaged: heartbeat.faults.damaged,
        stale: heartbeat.faults.stale,
        refused: heartbeat.faults.refused,
        journal_depth: heartbeat.backlog.waiting,
        journal_oldest_at: heartbeat.backlog.oldest,
    };
    Ok(Json(Page { data: seen.into_iter().map(row).collect(), next: None }))
}
