//! Configuration: embedded defaults, then `message-broker.toml`, `.env`, the environment; resolved to typed values before
//! anything starts.
//!
//! The embedded default file is the manual and the schema: a key exists because it stands there, its type is the type of
//! its default. Unknown keys are errors that name the nearest valid one, so a typing error never silently runs defaults.

mod layers;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use mb_core::Secret;
use mb_core::domain::MAX_RATE_LIMIT;
use rustls_pki_types::ServerName;
use serde::Deserialize;

pub use layers::Source;

/// The default file, which is also the manual.
pub const DEFAULT: &str = include_str!("config/default.toml");

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
    /// The portal.
    pub portal: Portal,
    /// The proxy's journal.
    pub journal: Journal,
    /// The queue.
    pub queue: Queue,
    /// The store.
    pub store: Store,
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
    /// Messages per minute and client; 0 is no limit.
    pub rate_limit: u32,
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
    /// Where other roles reach it.
    pub url: String,
}

impl Server {
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
    /// Address to listen on.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
    /// Register calls at the same time.
    pub concurrency: usize,
    /// Messages per register call.
    pub batch: usize,
}

/// `[portal]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Portal {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
    /// Where people reach it, `https://host[:port]`.
    pub url: String,
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
}

/// `[store]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// `sqlite://PATH`.
    pub url: String,
}

impl Store {
    /// Whether the database is a file of this machine.
    pub fn is_embedded(&self) -> bool {
        self.url.starts_with("sqlite:")
    }

    /// The password in the URL, still %-encoded; `None` for a database that has no user.
    pub fn password(&self) -> Option<String> {
        let (_, rest) = self.url.split_once("://").filter(|(scheme, _)| *scheme != "sqlite")?;
        let (user, _) = rest.rsplit_once('@')?;
        Some(user.split_once(':').map_or_else(String::new, |(_, password)| password.to_owned()))
    }
}

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

/// A value in effect and where it came from.
#[derive(Clone, Debug)]
pub struct Setting {
    /// `section.key`.
    pub key: String,
    /// The value as TOML.
    pub value: toml::Value,
    /// Which layer set it.
    pub source: Source,
}

impl Setting {
    /// The value as it may be shown: the password in a URL is hidden.
    pub fn shown(&self) -> toml::Value {
        let Some(text) = self.value.as_str() else { return self.value.clone() };
        let hidden = text.split_once("://").zip(text.rsplit_once('@')).and_then(|((scheme, _), (before, host))| {
            let (user, _) = before[scheme.len() + 3..].split_once(':')?;
            Some(format!("{scheme}://{user}:***@{host}"))
        });
        hidden.map_or_else(|| self.value.clone(), toml::Value::String)
    }
}

/// The configuration with the origin of each value.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Typed values.
    pub config: Config,
    /// Every key, sorted.
    pub settings: Vec<Setting>,
    /// What deserves a word but stops nothing, e.g. unknown `.env` keys.
    pub warnings: Vec<String>,
    /// The settings that are secrets and no keys: those of the environment, then those of `.env`.
    secrets: [Vec<(String, Secret<String>)>; 2],
}

impl Resolved {
    /// Reads every layer below `data_dir`.
    ///
    /// # Errors
    /// An unknown key, a value of the wrong type or out of range, an unreadable file; each names the key and its source.
    pub fn load(data_dir: &Path, environment: &[(String, String)]) -> Result<Self> {
        let resolved = layers::resolve(data_dir, environment)?;
        resolved.config.check()?;
        Ok(resolved)
    }

