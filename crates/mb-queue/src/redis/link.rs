//! A connection that heals itself: opened when it is needed, found by Sentinel if there is one, opened again when it broke.
//!
//! A connection that broke is opened again at once and in silence: Redis closes idle ones (`timeout`), restarts, and hands over
//! to a replica. Only what lasts longer is told, once when it begins, once a minute while it lasts, and once when it ends.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mb_core::{Clock, Timestamp};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ErrorKind, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, RedisResult, TlsCertificates,
};
use tokio::time::Instant;

use super::config::{RedisAddress, RedisConfig, Sentinel};

/// How long a connection may take to come up.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take, beyond what the command itself waits for.
pub(super) const ANSWER: Duration = Duration::from_secs(5);
/// First and longest pause between attempts.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// A failure that lasts less is not told...
const SILENT: Duration = Duration::from_secs(2);
/// ...and one that lasts is told again after this.
const REMIND: Duration = Duration::from_mins(1);

/// How the Redis behind a forwarder or a queue fares; clones tell the same.
#[derive(Clone, Debug)]
pub struct RedisHealth {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    /// Microseconds; 0 while it works.
    failing_since: AtomicI64,
    depth: AtomicU64,
    removed: AtomicU64,
    /// What each consumer holds.
    pending: Mutex<Vec<(String, u64)>>,
    /// When it was last told that Redis cannot be used: once for all connections to it.
    told: Mutex<Option<Instant>>,
}

impl RedisHealth {
    pub(super) fn new(clock: Clock) -> Self {
        let (failing_since, depth, removed) = (AtomicI64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let (pending, told) = (Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { clock, failing_since, depth, removed, pending, told }) }
    }

    /// Since when Redis cannot be used; `None` while it can, or before it was tried.
    pub fn failing_since(&self) -> Option<Timestamp> {
        match self.shared.failing_since.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Timestamp::from_micros(micros)),
        }
    }

    /// Units in the stream when it was last looked at, about once a second. A unit holds one envelope or many.
    pub fn depth(&self) -> u64 {
        self.shared.depth.load(Ordering::Relaxed)
    }

    /// Entries of the stream that were no units of envelopes, and were removed.
    pub fn removed(&self) -> u64 {
        self.shared.removed.load(Ordering::Relaxed)
    }

    /// Units that each consumer of the group holds, those that are no more included, as of some seconds ago.
    pub fn pending(&self) -> Vec<(String, u64)> {
        self.shared.pending.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For how long Redis cannot be used; zero while it can.
    pub fn failing_for(&self) -> Duration {
        self.failing_since().map_or(Duration::ZERO, |since| self.shared.clock.now().since(since))
    }

    pub(super) fn note_removed(&self) {
        self.shared.removed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_depth(&self, units: u64) {
        self.shared.depth.store(units, Ordering::Relaxed);
    }

    pub(super) fn set_pending(&self, pending: Vec<(String, u64)>) {
        *self.shared.pending.lock().unwrap_or_else(PoisonError::into_inner) = pending;
    }

    fn told(&self) -> MutexGuard<'_, Option<Instant>> {
        self.shared.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a failure since then is to be told now.
    fn is_due(&self, since: Instant, now: Instant) -> bool {
        let mut told = self.told();
        let is_due = match *told {
            None => now - since >= SILENT,
            Some(told) => now - told >= REMIND,
        };
        if is_due {
            *told = Some(now);
        }
        is_due
    }

    fn note(&self, works: bool) {
        let now = if works { 0 } else { self.shared.clock.now().micros() };
        if works {
            self.shared.failing_since.store(0, Ordering::Relaxed);
        } else {
            let _ = self.shared.failing_since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    config: Arc<RedisConfig>,
    health: RedisHealth,
    /// How long an answer may take.
    answer: Duration,
    open: Option<MultiplexedConnection>,
    failing: Option<Failing>,
}

impl Link {
    pub(super) fn new(config: Arc<RedisConfig>, health: RedisHealth, answer: Duration) -> Self {
        Self { config, health, answer, open: None, failing: None }
    }

    /// The open connection, or a new one: then the second is true. Tries until there is one. Safe to cancel.
    pub(super) async fn connection(&mut self) -> (MultiplexedConnection, Freshness) {
        loop {
            if let Some(open) = &self.open {
                return (open.clone(), Freshness::Used);
            }
            match connect(&self.config, self.answer).await {
                Ok(opened) => {
                    self.open = Some(opened.clone());
                    return (opened, Freshness::New);
                }
                Err(error) => self.failed(Activity::Connect, &error).await,
            }
        }
    }

    /// Something worked. What Redis refused is over only when the same works again.
    pub(super) fn works(&mut self, at: Activity) {
        if self.failing.is_none_or(|failing| failing.refused.is_some_and(|refused| refused != at)) {
            return;
        }
        self.failing = None;
        self.health.note(true);
        if self.health.told().take().is_some() {
            tracing::info!(address = %Shown(&self.config), "redis can be used again");
        }
    }

    /// Something did not work: the connection is opened anew, at once the first time, and later after a pause.
    pub(super) async fn failed(&mut self, at: Activity, error: &RedisError) {
        self.open = None;
        let now = Instant::now();
        let Failing { since, times, .. } = self.failing.unwrap_or(Failing { since: now, times: 0, refused: None });
        let is_refusal = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
        let refused = (is_refusal && at != Activity::Connect).then_some(at);
        self.failing = Some(Failing { since, times: times + 1, refused });
        if times == 0 {
            tracing::debug!(error = %error, "redis connection is opened again");
            return;
        }
        self.health.note(false);
        if self.health.is_due(since, now) {
            tracing::warn!(error = %error, address = %Shown(&self.config), "redis cannot be used, will try again");
        }
        tokio::time::sleep((BACKOFF.0 * 2_u32.saturating_pow(times.min(10) - 1)).min(BACKOFF.1)).await;
    }
}

/// What a connection is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Activity {
    /// Opening it.
    Connect,
    /// Looking whether the queue is the same.
    Check,
    /// Putting units into the stream.
    Put,
    /// Reading new units.
    Read,
    /// Telling what became of units.
    Tell,
    /// Looking for units that others let lie.
    Look,
}

/// A row of failures.
#[derive(Clone, Copy, Debug)]
struct Failing {
    since: Instant,
    times: u32,
    /// Redis answered, but refuses this.
    refused: Option<Activity>,
}

/// Whether a connection was just opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Freshness {
    New,
    Used,
}

/// The address as a log may show it.
struct Shown<'a>(&'a RedisConfig);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0.address {
            RedisAddress::Tcp(host, port) => write!(f, "{host}:{port}"),
            RedisAddress::Unix(path) => write!(f, "{}", path.display()),
            RedisAddress::Sentinel(sentinel) => write!(f, "the master {} of sentinel", sentinel.master),
        }
    }
}

