//! What an operator has to know about a Redis before it carries a queue: asked once, at start or by `doctor`.

use std::collections::HashMap;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, cmd};

use super::config::RedisConfig;
use super::group::KEEPS_ALL;
use super::link::{self, ANSWER};

/// Why a Redis could not be asked: it is away, speaks no TLS, or refuses the password.
#[derive(Debug, thiserror::Error)]
#[error("ask redis")]
pub struct RedisUnreachable(#[from] redis::RedisError);

/// What a Redis says about itself. What it does not tell (managed services hide their configuration) is `None`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RedisReport {
    /// Its version as text: `7.0.15`. Valkey tells the version of Redis that it is compatible with.
    pub version: String,
    /// Random, and another after each start.
    pub run_id: String,
    /// `master` or `slave`.
    pub role: String,
    /// What it does when its memory is full: `noeviction`, or a policy that throws data away.
    pub maxmemory_policy: Option<String>,
    /// Its bound of memory in bytes; 0 for none.
    pub maxmemory: u64,
    /// Memory in use in bytes.
    pub used_memory: u64,
    /// It writes an append-only log.
    pub aof_enabled: bool,
    /// Its last write to that log or snapshot failed.
    pub persistence_failing: bool,
    /// When the log is synced: `always`, `everysec` or `no`.
    pub appendfsync: Option<String>,
    /// Addresses that it listens on; empty or with `*`: all.
    pub bind: Option<String>,
    /// It refuses connections from elsewhere as long as nobody set a password.
    pub protected_mode: Option<bool>,
    /// Whoever connects without a password may use it.
    pub open_without_password: bool,
}

impl RedisReport {
    /// Whether it throws data away, and with it the queue, when its memory is full.
    pub fn evicts(&self) -> bool {
        self.maxmemory_policy.as_ref().is_some_and(|policy| policy != KEEPS_ALL)
    }

    /// Whether it takes nothing because it only follows another one.
    pub fn is_replica(&self) -> bool {
        self.role == "slave"
    }

    /// Major and minor version; `None` if it tells none.
    pub fn version_number(&self) -> Option<(u32, u32)> {
        let mut parts = self.version.split('.').map(|part| part.parse().ok());
        Some((parts.next()??, parts.next()??))
    }

    /// Whether it has all that the queue needs: streams as of 6.2.
    pub fn is_supported(&self) -> bool {
        self.version_number().is_some_and(|version| version >= (6, 2))
    }
}

/// Asks a Redis about itself; with Sentinel, the master of now.
///
/// # Errors
/// [`RedisUnreachable`] with its source.
pub async fn inspect(config: &RedisConfig) -> Result<RedisReport, RedisUnreachable> {
    let mut connection = link::connect(config, ANSWER).await?;
    let info: String = cmd("INFO").query_async(&mut connection).await?;
    let info: HashMap<&str, &str> = info.lines().filter_map(|line| line.split_once(':')).collect();
    let text = |name: &str| info.get(name).map(|value| (*value).to_owned());
    let number = |name: &str| info.get(name).and_then(|value| value.parse().ok()).unwrap_or(0);
    let failed = |name: &str| info.get(name).is_some_and(|value| *value != "ok");
    let mut settings = HashMap::new();
    for name in ["appendfsync", "bind", "protected-mode"] {
        settings.extend(setting(&mut connection, name).await.map(|value| (name, value)));
    }
    Ok(RedisReport {
        version: text("redis_version").unwrap_or_default(),
        run_id: text("run_id").unwrap_or_default(),
        role: text("role").unwrap_or_default(),
        maxmemory_policy: text("maxmemory_policy"),
        maxmemory: number("maxmemory"),
        used_memory: number("used_memory"),
        aof_enabled: number("aof_enabled") == 1,
        persistence_failing: failed("aof_last_write_status") || failed("rdb_last_bgsave_status"),
        appendfsync: settings.remove("appendfsync"),
        bind: settings.remove("bind"),
        protected_mode: settings.remove("protected-mode").map(|value| value == "yes"),
        open_without_password: is_open(config).await,
    })
}

/// A setting, if this user may read it.
async fn setting(connection: &mut MultiplexedConnection, name: &str) -> Option<String> {
    let found: RedisResult<HashMap<String, String>> = cmd("CONFIG").arg("GET").arg(name).query_async(connection).await;
    found.ok()?.remove(name)
}

async fn is_open(config: &RedisConfig) -> bool {
    if config.password.is_none() {
        return true;
    }
    let nobody = RedisConfig { username: None, password: None, ..config.clone() };
    let Ok(mut connection) = link::connect(&nobody, ANSWER).await else { return false };
    cmd("PING").exec_async(&mut connection).await.is_ok()
}