    /// A secret from the environment, a file named by `NAME_FILE`, or `.env`. Secrets never come from TOML or flags.
    ///
    /// # Errors
    /// The file that `NAME_FILE` names cannot be read.
    pub fn secret(&self, name: &str) -> Result<Option<Secret<String>>> {
        let file = format!("{name}_FILE");
        // A layer as a whole comes before the one below, whichever way it gives the value.
        for layer in &self.secrets {
            let find = |key: &str| layer.iter().find(|(known, _)| known == key).map(|(_, value)| value);
            if let Some(path) = find(&file) {
                let path = path.expose();
                let text = std::fs::read_to_string(path).with_context(|| format!("read {name}_FILE {path}"))?;
                let text = Secret::new(text);
                return Ok(Some(Secret::new(text.expose().trim_end_matches(['\r', '\n']).to_owned())));
            }
            if let Some(value) = find(name) {
                return Ok(Some(value.clone()));
            }
        }
        Ok(None)
    }
}

impl Config {
    /// Whether weak secrets are refused.
    pub const fn is_production(&self) -> bool {
        matches!(self.system.environment, Environment::Production)
    }

    fn check(&self) -> Result<()> {
        if !["error", "warn", "info", "debug", "trace"].contains(&self.log.level.to_ascii_lowercase().as_str()) {
            bail!("log.level is {:?}: use error, warn, info, debug or trace", self.log.level);
        }
        let ranges: [(&str, u64, u64, u64); 13] = [
            ("pki.component_validity", self.pki.component_validity, 15, 315_360_000),
            ("shutdown.drain_delay", self.shutdown.drain_delay, 0, 600),
            ("proxy.connections", self.proxy.connections as u64, 1, 1_000_000),
            ("proxy.in_flight", self.proxy.in_flight as u64, 1, 1_000_000),
            ("proxy.policy_max_age", self.proxy.policy_max_age, 60, 31_536_000),
            ("proxy.rate_limit", self.proxy.rate_limit.into(), 0, MAX_RATE_LIMIT.into()),
            ("server.connections", self.server.connections as u64, 1, 1_000_000),
            ("server.in_flight", self.server.in_flight as u64, 1, 1_000_000),
            ("worker.concurrency", self.worker.concurrency as u64, 1, 64),
            ("worker.batch", self.worker.batch as u64, 1, 5000),
            ("journal.keep_for", self.journal.keep_for, 0, 31_536_000),
            ("journal.segment_bytes", self.journal.segment_bytes, 1 << 20, 1 << 30),
            ("journal.max_bytes", self.journal.max_bytes, 4 * self.journal.segment_bytes, u64::MAX),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                bail!("{key} is {value}: allowed is {least} to {most}");
            }
        }
        for name in self.server.own_names() {
            if ServerName::try_from(name.strip_prefix("*.").unwrap_or(&name)).is_err() {
                bail!("server.primary_domain names {name:?}, which is neither a host name nor an address");
            }
        }
        if !self.portal.url.starts_with("https://") && !self.portal.url.starts_with("http://") {
            bail!("portal.url is {:?}: use https://HOST or https://HOST:PORT", self.portal.url);
        }
        if !self.store.is_embedded() {
            let scheme = self.store.url.split(':').next().unwrap_or_default();
            bail!("store.url has the scheme {scheme:?}: this version stores in sqlite://PATH only");
        }
        Ok(())
    }

    /// The database's file.
    pub fn store_path(&self, data_dir: &Path) -> PathBuf {
        let path = self.store.url.trim_start_matches("sqlite:").trim_start_matches("//");
        data_dir.join(path)
    }
}

