//! The sections of the configuration, typed. What each key means stands in the default file.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Mail, Redis};

/// Everything that can be configured, typed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The system as a whole.
    pub system: System,
    /// Stopping.
    pub shutdown: Shutdown,
    /// The proxy.
    pub proxy: Proxy,
    /// The main server.
    pub server: Server,
    /// The certificate authority.
    pub pki: Pki,
    /// The worker.
    pub worker: Worker,
    /// Delivering.
    pub delivery: Delivery,
    /// The portal.
    pub portal: Portal,
    /// The proxy's journal.
    pub journal: Journal,
    /// The queue.
    pub queue: Queue,
    /// The queue's Redis.
    pub redis: Redis,
    /// The store.
    pub store: Store,
    /// Mail.
    pub mail: Mail,
    /// Backups.
    pub backup: Backup,
    /// Logging.
    pub log: Log,
    /// Metrics.
    pub metrics: Metrics,
}

/// `[system]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// How strict it is.
    pub environment: Environment,
}

/// What the system is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Trying out.
    #[serde(alias = "dev", alias = "test", alias = "staging")]
    Development,
    /// Real messages.
    #[serde(alias = "prod")]
    Production,
}

/// `[shutdown]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// Seconds.
    pub drain_delay: u64,
}

/// `[proxy]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
    /// The most connections.
    pub connections: usize,
    /// The most requests in flight.
    pub in_flight: usize,
    /// Seconds.
    pub policy_max_age: u64,
    /// URLs divided by commas.
    pub urls: String,
    /// Messages per minute and client; 0 is no limit.
    pub rate_limit: u32,
    /// The certificate that it shows, if not its component's own; relative to the data directory.
    pub certificate: String,
    /// The key of that.
    pub key: String,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
    /// The most connections.
    pub connections: usize,
    /// The most requests in flight.
    pub in_flight: usize,
    /// Extra names and addresses for component certificates, separated by commas; empty = none.
    pub primary_domain: String,
    /// Where other roles reach it; empty: see [`Server::url`].
    pub url: String,
    /// The file of the master key in use; relative to the data directory.
    pub encryption_key: String,
    /// Seconds.
    pub lease: u64,
}

impl Server {
    /// Where other roles reach it: on this machine, unless it is said.
    pub fn url(&self) -> String {
        if self.url.is_empty() { format!("https://localhost:{}", self.port) } else { self.url.clone() }
    }

    /// The names in `primary_domain`.
    pub fn own_names(&self) -> Vec<String> {
        self.primary_domain.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}

/// `[pki]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pki {
    /// Seconds.
    pub component_validity: u64,
}

/// `[worker]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// Part of its name; empty for the machine's name.
    pub id: String,
    /// Address to listen on.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
    /// Register calls at the same time.
    pub concurrency: usize,
    /// Messages per register call.
    pub batch: usize,
}

/// `[delivery]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Seconds; 0 with [`Delivery::max_attempts`] for the default schedule.
    pub retry_interval: u32,
    /// Tries at that interval.
    pub max_attempts: u32,
    /// Networks divided by commas.
    pub allow_cidrs: String,
}

/// `[portal]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Portal {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
    /// Where people reach it, `https://host[:port]`; empty: see [`Portal::url`].
    pub url: String,
    /// The certificate that it shows, if not its component's own; relative to the data directory.
    pub certificate: String,
    /// The key of that.
    pub key: String,
}

impl Portal {
    /// Where people reach it, unless it is said: by the first name of `server`, else on this machine alone.
    pub fn url(&self, server: &Server) -> String {
        if !self.url.is_empty() {
            return self.url.clone();
        }
        let name = server.own_names().into_iter().next().unwrap_or_else(|| "localhost".to_owned());
        let name = if name.parse::<Ipv6Addr>().is_ok() { format!("[{name}]") } else { name };
        format!("https://{name}:{}", self.port)
    }
}

/// `[journal]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    /// Bytes.
    pub max_bytes: u64,
    /// Bytes.
    pub segment_bytes: u64,
    /// Seconds.
    pub keep_for: u64,
    /// Messages.
    pub window: usize,
}

/// `[queue]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// Which queue carries messages from proxies to workers.
    pub backend: QueueBackend,
}

/// The queues there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueBackend {
    /// The journal itself, in one process.
    Embedded,
    /// A stream in Redis.
    Redis,
}

/// `[store]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// `sqlite://PATH` or `mysql://USER:PASSWORD@HOST:PORT/DATABASE`.
    pub url: String,
    /// Whether a server that may lose what it has answered is used all the same.
    pub allow_forgetful: bool,
}

impl Store {
    /// Whether the database is a file of this machine.
    pub fn is_embedded(&self) -> bool {
        self.url.starts_with("sqlite:")
    }

    /// The host in the URL; `None` for a file.
    pub fn host(&self) -> Option<&str> {
        let (_, rest) = self.url.split_once("://").filter(|(scheme, _)| *scheme != "sqlite")?;
        let place = rest.split(['/', '?']).next()?;
        let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
        match host.strip_prefix('[') {
            Some(v6) => v6.split(']').next(),
            None => host.split(':').next(),
        }
    }

    /// The password in the URL, still %-encoded; `None` for a database that has no user.
    pub fn password(&self) -> Option<String> {
        let (_, rest) = self.url.split_once("://").filter(|(scheme, _)| *scheme != "sqlite")?;
        let (user, _) = rest.rsplit_once('@')?;
        Some(user.split_once(':').map_or_else(String::new, |(_, password)| password.to_owned()))
    }
}

/// `[backup]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// Whether one is made every day.
    pub enabled: bool,
    /// `HH:MM`, UTC.
    pub at: String,
    /// Relative to the data directory; empty = the usual place.
    pub dir: String,
    /// Days.
    pub keep_days: u64,
    /// Relative to the data directory; empty = none.
    pub key_file: String,
}

impl Backup {
    /// Where backups are put.
    pub fn place(&self, data_dir: &Path) -> PathBuf {
        if self.dir.is_empty() { data_dir.join(USUAL_PLACE) } else { data_dir.join(&self.dir) }
    }
}

/// An absolute path stays what it is when it is joined.
#[cfg(windows)]
const USUAL_PLACE: &str = r"C:\Backups\MessageBroker";
#[cfg(not(windows))]
const USUAL_PLACE: &str = "backups";

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Least level shown.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
    /// Directory of the log files, relative to the data directory.
    pub dir: PathBuf,
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Pretty on a terminal, else JSON.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// `[metrics]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Whether `/metrics` answers.
    pub enabled: bool,
    /// Whether loopback needs no certificate for it.
    pub loopback: bool,
}
