//! Forwarding: puts what the journal hands over into the queue on Redis.
//!
//! Where the queue is the journal of this process there is nothing to forward: workers claim from it directly.

use mb_queue::{Forwarder, RedisConfig, RedisHealth};
use mb_runtime::lifecycle::{Criticality, Lifecycle};
use mb_runtime::metrics::Metrics;

use crate::Proxy;

impl Proxy {
    /// Starts forwarding to Redis, which need not be there yet. How it fares is for health: without Redis a proxy is degraded,
    /// and accepts as ever.
    pub fn forward_to(&self, redis: RedisConfig, lifecycle: &Lifecycle, metrics: &mut Metrics) -> RedisHealth {
        let forwarder = Forwarder::new(self.shared.journal.clone(), redis, self.shared.clock.clone());
        let health = forwarder.health();
        let watched = health.clone();
        metrics.gauge_of(
            "mb_proxy_queue_failing_seconds",
            "For how long Redis cannot be used; 0 while it can.",
            move || watched.failing_for().as_secs_f64(),
        );
        lifecycle.spawn("forward", Criticality::Critical, forwarder.run(lifecycle.soft().cancelled_owned()));
        health
    }
}
