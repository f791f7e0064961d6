//! `/admin/queue`: what is on its way. A main server sees neither journals nor queue: proxies say with every question for
//! news what waits in their journals, workers with every heartbeat what they see of the queue.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mb_api::dto::{DestinationLanes, Lane, ProxyBacklog, QueueReport, QueueRow, SetAside};
use mb_api::paths;
use mb_api::problem::ApiError;
use mb_store::SeenProxy;

use super::{store_fault, workers};
use crate::app::App;
use crate::caller::Caller;
use crate::policy::FOLLOWS;

#[utoipa::path(
    get, path = paths::QUEUE, tag = "queue", operation_id = "show_queue",
    summary = "Show what is on its way",
    description = "From journals through the queue into the store, and from there to destinations. What proxies say is up \
                   to 30 seconds old, what workers say up to 15.",
    responses((status = 200, body = QueueReport)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn show(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<QueueReport>, ApiError> {
    caller.admin()?;
    let since = app.store.live_since(FOLLOWS).await.map_err(store_fault)?;
    let seen = app.store.seen_proxies().await.map_err(store_fault)?;
    let backlog = |SeenProxy { heartbeat, seen_at }: &SeenProxy| ProxyBacklog {
        id: heartbeat.id.clone(),
        name: heartbeat.name.clone(),
        is_live: *seen_at > since,
        seen_at: *seen_at,
        waiting: heartbeat.backlog.waiting,
        oldest_at: heartbeat.backlog.oldest,
    };
    let proxies = seen.iter().map(backlog).collect::<Vec<_>>();
    let live = || proxies.iter().filter(|proxy| proxy.is_live);
    Ok(Json(QueueReport {
        waiting: live().map(|proxy| proxy.waiting).sum(),
        oldest_at: live().filter_map(|proxy| proxy.oldest_at).min(),
        queue: queue(&app).await?,
        set_aside: set_aside(&seen),
        destinations: destinations(&app).await?,
        dead_letters: app.store.open_dead_letters().await.map_err(store_fault)?,
        proxies,
    }))
}

/// Every worker sees the same stream; the word of the one that was heard of last is the newest.
async fn queue(app: &App) -> Result<Option<QueueRow>, ApiError> {
    let workers = app.store.seen_workers().await.map_err(store_fault)?;
    Ok(workers.into_iter().find_map(|worker| {
        let figures = workers::figures(&worker.beat)?;
        Some(QueueRow {
            backend: figures.backend,
            depth: figures.depth,
            failing_seconds: figures.failing_seconds,
            pending: figures.pending,
            reported_by: worker.beat.id,
            reported_at: worker.seen_at,
        })
    }))
}

/// Of a proxy that is away as well: its journal is still there.
fn set_aside(seen: &[SeenProxy]) -> SetAside {
    seen.iter().fold(SetAside::default(), |sum, proxy| {
        let faults = proxy.heartbeat.faults;
        SetAside {
            damaged: sum.damaged + faults.damaged,
            stale: sum.stale + faults.stale,
            refused: sum.refused + faults.refused,
        }
    })
}

async fn destinations(app: &App) -> Result<Vec<DestinationLanes>, ApiError> {
    let lanes = app.store.destination_lanes().await.map_err(store_fault)?;
    let lane = |lane: mb_store::Lane| Lane { waiting: lane.waiting, leased: lane.leased, due_at: lane.due_at };
    let row = |lanes: mb_store::DestinationLanes| DestinationLanes {
        id: lanes.id,
        domain: lanes.domain,
        name: lanes.name,
        kind: lanes.kind,
        state: lanes.state,
        fresh: lane(lanes.fresh),
        tried: lane(lanes.tried),
    };
    Ok(lanes.into_iter().map(row).collect())
}
