//! The consumer group: made when it is missing, and how its makers tell this one from the one before.
//!
//! A group starts at `0`, so whoever makes it anew loses nothing that is still in the stream. With it its maker leaves a mark: a
//! consumer with a random name that never reads. The mark vanishes with whatever takes the group away - the stream deleted
//! or evicted, FLUSHALL, the group destroyed - so marks and the server's run id together are the queue's identity.

use std::collections::HashMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, RedisResult, Value, cmd, from_redis_value, pipe};

use super::config::RedisConfig;

/// How the names of marks begin.
const MARK: &str = "stream-mark-";
/// A consumer that holds nothing and did nothing for this long is forgotten.
const FORGET: Duration = Duration::from_mins(10);

/// The only policy of a full Redis under which nothing in it is thrown away.
pub(super) const KEEPS_ALL: &str = "noeviction";

/// Which queue this is: another one may lack what was put into the last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    run_id: String,
    marks: Vec<String>,
}

/// Whether a Redis that was just connected to can carry the queue: it may have come up, or been set anew, after this process
/// had a look at its start.
pub(super) async fn admit(connection: &mut MultiplexedConnection, config: &RedisConfig) -> RedisResult<()> {
    let mut ask = pipe();
    ask.cmd("INFO").arg("replication").cmd("INFO").arg("memory");
    let (replication, memory): (String, String) = ask.query_async(connection).await?;
    let told = |info: &str, name: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_default().to_owned()
    };
    if told(&replication, "role") == "slave" {
        return Err((ErrorKind::Extension, "it is a replica, which takes nothing: connect to its master").into());
    }
    let policy = told(&memory, "maxmemory_policy");
    if !config.allow_eviction && !policy.is_empty() && policy != KEEPS_ALL {
        let what = "its maxmemory-policy throws queued messages away: set noeviction, or redis.allow_eviction = true";
        return Err((ErrorKind::Extension, what, policy).into());
    }
    Ok(())
}

/// The identity of the queue, which is made if it is missing.
pub(super) async fn identity(connection: &mut MultiplexedConnection, config: &RedisConfig) -> RedisResult<Identity> {
    let server: String = cmd("INFO").arg("server").query_async(connection).await?;
    let run_id = server.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap_or_default().to_owned();
    let mut marks = marks(connection, config).await?;
    if marks.is_empty() {
        let mut name = [0; 8];
        getrandom::fill(&mut name).map_err(|_| RedisError::from((ErrorKind::Client, "no random numbers")))?;
        let mark = format!("{MARK}{:016x}", u64::from_be_bytes(name));
        group(config, "CREATECONSUMER").arg(&mark).exec_async(connection).await?;
        marks = vec![mark];
    }
    marks.sort_unstable();
    Ok(Identity { run_id, marks })
}

async fn marks(connection: &mut MultiplexedConnection, config: &RedisConfig) -> RedisResult<Vec<String>> {
    let consumers = match consumers(connection, config).await {
        Err(error) if is_gone(&error) => {
            create(connection, config).await?;
            consumers(connection, config).await?
        }
        other => other?,
    };
    Ok(consumers.into_iter().map(|consumer| consumer.name).filter(|name| name.starts_with(MARK)).collect())
}

async fn create(connection: &mut MultiplexedConnection, config: &RedisConfig) -> RedisResult<()> {
    match group(config, "CREATE").arg("0").arg("MKSTREAM").exec_async(connection).await {
        Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
        Ok(()) => {
            tracing::debug!(stream = config.stream, group = config.group, "consumer group was made");
            Ok(())
        }
        other => other,
    }
}

/// `XGROUP`, up to the group's name.
fn group(config: &RedisConfig, action: &str) -> redis::Cmd {
    let mut command = cmd("XGROUP");
    command.arg(action).arg(&config.stream).arg(&config.group);
    command
}

/// Whether the stream or the group does not exist.
pub(super) fn is_gone(error: &RedisError) -> bool {
    error.code() == Some("NOGROUP") || error.detail().is_some_and(|detail| detail.contains("no such key"))
}

/// Forgets consumers that went away and left nothing: each start of a worker makes one.
pub(super) async fn forget_dead(connection: &mut MultiplexedConnection, config: &RedisConfig) -> RedisResult<()> {
    let idle = FORGET.max(config.claim_idle * 10);
    for consumer in consumers(connection, config).await? {
        if consumer.pending == 0 && consumer.idle > idle && !consumer.name.starts_with(MARK) {
            group(config, "DELCONSUMER").arg(&consumer.name).exec_async(connection).await?;
        }
    }
    Ok(())
}

struct Consumer {
    name: String,
    pending: u64,
    idle: Duration,
}

async fn consumers(connection: &mut MultiplexedConnection, config: &RedisConfig) -> RedisResult<Vec<Consumer>> {
    let mut ask = cmd("XINFO");
    ask.arg("CONSUMERS").arg(&config.stream).arg(&config.group);
    let rows: Vec<HashMap<String, Value>> = ask.query_async(connection).await?;
    let consumer = |mut row: HashMap<String, Value>| {
        let mut field = |name: &str| row.remove(name).unwrap_or_default();
        Ok(Consumer {
            name: from_redis_value(field("name"))?,
            pending: from_redis_value(field("pending"))?,
            idle: Duration::from_millis(from_redis_value(field("idle"))?),
        })
    };
    rows.into_iter().map(consumer).collect()
}
