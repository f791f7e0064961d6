//! What a worker says of itself, four times a minute: so main servers know who works for them and what waits in the queue,
//! which they do not see themselves.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mb_api::dto::delivery::ReportRequest;
use mb_api::dto::worker::{PendingUnits, QueueFigures, QueueKind, WorkerStatus};
use mb_core::Timestamp;
use mb_queue::Queue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Shared;

const EVERY: Duration = Duration::from_secs(15);
/// How soon it is said again that was not heard.
const AGAIN: Duration = Duration::from_secs(1);
/// How long the end waits to be told.
const FAREWELL: Duration = Duration::from_secs(1);

/// What was done until the last heartbeat that was heard.
struct Told {
    at: Instant,
    registered: u64,
    attempts: u64,
}

/// Says it until the soft stop, and then that this is the end.
pub(crate) async fn run(shared: Arc<Shared>, soft: CancellationToken) {
    let started_at = shared.clock.now();
    let mut told = Told { at: Instant::now(), registered: 0, attempts: 0 };
    loop {
        let (status, now) = status(&shared, started_at, &told);
        let Some(heard) = soft.run_until_cancelled(tell(&shared, status)).await else { break };
        if heard {
            told = now;
        }
        let pause = if heard { EVERY } else { AGAIN };
        if soft.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            break;
        }
    }
    let (status, _) = status(&shared, started_at, &told);
    let farewell = tell(&shared, WorkerStatus { is_leaving: true, ..status });
    // Nobody waits for a main server that ends as well.
    drop(tokio::time::timeout(FAREWELL, farewell).await);
}

/// Whether it was heard.
async fn tell(shared: &Shared, status: WorkerStatus) -> bool {
    let worker = shared.config.name.clone();
    let report = ReportRequest { worker, status: Some(status), ..ReportRequest::default() };
    let answer = shared.server.report_deliveries(&report).await;
    if let Err(error) = &answer {
        mb_runtime::logging::limited("heartbeat", || tracing::debug!(%error, "heartbeat not heard"));
    }
    answer.is_ok()
}

fn status(shared: &Shared, started_at: Timestamp, told: &Told) -> (WorkerStatus, Told) {
    let now = Told {
        at: Instant::now(),
        registered: shared.registered.load(Ordering::Relaxed),
        attempts: shared.deliverer.attempts(),
    };
    let millis = u64::try_from((now.at - told.at).as_millis()).unwrap_or(u64::MAX);
    let per_minute = |count: u64| count.saturating_mul(60_000).checked_div(millis).unwrap_or(0);
    let status = WorkerStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at,
        is_leaving: false,
        claimed: shared.claimed.load(Ordering::Relaxed),
        held: shared.deliverer.held(),
        in_flight: shared.deliverer.in_flight(),
        registered_per_minute: per_minute(now.registered - told.registered),
        attempts_per_minute: per_minute(now.attempts - told.attempts),
        failing_seconds: shared.failing_for().as_secs(),
        queue: figures(&shared.queue),
    };
    (status, now)
}

fn figures(queue: &Queue) -> QueueFigures {
    let mb_queue::QueueFigures { depth, failing_for, pending } = queue.figures();
    let pending = pending.into_iter().map(|(consumer, units)| PendingUnits { consumer, units });
    QueueFigures {
        backend: match queue {
            Queue::Embedded(_) => QueueKind::Embedded,
            Queue::Redis(_) => QueueKind::Redis,
        },
        depth,
        failing_seconds: failing_for.as_secs(),
        pending: pending.collect(),
    }
}
