//! What a configuration must hold beyond the types of its values.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use mb_core::domain::MAX_RATE_LIMIT;
use mb_core::{Egress, RetrySchedule};
use mb_server::backup::TimeOfDay;
use rustls_pki_types::ServerName;

use super::{Config, Delivery, Environment, Proxy};

impl Config {
    /// Whether weak secrets are refused.
    pub const fn is_production(&self) -> bool {
        matches!(self.system.environment, Environment::Production)
    }

    pub(super) fn check(&self) -> Result<()> {
        if !["error", "warn", "info", "debug", "trace"].contains(&self.log.level.to_ascii_lowercase().as_str()) {
            bail!("log.level is {:?}: use error, warn, info, debug or trace", self.log.level);
        }
        let ranges: [(&str, u64, u64, u64); 18] = [
            ("backup.keep_days", self.backup.keep_days, 1, 3650),
            ("redis.claim_idle", self.redis.claim_idle, 11, 3600),
            ("redis.forward_again", self.redis.forward_again, 1, 3600),
            ("pki.component_validity", self.pki.component_validity, 15, 315_360_000),
            ("shutdown.drain_delay", self.shutdown.drain_delay, 0, 600),
            ("proxy.connections", self.proxy.connections as u64, 1, 1_000_000),
            ("proxy.in_flight", self.proxy.in_flight as u64, 1, 1_000_000),
            ("proxy.policy_max_age", self.proxy.policy_max_age, 60, 31_536_000),
            ("proxy.rate_limit", self.proxy.rate_limit.into(), 0, MAX_RATE_LIMIT.into()),
            ("server.connections", self.server.connections as u64, 1, 1_000_000),
            ("server.in_flight", self.server.in_flight as u64, 1, 1_000_000),
            ("server.lease", self.server.lease, 3, 3600),
            ("worker.concurrency", self.worker.concurrency as u64, 1, 64),
            ("worker.batch", self.worker.batch as u64, 1, 5000),
            ("journal.keep_for", self.journal.keep_for, 0, 31_536_000),
            ("journal.window", self.journal.window as u64, 1000, 1_000_000),
            ("journal.segment_bytes", self.journal.segment_bytes, 1 << 20, 1 << 30),
            ("journal.max_bytes", self.journal.max_bytes, 4 * self.journal.segment_bytes, u64::MAX),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                bail!("{key} is {value}: allowed is {least} to {most}");
            }
        }
        self.mail.check()?;
        if TimeOfDay::parse(&self.backup.at).is_none() {
            bail!("backup.at is {:?}: use HH:MM as in 02:00", self.backup.at);
        }
        if let Err(part) = Egress::parse(&self.delivery.allow_cidrs) {
            bail!("delivery.allow_cidrs names {part:?}: use ADDRESS/BITS as in 127.0.0.0/8");
        }
        for name in self.server.own_names() {
            if ServerName::try_from(name.strip_prefix("*.").unwrap_or(&name)).is_err() {
                bail!("server.primary_domain names {name:?}, which is neither a host name nor an address");
            }
        }
        if Path::new(&self.server.encryption_key).file_name().is_none() {
            bail!("server.encryption_key is {:?}: use the path of a file", self.server.encryption_key);
        }
        self.delivery.schedule()?;
        let id = &self.worker.id;
        if id.len() > 63 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            bail!("worker.id is {id:?}: use at most 63 letters, digits and -_.");
        }
        if let Some(url) = self.proxy.urls().find(|url| !url.starts_with("https://")) {
            bail!("proxy.urls names {url:?}: use https://HOST:PORT, divided by commas");
        }
        let portal = self.portal.url(&self.server);
        if !portal.starts_with("https://") && !portal.starts_with("http://") {
            bail!("portal.url is {portal:?}: use https://HOST or https://HOST:PORT");
        }
        for (section, certificate, key) in [
            ("proxy", &self.proxy.certificate, &self.proxy.key),
            ("portal", &self.portal.certificate, &self.portal.key),
        ] {
            if certificate.is_empty() != key.is_empty() {
                bail!("{section}.certificate and {section}.key go together: set both or neither");
            }
        }
        let (scheme, rest) = self.store.url.split_once(':').unwrap_or_default();
        let is_server = matches!(scheme, "mysql" | "mysql+pymysql" | "mariadb") && rest.starts_with("//");
        if !self.store.is_embedded() && !is_server {
            bail!("store.url has the scheme {scheme:?}: use sqlite://PATH or mysql://USER:PASSWORD@HOST:PORT/DATABASE");
        }
        Ok(())
    }

    /// The file of the master key in use.
    pub fn encryption_key(&self, data_dir: &Path) -> PathBuf {
        data_dir.join(&self.server.encryption_key)
    }

    /// The database's file.
    pub fn store_path(&self, data_dir: &Path) -> PathBuf {
        let path = self.store.url.trim_start_matches("sqlite:").trim_start_matches("//");
        data_dir.join(path)
    }
}

impl Proxy {
    /// Where clients reach the proxies.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.urls.split(',').map(str::trim).filter(|url| !url.is_empty())
    }

    /// Where the main server reaches them: as clients do, or on this machine where none are named.
    pub fn reached_at(&self) -> Vec<String> {
        let named: Vec<_> = self.urls().map(str::to_owned).collect();
        if named.is_empty() { vec![format!("https://localhost:{}", self.port)] } else { named }
    }
}

impl Delivery {
    /// How destinations without a schedule of their own are tried.
    ///
    /// # Errors
    /// One of the two settings alone, or out of range.
    pub fn schedule(&self) -> Result<RetrySchedule> {
        let (interval, attempts) = (self.retry_interval, self.max_attempts);
        if (interval, attempts) == (0, 0) {
            return Ok(RetrySchedule::default());
        }
        RetrySchedule::parse(&format!("fixed:{interval}s*{attempts}")).with_context(|| {
            format!(
                "delivery.retry_interval is {interval} and delivery.max_attempts {attempts}: allowed are 1 to 604800 and 1 to \
                 100000, or 0 for both"
            )
        })
    }
}