/// One attempt; with Sentinel, to the master of now.
pub(super) async fn connect(config: &RedisConfig, answer: Duration) -> RedisResult<MultiplexedConnection> {
    let user = RedisConnectionInfo::default().set_db(i64::from(config.db)).set_lib_name("message-broker", "1");
    let user = with_credentials(user, config.username.as_deref(), config.password.as_ref());
    match &config.address {
        RedisAddress::Tcp(host, port) => open(config, tcp(config, host, *port), user, answer).await,
        RedisAddress::Unix(path) => open(config, ConnectionAddr::Unix(path.clone()), user, answer).await,
        RedisAddress::Sentinel(sentinel) => {
            let (host, port) = find_master(config, sentinel).await?;
            let mut opened = open(config, tcp(config, &host, port), user, answer).await?;
            // Right after a failover a sentinel may still name the old one.
            let (role,): (String,) = first_of_role(&mut opened).await?;
            if role != "master" {
                return Err((ErrorKind::Io, "the master that sentinel names is a replica").into());
            }
            Ok(opened)
        }
    }
}

async fn first_of_role(connection: &mut MultiplexedConnection) -> RedisResult<(String,)> {
    let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(connection).await?;
    let first = role.into_iter().next().unwrap_or_default();
    Ok((redis::from_redis_value(first)?,))
}

async fn find_master(config: &RedisConfig, sentinel: &Sentinel) -> RedisResult<(String, u16)> {
    let mut last = RedisError::from((ErrorKind::InvalidClientConfig, "no sentinel is configured"));
    for (host, port) in &sentinel.addresses {
        let user = with_credentials(RedisConnectionInfo::default(), None, sentinel.password.as_ref());
        let asked = async {
            let mut connection = open(config, tcp(config, host, *port), user, ANSWER).await?;
            let mut ask = redis::cmd("SENTINEL");
            ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&sentinel.master);
            let named: Option<(String, u16)> = ask.query_async(&mut connection).await?;
            named.ok_or_else(|| (ErrorKind::Client, "sentinel does not know the master").into())
        };
        match asked.await {
            Ok(address) => return Ok(address),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn with_credentials(
    user: RedisConnectionInfo,
    name: Option<&str>,
    password: Option<&mb_core::Secret<String>>,
) -> RedisConnectionInfo {
    let user = if let Some(name) = name { user.set_username(name) } else { user };
    if let Some(password) = password { user.set_password(password.expose()) } else { user }
}

fn tcp(config: &RedisConfig, host: &str, port: u16) -> ConnectionAddr {
    if config.tls.is_none() {
        return ConnectionAddr::Tcp(host.to_owned(), port);
    }
    ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure: false, tls_params: None }
}

async fn open(
    config: &RedisConfig,
    address: ConnectionAddr,
    user: RedisConnectionInfo,
    answer: Duration,
) -> RedisResult<MultiplexedConnection> {
    let info = address.into_connection_info()?.set_redis_settings(user);
    let client = match (&config.tls, info.addr()) {
        (Some(tls), ConnectionAddr::TcpTls { .. }) => {
            let client_tls = tls.identity.as_ref().map(|(certificate, key)| ClientTlsConfig {
                client_cert: certificate.clone(),
                client_key: key.expose().clone(),
            });
            Client::build_with_tls(info, TlsCertificates { client_tls, root_cert: tls.ca.clone() })?
        }
        _ => Client::open(info)?,
    };
    // The library's own limit for answers is half a second, which would end every command that waits.
    let limits = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(answer));
    client.get_multiplexed_async_connection_with_config(&limits).await
}
