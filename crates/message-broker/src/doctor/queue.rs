//! Redis, if it carries the queue.

use mb_queue::RedisReport;

use super::{Finding, Patient};
use crate::config::QueueBackend;

pub(super) async fn check(patient: Patient<'_>) -> Vec<Finding> {
    let config = &patient.resolved.config;
    if config.queue.backend == QueueBackend::Embedded {
        return vec![Finding::ok("queue", "embedded: the journal itself")];
    }
    let fix = "check REDIS_HOST, REDIS_PORT, REDIS_PASSWORD and that Redis runs";
    let redis = match config.redis.resolve(patient.resolved, patient.layout.root()) {
        Ok(redis) => redis,
        Err(error) => return vec![Finding::fail("redis", format!("{error:#}"), fix)],
    };
    match mb_queue::inspect_redis(&redis).await {
        Ok(report) => judge(&report, config.redis.allow_eviction),
        Err(error) => vec![Finding::fail("redis", format!("{:#}", anyhow::Error::from(error)), fix)],
    }
}

fn judge(report: &RedisReport, allow_eviction: bool) -> Vec<Finding> {
    vec![version(report), eviction(report, allow_eviction), memory(report), persistence(report), access(report)]
}

fn version(report: &RedisReport) -> Finding {
    if report.is_supported() {
        Finding::ok("redis", format!("version {}", report.version))
    } else {
        Finding::fail("redis", format!("version {}: streams need 6.2", report.version), "install Redis 6.2 or later")
    }
}

fn eviction(report: &RedisReport, allowed: bool) -> Finding {
    let Some(policy) = report.maxmemory_policy.as_deref().filter(|_| report.evicts()) else {
        return Finding::ok("redis eviction", "none: what is queued stays");
    };
    let detail =
        format!("maxmemory-policy is {policy}: a full Redis throws queued messages away, which are forwarded again");
    let fix =
        "set maxmemory-policy noeviction in redis.conf, and now by: redis-cli CONFIG SET maxmemory-policy noeviction";
    if allowed { Finding::warn("redis eviction", detail, fix) } else { Finding::fail("redis eviction", detail, fix) }
}

fn memory(report: &RedisReport) -> Finding {
    let mib = |bytes: u64| bytes >> 20;
    if report.maxmemory == 0 {
        return Finding::ok("redis memory", format!("{} MiB in use, no bound", mib(report.used_memory)));
    }
    let detail = format!("{} of {} MiB in use", mib(report.used_memory), mib(report.maxmemory));
    if report.used_memory.saturating_mul(10) > report.maxmemory.saturating_mul(8) {
        Finding::warn(
            "redis memory",
            format!("{detail}: a full one takes no messages"),
            "raise maxmemory in redis.conf",
        )
    } else {
        Finding::ok("redis memory", detail)
    }
}

fn persistence(report: &RedisReport) -> Finding {
    if report.persistence_failing {
        let fix = "see Redis' log: mostly its disk is full, or its directory not writable";
        Finding::fail("redis persistence", "its last write to disk failed: it refuses messages", fix)
    } else if report.aof_enabled {
        Finding::ok("redis persistence", format!("appendfsync {}", report.appendfsync.as_deref().unwrap_or("unknown")))
    } else {
        let fix = "set appendonly yes in redis.conf, and now by: redis-cli CONFIG SET appendonly yes";
        let detail = "no append-only file: after its restart everything that waits is forwarded again";
        Finding::warn("redis persistence", detail, fix)
    }
}

fn access(report: &RedisReport) -> Finding {
    let everywhere =
        report.bind.as_deref().is_some_and(|bind| bind.is_empty() || bind.contains('*') || bind.contains("0.0.0.0"));
    match (report.open_without_password, everywhere) {
        (true, true) => Finding::fail(
            "redis access",
            "it listens on all addresses without a password: anybody can delete what is queued",
            "set requirepass and bind 127.0.0.1 in redis.conf, and REDIS_PASSWORD here",
        ),
        (true, false) => Finding::warn(
            "redis access",
            "it has no password: every process of its machine can delete what is queued",
            "set requirepass in redis.conf, and REDIS_PASSWORD here",
        ),
        (false, _) => Finding::ok("redis access", "with a password"),
    }
}
