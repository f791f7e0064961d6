//! `[redis]`: where the queue between proxies and workers is, if it is not embedded.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mb_queue::{RedisAddress, RedisConfig, RedisTls, Sentinel};
use serde::Deserialize;

use super::Resolved;

/// `[redis]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database number.
    pub db: u16,
    /// User of its access control lists; empty: the default user.
    pub username: String,
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// A file of CA certificates; empty: the system's.
    pub ca: String,
    /// Sentinels, `host:port` separated by commas; empty: none.
    pub sentinels: String,
    /// The name under which the sentinels know the master.
    pub master: String,
    /// Key of the stream.
    pub stream: String,
    /// Whether an evicting Redis is used all the same.
    pub allow_eviction: bool,
    /// Seconds after which another worker takes what one did not acknowledge.
    pub claim_idle: u64,
    /// Seconds after which an overtaken entry is forwarded again.
    pub forward_again: u64,
}

impl Redis {
    /// How the queue is reached: `REDIS_URL`, or what the section says, with `REDIS_PASSWORD`.
    ///
    /// # Errors
    /// A part is no address, a file cannot be read.
    pub fn resolve(&self, resolved: &Resolved, data_dir: &Path) -> Result<RedisConfig> {
        let mut config = if let Some(url) = resolved.secret("REDIS_URL")? {
            RedisConfig::from_url(url.expose()).context("read REDIS_URL")?
        } else {
            let tls = self.tls.then(RedisTls::default);
            RedisConfig { db: self.db, tls, ..RedisConfig::new(self.address(resolved)?) }
        };
        if !self.username.is_empty() {
            config.username = Some(self.username.clone());
        }
        if let Some(password) = resolved.secret("REDIS_PASSWORD")?.filter(|password| !password.expose().is_empty()) {
            config.password = Some(password);
        }
        if let Some(tls) = config.tls.as_mut().filter(|_| !self.ca.is_empty()) {
            let path = data_dir.join(&self.ca);
            tls.ca = Some(std::fs::read(&path).with_context(|| format!("read redis.ca {}", path.display()))?);
        }
        config.stream.clone_from(&self.stream);
        config.claim_idle = Duration::from_secs(self.claim_idle);
        config.allow_eviction = self.allow_eviction;
        Ok(config)
    }

    fn address(&self, resolved: &Resolved) -> Result<RedisAddress> {
        if self.sentinels.is_empty() {
            return Ok(RedisAddress::Tcp(self.host.clone(), self.port));
        }
        let address = |text: &str| {
            let (host, port) = text.trim().rsplit_once(':')?;
            Some((host.to_owned(), port.parse().ok()?))
        };
        let addresses: Option<Vec<_>> = self.sentinels.split(',').map(address).collect();
        let Some(addresses) = addresses else { bail!("redis.sentinels must be host:port, separated by commas") };
        let password = resolved.secret("REDIS_SENTINEL_PASSWORD")?;
        Ok(RedisAddress::Sentinel(Sentinel { master: self.master.clone(), addresses, password }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;
    use super::*;

    fn resolve(pairs: &[(&str, &str)]) -> RedisConfig {
        let resolved = load("", pairs).expect("valid");
        resolved.config.redis.resolve(&resolved, Path::new(".")).expect("resolves")
    }

    #[test]
    fn the_guides_names_are_understood_and_a_url_comes_first() {
        let guide = [("REDIS_HOST", "10.0.0.7"), ("REDIS_PORT", "6390"), ("REDIS_DB", "2"), ("REDIS_PASSWORD", "word")];
        let config = resolve(&guide);
        assert_eq!(config.address, RedisAddress::Tcp("10.0.0.7".into(), 6390));
        assert_eq!((config.db, config.password.map(|p| p.expose().clone())), (2, Some("word".to_owned())));
        let url = resolve(&[guide[0], ("REDIS_URL", "rediss://u:p%40ss@redis.example/3")]);
        assert_eq!(url.address, RedisAddress::Tcp("redis.example".into(), 6379));
        assert_eq!((url.db, url.username.as_deref(), url.tls.is_some()), (3, Some("u"), true));
    }

    #[test]
    fn sentinels_are_asked_for_the_master() {
        let config = resolve(&[("MB_REDIS__SENTINELS", "a:26379, b:26380"), ("MB_REDIS__MASTER", "queue")]);
        let RedisAddress::Sentinel(sentinel) = config.address else { panic!("no sentinel") };
        assert_eq!((sentinel.master.as_str(), sentinel.addresses.len()), ("queue", 2));
    }
}
