//! The worker: takes envelopes off the queue and registers them with the main server, and takes what the main server has
//! opened to its destinations.
//!
//! It opens nothing and stores nothing: an envelope is bytes to it. Whatever fails, an envelope stays in the queue until
//! the main server has said what became of it, and a delivery stays due until its attempt was reported.

mod deliver;
mod heartbeat;
mod metrics;
mod pace;
mod redis;
mod register;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use mb_api::client::Client;
use mb_core::{Clock, Timestamp};
use mb_queue::Queue;
use mb_runtime::lifecycle::{Criticality, Lifecycle};
use mb_runtime::metrics::Metrics;

use crate::deliver::Deliverer;
pub use crate::deliver::DeliveryConfig;
use crate::metrics::WorkerMetrics;
use crate::pace::Pace;
pub use crate::redis::redis_queue;

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Names this worker in leases.
    pub name: String,
    /// Register calls at the same time.
    pub concurrency: usize,
    /// Envelopes per register call.
    pub batch: usize,
    /// The first pause after a failed register call; it doubles up to a hundred times this.
    pub retry: Duration,
    /// How long the queue lets a claimed envelope be; after it another worker may claim it.
    pub lease: Duration,
    /// How it delivers.
    pub delivery: DeliveryConfig,
}

/// A running worker.
#[derive(Clone, Debug)]
pub struct Worker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    pub(crate) server: Client,
    pub(crate) config: WorkerConfig,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<WorkerMetrics>,
    pub(crate) deliverer: Arc<Deliverer>,
    pub(crate) pace: Pace,
    /// Messages that are claimed and not registered, and those that were registered.
    pub(crate) claimed: AtomicU64,
    pub(crate) registered: AtomicU64,
    /// When register last failed, microseconds; 0 = the last call succeeded.
    failing_since: AtomicI64,
}

impl Shared {
    fn failing_since(&self) -> Option<Timestamp> {
        match self.failing_since.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Timestamp::from_micros(micros)),
        }
    }

    fn failing_for(&self) -> Duration {
        self.failing_since().map_or(Duration::ZERO, |since| self.clock.now().since(since))
    }

    pub(crate) fn note(&self, succeeded: bool) {
        if succeeded {
            self.failing_since.store(0, Ordering::Relaxed);
        } else {
            let now = self.clock.now().micros();
            let _ = self.failing_since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

impl Worker {
    /// Starts `config.concurrency` loops on the lifecycle.
    pub fn start(
        config: WorkerConfig,
        queue: Queue,
        server: Client,
        clock: Clock,
        lifecycle: &Lifecycle,
        metrics: &mut Metrics,
    ) -> Self {
        let own = Arc::new(WorkerMetrics::register(metrics));
        let deliverer = Deliverer::start(
            config.name.clone(),
            config.delivery.clone(),
            server.clone(),
            clock.clone(),
            Arc::clone(&own),
            lifecycle,
        );
        let delivering = Arc::downgrade(&deliverer);
        metrics.gauge_of("mb_worker_deliveries_held", "Deliveries that wait here or are being sent.", move || {
            delivering.upgrade().map_or(0.0, |deliverer| deliverer.held_now())
        });
        let shared = Arc::new(Shared {
            queue,
            server,
            clock,
            metrics: own,
            deliverer,
            failing_since: AtomicI64::new(0),
            pace: Pace::new(),
            claimed: AtomicU64::new(0),
            registered: AtomicU64::new(0),
            config,
        });
        let watched = Arc::downgrade(&shared);
        metrics.gauge_of(
            "mb_worker_failing_seconds",
            "For how long the main server takes no batch; 0 while it does.",
            move || watched.upgrade().map_or(0.0, |shared| shared.failing_for().as_secs_f64()),
        );
        for _ in 0..shared.config.concurrency {
            let run = register::run(Arc::clone(&shared), lifecycle.soft());
            lifecycle.spawn("register", Criticality::Critical, run);
        }
        let beats = heartbeat::run(Arc::clone(&shared), lifecycle.soft());
        lifecycle.spawn("heartbeat", Criticality::Critical, beats);
        Self { shared }
    }

    /// Since when the main server has not taken a batch; `None` while it does.
    pub fn failing_since(&self) -> Option<Timestamp> {
        self.shared.failing_since()
    }
}
