//! The queue of a worker that is a process of its own.

use mb_core::Clock;
use mb_queue::{Queue, RedisConfig, RedisHealth, RedisQueue};
use mb_runtime::lifecycle::{Criticality, Lifecycle};
use mb_runtime::metrics::Metrics;

/// Starts the work behind a queue on Redis, which need not be there yet. How it fares is for health: a worker without its
/// queue is degraded.
pub fn redis_queue(
    config: RedisConfig,
    worker: &str,
    clock: Clock,
    lifecycle: &Lifecycle,
    metrics: &mut Metrics,
) -> (Queue, RedisHealth) {
    let (queue, keeper) = RedisQueue::new(config, worker, clock);
    let health = queue.health();
    register(metrics, &health);
    lifecycle.spawn("queue", Criticality::Critical, keeper.run(lifecycle.soft().cancelled_owned()));
    (Queue::Redis(queue), health)
}

fn register(metrics: &mut Metrics, health: &RedisHealth) {
    let watched = health.clone();
    metrics.gauge_of(
        "mb_queue_depth",
        "What waits in the queue: units of one or more messages in Redis; embedded, the journal's unconfirmed messages.",
        move || as_f64(watched.depth()),
    );
    let watched = health.clone();
    metrics.gauge_of(
        "mb_worker_queue_failing_seconds",
        "For how long Redis cannot be used; 0 while it can.",
        move || watched.failing_for().as_secs_f64(),
    );
    let watched = health.clone();
    metrics.gauge_of(
        "mb_worker_queue_removed",
        "Entries of the stream that were no envelopes, and were removed, since the start.",
        move || as_f64(watched.removed()),
    );
}

fn as_f64(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
