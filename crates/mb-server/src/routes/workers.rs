//! `/admin/workers/status`: the workers, whichever main server of this store they speak to. And what they say of themselves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mb_api::dto::worker::{QueueFigures, WorkerStatus};
use mb_api::dto::{WorkerRow, WorkerState};
use mb_api::page::Page;
use mb_api::paths;
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_store::{SeenWorker, WorkerBeat};

use super::store_fault;
use crate::app::App;
use crate::caller::Caller;
use crate::policy::FOLLOWS;

/// The longest names that are kept.
const MAX_NAME: usize = 255;
const MAX_VERSION: usize = 64;

#[utoipa::path(
    get, path = paths::WORKERS_STATUS, tag = "workers", operation_id = "workers_status",
    summary = "List the workers",
    description = "Those that were heard of last come first; they speak up every 15 seconds. One that ended is gone from \
                   here, one that is away is forgotten after a day. At most 1000.",
    responses((status = 200, body = Page<WorkerRow>)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn status(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Page<WorkerRow>>, ApiError> {
    caller.admin()?;
    let seen = app.store.seen_workers().await.map_err(store_fault)?;
    let since = app.store.live_since(FOLLOWS).await.map_err(store_fault)?;
    let row = |SeenWorker { beat, seen_at }: SeenWorker| {
        let queue_failing_seconds = figures(&beat).map_or(0, |figures| figures.failing_seconds);
        let state = match () {
            () if seen_at <= since => WorkerState::Away,
            () if beat.failing_seconds > 0 || queue_failing_seconds > 0 => WorkerState::Failing,
            () => WorkerState::Healthy,
        };
        WorkerRow {
            id: beat.id,
            name: beat.name,
            version: beat.version,
            state,
            seen_at,
            started_at: beat.started_at,
            claimed: beat.claimed,
            held: beat.held,
            in_flight: beat.in_flight,
            registered_per_minute: beat.registered_per_minute,
            attempts_per_minute: beat.attempts_per_minute,
            failing_seconds: beat.failing_seconds,
            queue_failing_seconds,
        }
    };
    Ok(Json(Page { data: seen.into_iter().map(row).collect(), next: None }))
}

/// What a worker said of the queue; of a newer main server's row what can be understood.
pub(super) fn figures(beat: &WorkerBeat) -> Option<QueueFigures> {
    serde_json::from_str(&beat.queue).ok()
}

/// Takes in a heartbeat.
pub(super) async fn note(app: &App, peer: &Peer, worker: &str, status: &WorkerStatus) -> Result<(), ApiError> {
    if worker.chars().count() > MAX_NAME || status.version.chars().count() > MAX_VERSION {
        return Err(ApiError::new(ProblemCode::ValidationFailed, "worker or version is too long"));
    }
    if status.is_leaving {
        return app.store.worker_left(worker).await.map_err(store_fault);
    }
    let beat = WorkerBeat {
        id: worker.to_owned(),
        name: peer.identity.as_ref().map(|identity| identity.name.clone()).unwrap_or_default(),
        version: status.version.clone(),
        started_at: status.started_at,
        claimed: status.claimed,
        held: status.held,
        in_flight: status.in_flight,
        registered_per_minute: status.registered_per_minute,
        attempts_per_minute: status.attempts_per_minute,
        failing_seconds: status.failing_seconds,
        queue: serde_json::to_string(&status.queue).map_err(ApiError::internal)?,
    };
    app.store.worker_seen(&beat).await.map_err(store_fault)
}