/// The environment as pairs; names and values that are not UTF-8 are left out.
pub fn environment_pairs() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// One variable of the environment.
#[expect(clippy::disallowed_methods, reason = "this module is where configuration is read")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str, env: &[(&str, &str)]) -> Result<Resolved> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("message-broker.toml"), toml)?;
        let env: Vec<_> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Resolved::load(dir.path(), &env)
    }

    #[test]
    fn each_layer_overrides_the_one_below() {
        let plain = load("", &[]).expect("defaults are valid");
        assert_eq!(plain.config.proxy.port, 8001);
        let file = load("[proxy]\nport = 9001", &[]).expect("valid");
        assert_eq!(file.config.proxy.port, 9001);
        let env = load("[proxy]\nport = 9001", &[("MB_PROXY__PORT", "9002"), ("PROXY_HOST", "::1")]).expect("valid");
        assert_eq!((env.config.proxy.port, env.config.proxy.host.as_str()), (9002, "::1"));
    }

    #[test]
    fn unknown_keys_name_the_nearest_valid_one() {
        let error = |toml: &str, env: &[(&str, &str)]| format!("{:#}", load(toml, env).expect_err("refused"));
        assert!(error("[proxy]\nprot = 1", &[]).contains("proxy.port"));
        assert!(error("", &[("MB_PROXY__PROT", "1")]).contains("MB_PROXY__PORT"));
        assert!(error("", &[("MB_PROXY__PORT", "many")]).contains("MB_PROXY__PORT"));
        assert!(error("[worker]\nbatch = 0", &[]).contains("worker.batch"));
        assert!(error("[server]\nconnections = 0", &[]).contains("server.connections"));
        assert!(error("[journal]\nkeep_for = 99999999999", &[]).contains("journal.keep_for"));
        assert!(error("", &[("PRIMARY_DOMAIN", "ok.example, not ok")]).contains("server.primary_domain"));
        assert!(error("[store]\nurl = \"mysql://x\"", &[]).contains("sqlite"));
        assert!(error("[log]\nlevel = \"loud\"", &[]).contains("log.level"));
        assert!(error("[proxy\n", &[]).contains("message-broker.toml"));
    }

    #[test]
    fn dotenv_is_read_and_its_unknown_keys_only_warn() {
        let dir = tempfile::tempdir().expect("temporary folder");
        std::fs::write(dir.path().join(".env"), "# note\nPROXY_PORT=9005\nFOO='a b'\nexport LOG_LEVEL=\"WARN\"\n")
            .expect("written");
        let resolved = Resolved::load(dir.path(), &[]).expect("valid");
        assert_eq!(resolved.config.proxy.port, 9005);
        assert_eq!(resolved.config.log.level, "WARN");
        assert!(resolved.warnings.iter().any(|w| w.contains("FOO")), "{:?}", resolved.warnings);
    }

    #[test]
    fn several_names_can_be_given_for_component_certificates() {
        let names = |text: &str| load("", &[("PRIMARY_DOMAIN", text)]).expect("valid").config.server.own_names();
        assert_eq!(names("a.example, 10.0.0.7 ,*.b.example,"), ["a.example", "10.0.0.7", "*.b.example"]);
        assert!(names("").is_empty());
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        let shown = |text: &str| {
            let value = toml::Value::String(text.to_owned());
            Setting { key: "store.url".into(), value, source: Source::Default }.shown().to_string()
        };
        assert_eq!(shown("mysql://me:p%40ss@host/db"), "\"mysql://me:***@host/db\"");
        assert_eq!(shown("mysql+pymysql://me:a@b@host/db"), "\"mysql+pymysql://me:***@host/db\"");
        for plain in ["sqlite://message-broker.db", "https://localhost:8000", "a@b", "mysql://me@host/db"] {
            assert_eq!(shown(plain), format!("{plain:?}"));
        }
    }

    #[test]
    fn secrets_are_found_and_never_shown() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let kept = dir.path().join("password.txt");
        std::fs::write(&kept, "from-file\n").expect("written");
        std::fs::write(dir.path().join(".env"), "ADMIN_PASSWORD=from-dotenv\n").expect("written");
        let secret = |environment: &[(String, String)]| {
            let resolved = Resolved::load(dir.path(), environment).expect("valid");
            let found = resolved.secret("ADMIN_PASSWORD").expect("readable").expect("there is one");
            (found.expose().clone(), format!("{resolved:?}"))
        };
        let (found, shown) = secret(&[]);
        assert_eq!(found, "from-dotenv");
        assert!(!shown.contains("from-dotenv"));
        assert_eq!(secret(&[("ADMIN_PASSWORD_FILE".into(), kept.display().to_string())]).0, "from-file");
        assert_eq!(secret(&[("ADMIN_PASSWORD".into(), "from-environment".into())]).0, "from-environment");
    }
}
