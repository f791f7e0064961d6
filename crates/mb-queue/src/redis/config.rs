//! What an operator may set about Redis.

use std::path::PathBuf;
use std::time::Duration;

use mb_core::Secret;
use redis::{ConnectionAddr, IntoConnectionInfo};

/// Redis' own port.
const PORT: u16 = 6379;

/// Where Redis is and how it is used.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// Where it is.
    pub address: RedisAddress,
    /// The database number.
    pub db: u16,
    /// The user of Redis' access control lists; `None` for the default user.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret<String>>,
    /// TLS, for Redis and for Sentinel; `None` for plain connections.
    pub tls: Option<RedisTls>,
    /// The key of the stream.
    pub stream: String,
    /// The name of the consumer group.
    pub group: String,
    /// A unit that a worker took and did not acknowledge for this long goes to another one. It has to be longer than a register
    /// call may take.
    pub claim_idle: Duration,
    /// How often a worker without work looks for such units; also how often a proxy looks whether the stream is still the same.
    pub check_every: Duration,
    /// Use a Redis that throws data away when its memory is full: what it threw away is forwarded again.
    pub allow_eviction: bool,
}

/// Where Redis is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RedisAddress {
    /// A host name or address, and a port.
    Tcp(String, u16),
    /// A socket file.
    Unix(PathBuf),
    /// Wherever Sentinel says that the master is.
    Sentinel(Sentinel),
}

/// How to ask Sentinel.
#[derive(Clone, Debug)]
pub struct Sentinel {
    /// The name under which it watches the master.
    pub master: String,
    /// The sentinels; the first that answers is believed.
    pub addresses: Vec<(String, u16)>,
    /// The password of the sentinels themselves, if they have one.
    pub password: Option<Secret<String>>,
}

/// Two are equal if they ask the same sentinels for the same master.
impl PartialEq for Sentinel {
    fn eq(&self, other: &Self) -> bool {
        self.master == other.master && self.addresses == other.addresses
    }
}

impl Eq for Sentinel {}

/// How TLS is spoken. What is `None` comes from the system or is not sent.
#[derive(Clone, Debug, Default)]
pub struct RedisTls {
    /// Certificates of the authorities to trust, PEM; `None` for those of the system.
    pub ca: Option<Vec<u8>>,
    /// Certificate chain and private key of this client, PEM.
    pub identity: Option<(Vec<u8>, Secret<Vec<u8>>)>,
}

/// Why an address of Redis is not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RedisConfigError {
    /// Not an address, or one of a kind that is not known. Says nothing of what was given, which may hold a password.
    #[error("expected redis://, rediss:// or unix://, as in rediss://user:password@host:6379/0")]
    Url,
    /// TLS without a check of the server is not offered.
    #[error("#insecure is not supported: trust the certificate's authority instead")]
    Insecure,
    /// A number that no Redis has.
    #[error("the database number is out of range")]
    Database,
}

impl RedisConfig {
    /// The defaults, for an address.
    pub fn new(address: RedisAddress) -> Self {
        Self {
            address,
            db: 0,
            username: None,
            password: None,
            tls: None,
            stream: "message-broker:queue".to_owned(),
            group: "workers".to_owned(),
            claim_idle: Duration::from_mins(1),
            check_every: Duration::from_secs(1),
            allow_eviction: false,
        }
    }

    /// Reads `redis://[[user]:password@]host[:port][/db]`, `rediss://` for TLS, or
    /// `unix:///path[?db=0&user=..&pass=..]`; the rest are the defaults.
    ///
    /// # Errors
    /// [`RedisConfigError`], which never repeats what was given.
    pub fn from_url(url: &str) -> Result<Self, RedisConfigError> {
        let info = url.into_connection_info().map_err(|_| RedisConfigError::Url)?;
        let (address, tls) = match info.addr() {
            ConnectionAddr::Tcp(host, port) => (RedisAddress::Tcp(host.clone(), *port), None),
            ConnectionAddr::TcpTls { insecure: true, .. } => return Err(RedisConfigError::Insecure),
            ConnectionAddr::TcpTls { host, port, .. } => {
                (RedisAddress::Tcp(host.clone(), *port), Some(RedisTls::default()))
            }
            ConnectionAddr::Unix(path) => (RedisAddress::Unix(path.clone()), None),
            _ => return Err(RedisConfigError::Url),
        };
        let settings = info.redis_settings();
        Ok(Self {
            db: u16::try_from(settings.db()).map_err(|_| RedisConfigError::Database)?,
            username: settings.username().map(str::to_owned),
            password: settings.password().map(|password| Secret::new(password.to_owned())),
            tls,
            ..Self::new(address)
        })
    }
}

/// This machine's own Redis.
impl Default for RedisConfig {
    fn default() -> Self {
        Self::new(RedisAddress::Tcp("localhost".to_owned(), PORT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> RedisAddress {
        RedisAddress::Tcp(host.to_owned(), port)
    }

    #[test]
    fn addresses_are_read_with_all_their_parts() {
        let full = RedisConfig::from_url("rediss://worker:p%40ss%2Fword@redis.example:6390/3").expect("valid");
        assert_eq!(full.address, tcp("redis.example", 6390));
        assert_eq!((full.db, full.username.as_deref()), (3, Some("worker")));
        assert_eq!(full.password.as_ref().map(|p| p.expose().as_str()), Some("p@ss/word"));
        assert!(full.tls.is_some());
        let short = RedisConfig::from_url("redis://10.0.0.7").expect("valid");
        assert_eq!((short.address, short.db), (tcp("10.0.0.7", 6379), 0));
        assert!(short.tls.is_none() && short.password.is_none() && short.username.is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_file_is_an_address() {
        let unix = RedisConfig::from_url("unix:///run/redis/redis.sock?db=2&pass=word").expect("valid");
        assert_eq!(unix.address, RedisAddress::Unix("/run/redis/redis.sock".into()));
        assert_eq!((unix.db, unix.password.map(|p| p.expose().clone())), (2, Some("word".to_owned())));
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for (bad, error) in [
            ("", RedisConfigError::Url),
            ("localhost:6379", RedisConfigError::Url),
            ("http://secret@host", RedisConfigError::Url),
            ("redis://:secret@host:notaport", RedisConfigError::Url),
            ("redis://:secret@host/notanumber", RedisConfigError::Url),
            ("redis://:secret@host/-1", RedisConfigError::Database),
            ("rediss://:secret@host/#insecure", RedisConfigError::Insecure),
        ] {
            let refused = RedisConfig::from_url(bad).expect_err(bad);
            assert_eq!(refused, error, "{bad}");
            assert!(!format!("{refused} {refused:?}").contains("secret"));
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let config = RedisConfig::from_url("redis://user:hunter2@host").expect("valid");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
