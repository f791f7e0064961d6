//! The queue between proxies and workers.

use anyhow::{Context, Result, bail};
use mb_core::Clock;
use mb_queue::{Journal, Queue, RedisConfig, RedisHealth};
use mb_runtime::Lifecycle;
use mb_runtime::metrics::Metrics;

use crate::config::Resolved;
use crate::layout::Layout;

/// Where a worker finds messages.
#[derive(Debug)]
pub(super) enum Waiting {
    /// The journal of this process.
    Journal(Journal),
    /// A stream.
    Redis(Box<RedisConfig>),
}

impl Waiting {
    /// The queue, its depth as a metric, and how Redis fares, if that is what carries it.
    pub(super) fn open(
        self,
        worker: &str,
        clock: &Clock,
        lifecycle: &Lifecycle,
        metrics: &mut Metrics,
    ) -> (Queue, Option<RedisHealth>) {
        match self {
            Self::Journal(journal) => {
                let waiting = journal.clone();
                metrics.gauge_of(
                    "mb_queue_depth",
                    "What waits in the queue: units of one or more messages in Redis; embedded, the journal's unconfirmed messages.",
                    move || f64::from(u32::try_from(waiting.status().depth).unwrap_or(u32::MAX)),
                );
                (Queue::Embedded(journal), None)
            }
            Self::Redis(config) => {
                let (queue, health) = mb_worker::redis_queue(*config, worker, clock.clone(), lifecycle, metrics);
                (queue, Some(health))
            }
        }
    }
}

/// How Redis is reached. One that answers and would throw the queue away is refused; one that is away is waited for later.
pub(super) async fn redis(resolved: &Resolved, layout: &Layout) -> Result<RedisConfig> {
    let section = &resolved.config.redis;
    let config = section.resolve(resolved, layout.root()).context("read the settings of Redis")?;
    match mb_queue::inspect_redis(&config).await {
        Ok(report) if report.evicts() && !section.allow_eviction => {
            let policy = report.maxmemory_policy.unwrap_or_default();
            bail!(
                "Redis has maxmemory-policy {policy}, which throws queued messages away when its memory is full: set it \
                 to noeviction (redis-cli CONFIG SET maxmemory-policy noeviction, and in its configuration file), or set \
                 redis.allow_eviction = true"
            )
        }
        Ok(report) if report.is_replica() => {
            bail!("the Redis that is configured is a replica, which takes nothing: name its master, or redis.sentinels")
        }
        Ok(report) if !report.is_supported() => {
            bail!("Redis {} is too old: streams need 6.2 or later", report.version)
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(error = %error, "Redis does not answer yet"),
    }
    Ok(config)
}
