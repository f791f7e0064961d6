//! Redis, if it carries the queue.

use std::net::IpAddr;

use mb_queue::RedisReport;

use super::{Finding, Patient};
use crate::config::QueueBackend;

/// A proxy's window in bytes, with what Redis needs beside it.
const ROOM: u64 = 96 << 20;

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
        Ok(report) => judge(&report, config.redis.allow_eviction, redis.tls.is_some()),
        Err(error) => vec![Finding::fail("redis", format!("{:#}", anyhow::Error::from(error)), fix)],
    }
}

fn judge(report: &RedisReport, allow_eviction: bool, encrypted: bool) -> Vec<Finding> {
    vec![
        version(report),
        eviction(report, allow_eviction),
        memory(report),
        persistence(report),
        access(report, encrypted),
    ]
}

fn version(report: &RedisReport) -> Finding {
    if report.is_replica() {
        let fix = "point REDIS_HOST at its master, or name the sentinels in redis.sentinels";
        Finding::fail("redis", "it is a replica, which takes nothing", fix)
    } else if report.is_supported() {
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
    } else if report.maxmemory < ROOM {
        Finding::warn(
            "redis memory",
            format!("{detail}: what one proxy may have on its way alone needs {} MiB", mib(ROOM)),
            "raise maxmemory in redis.conf: 128 MiB for each proxy leave room",
        )
    } else {
        Finding::ok("redis memory", detail)
    }
}

fn persistence(report: &RedisReport) -> Finding {
    if report.persistence_failing {
        let fix = "see Redis' log: mostly its disk is full, or its directory not writable";
        Finding::fail("redis persistence", "its last write to disk failed: it refuses messages", fix)
    } else if report.appendfsync.as_deref() == Some("no") {
        let fix = "set appendfsync everysec in redis.conf, and now by: redis-cli CONFIG SET appendfsync everysec";
        let detail = "appendfsync no: what the machine loses with its power is forwarded again";
        Finding::warn("redis persistence", detail, fix)
    } else if report.aof_enabled {
        Finding::ok("redis persistence", format!("appendfsync {}", report.appendfsync.as_deref().unwrap_or("unknown")))
    } else {
        let fix = "set appendonly yes in redis.conf, and now by: redis-cli CONFIG SET appendonly yes";
        let detail = "no append-only file: after its restart everything that waits is forwarded again";
        Finding::warn("redis persistence", detail, fix)
    }
}

fn access(report: &RedisReport, encrypted: bool) -> Finding {
    let beyond = report.bind.as_deref().is_some_and(|bind| bind.is_empty() || !bind.split(' ').all(is_loopback));
    // In protected mode who comes from elsewhere is let in only by a password.
    let open_beyond = beyond && report.protected_mode != Some(true);
    match (report.open_without_password, open_beyond) {
        (true, true) => Finding::fail(
            "redis access",
            "it listens beyond this machine without a password: anybody can delete what is queued",
            "set requirepass and bind 127.0.0.1 in redis.conf, and REDIS_PASSWORD here",
        ),
        (true, false) => Finding::warn(
            "redis access",
            "it has no password: every process of its machine can delete what is queued",
            "set requirepass in redis.conf, and REDIS_PASSWORD here",
        ),
        (false, _) if beyond && !encrypted => Finding::warn(
            "redis access",
            "it listens beyond this machine and is spoken to without TLS: who listens on the way reads its password",
            "set tls-port in redis.conf and redis.tls = true here, or bind 127.0.0.1 if all are on this machine",
        ),
        (false, _) => Finding::ok("redis access", "with a password"),
    }
}

/// An address of `bind`, where `-` says that it need not be there.
fn is_loopback(address: &str) -> bool {
    let address = address.trim_start_matches('-');
    address == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn what_cannot_carry_the_queue_fails() {
        let sound = RedisReport { version: "7.0.15".to_owned(), role: "master".to_owned(), ..RedisReport::default() };
        assert_eq!(version(&sound).status, Status::Ok);
        assert_eq!(version(&RedisReport { version: "6.0.16".to_owned(), ..sound.clone() }).status, Status::Fail);
        assert_eq!(version(&RedisReport { role: "slave".to_owned(), ..sound.clone() }).status, Status::Fail);
        let evicting = RedisReport { maxmemory_policy: Some("allkeys-lru".to_owned()), ..sound.clone() };
        assert_eq!([false, true].map(|allowed| eviction(&evicting, allowed).status), [Status::Fail, Status::Warn]);
        let kept = RedisReport { maxmemory_policy: Some("noeviction".to_owned()), aof_enabled: true, ..sound };
        assert_eq!((eviction(&kept, false).status, persistence(&kept).status), (Status::Ok, Status::Ok));
        let unsynced = RedisReport { appendfsync: Some("no".to_owned()), ..kept.clone() };
        assert_eq!(persistence(&unsynced).status, Status::Warn);
        assert_eq!(persistence(&RedisReport { aof_enabled: false, ..kept.clone() }).status, Status::Warn);
        assert_eq!(persistence(&RedisReport { persistence_failing: true, ..kept.clone() }).status, Status::Fail);
        let full = RedisReport { maxmemory: 100, used_memory: 81, ..kept.clone() };
        assert_eq!(memory(&full).status, Status::Warn);
        let small = RedisReport { maxmemory: 32 << 20, used_memory: 1 << 20, ..kept };
        assert_eq!(memory(&small).status, Status::Warn, "a window of one proxy may need 64 MiB");
    }

    #[test]
    fn a_redis_that_is_open_to_others_fails_and_one_in_the_clear_warns() {
        let of = |bind: &str, protected, open_without_password, encrypted| {
            let report = RedisReport {
                bind: Some(bind.to_owned()),
                protected_mode: Some(protected),
                open_without_password,
                ..RedisReport::default()
            };
            access(&report, encrypted).status
        };
        assert_eq!(of("127.0.0.1 -::1", true, false, false), Status::Ok);
        assert_eq!(of("127.0.0.1 -::1", false, true, false), Status::Warn);
        for everywhere in ["* -::*", "0.0.0.0", "", "127.0.0.1 10.0.0.7"] {
            assert_eq!(of(everywhere, false, true, false), Status::Fail, "{everywhere}");
            assert_eq!(of(everywhere, true, true, false), Status::Warn, "{everywhere}");
            assert_eq!(of(everywhere, false, false, false), Status::Warn, "{everywhere}");
            assert_eq!(of(everywhere, false, false, true), Status::Ok, "{everywhere}");
        }
    }
}
