//! Configuration: embedded defaults, then `message-broker.toml`, `.env`, the environment, `--set`; resolved to typed values
//! before anything starts.
//!
//! The embedded default file is the manual and the schema: a key exists because it stands there, its type is the type of
//! its default. Unknown keys are errors that name the nearest valid one, so a typing error never silently runs defaults.

mod check;
mod layers;
mod mail;
mod redis;
mod sections;

use std::path::Path;

use anyhow::{Context, Result};
use mb_core::Secret;

use crate::layout::Layout;

pub use layers::{Named, Source};
pub use mail::{Mail, MailTls};
pub use redis::Redis;
pub use sections::*;

/// The default file, which is also the manual.
pub const DEFAULT: &str = include_str!("config/default.toml");

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
        Self::load_with(data_dir, environment, &[])
    }

    /// Reads every layer of this process: below the data directory, of its environment, of its command line.
    ///
    /// # Errors
    /// As [`Resolved::load`].
    pub fn of(layout: &Layout) -> Result<Self> {
        Self::load_with(layout.root(), &environment_pairs(), layout.settings())
    }

    fn load_with(data_dir: &Path, environment: &[(String, String)], flags: &[(String, String)]) -> Result<Self> {
        let resolved = layers::resolve(data_dir, environment, flags)?;
        resolved.config.check()?;
        Ok(resolved)
    }

    /// The names of the secrets that are others than those of `earlier`, as far as the settings themselves tell.
    pub fn changed_secrets<'a>(&'a self, earlier: &'a Self) -> impl Iterator<Item = &'a str> {
        let differs = |name: &&str| {
            let of = |resolved: &Self| resolved.secret(name).ok().flatten().map(|secret| secret.expose().clone());
            of(self) != of(earlier)
        };
        layers::SECRETS.iter().copied().filter(differs).collect::<Vec<_>>().into_iter()
    }

    /// The secrets that are set, and where; the layer that counts comes first.
    pub fn set_secrets(&self) -> Vec<(String, Source)> {
        let mut set = Vec::<(String, Source)>::new();
        for (layer, source) in self.secrets.iter().zip([Source::Environment, Source::DotEnv]) {
            for (name, _) in layer {
                let name = name.strip_suffix("_FILE").unwrap_or(name);
                if set.iter().all(|(known, _)| known != name) {
                    set.push((name.to_owned(), source));
                }
            }
        }
        set
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

/// The lines of an `.env` that set something this version knows, and what that is.
pub fn known_lines(text: &str) -> Vec<(Named, String)> {
    layers::known_lines(text)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn load(toml: &str, env: &[(&str, &str)]) -> Result<Resolved> {
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
    fn main_server_and_portal_are_at_their_ports_unless_they_are_elsewhere() {
        let url = |env: &[(&str, &str)]| load("", env).expect("valid").config.server.url();
        assert_eq!(url(&[]), "https://localhost:8000");
        assert_eq!(url(&[("MAIN_SERVER_PORT", "18000")]), "https://localhost:18000");
        assert_eq!(url(&[("MAIN_SERVER_PORT", "1"), ("MAIN_SERVER_URL", "https://a:2")]), "https://a:2");
        let portal = |name: &str, value: &str| {
            let config = load("", &[("PORTAL_PORT", "1"), (name, value)]).expect("valid").config;
            config.portal.url(&config.server)
        };
        assert_eq!(portal("PRIMARY_DOMAIN", ""), "https://localhost:1");
        assert_eq!(portal("PRIMARY_DOMAIN", "broker.example.com, 10.1.2.3"), "https://broker.example.com:1");
        assert_eq!(portal("PRIMARY_DOMAIN", "fd00::1"), "https://[fd00::1]:1");
        assert_eq!(portal("PORTAL_URL", "https://portal.example"), "https://portal.example");
    }

    #[test]
    fn the_command_line_overrides_everything_and_takes_no_password() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let with = |key: &str, value: &str| {
            let layout = Layout::new(dir.path()).with_settings(vec![(key.to_owned(), value.to_owned())]);
            let environment = [("MB_PROXY__PORT".to_owned(), "9002".to_owned())];
            Resolved::load_with(layout.root(), &environment, layout.settings())
        };
        let flag = with("proxy.port", "9003").expect("valid");
        let shown = flag.settings.iter().find(|setting| setting.key == "proxy.port").expect("it is a key");
        assert_eq!((flag.config.proxy.port, shown.source.to_string()), (9003, "--set".to_owned()));
        for (key, value, says) in [
            ("proxy.prot", "1", "did you mean proxy.port?"),
            ("proxy.port", "many", "must be of type integer"),
            ("store.url", "mysql://u:secret@h/d", "set DATABASE_URL instead"),
        ] {
            let error = format!("{:#}", with(key, value).expect_err("refused"));
            assert!(error.contains(says) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_guides_names_for_the_worker_are_heeded() {
        let of = |pairs: &[(&str, &str)]| load("", pairs).map(|resolved| resolved.config);
        let config = of(&[("WORKER_ID", "w-7"), ("WORKER_RETRY_INTERVAL", "30"), ("WORKER_MAX_ATTEMPTS", "10000")]);
        let config = config.expect("valid");
        assert_eq!(config.worker.id, "w-7");
        assert_eq!(config.delivery.schedule().expect("valid").to_string(), "fixed:30s*10000");
        assert_eq!(of(&[]).expect("valid").delivery.schedule().expect("valid"), mb_core::RetrySchedule::default());
        let error = of(&[("WORKER_RETRY_INTERVAL", "30")]).expect_err("half").to_string();
        assert!(error.contains("max_attempts"), "{error}");
        let config = of(&[("PROXY_URLS", "https://a:8001, https://b:8001")]).expect("valid");
        assert_eq!(config.proxy.urls().collect::<Vec<_>>(), ["https://a:8001", "https://b:8001"]);
        assert!(of(&[("PROXY_URLS", "a:8001")]).is_err());
    }

    #[test]
    fn the_databases_address_may_stand_in_a_file() {
        let dir = tempfile::tempdir().expect("temporary folder");
        std::fs::write(dir.path().join("url"), "mysql://u:pw@h/d\n").expect("writes");
        let resolved = |file: &str| Resolved::load(dir.path(), &[("DATABASE_URL_FILE".to_owned(), file.to_owned())]);
        assert_eq!(resolved("url").expect("valid").config.store.url, "mysql://u:pw@h/d");
        assert!(format!("{:#}", resolved("none").expect_err("is not there")).contains("DATABASE_URL_FILE"));
    }

    #[test]
    fn a_slip_in_the_file_is_told_by_line_and_without_its_text() {
        let error =
            format!("{:#}", load("[proxy]\n\n[store]\nurl = \"mysql://u:secret@h/d\n", &[]).expect_err("no TOML"));
        assert!(error.contains("line 4") && !error.contains("secret"), "{error}");
        let error = format!("{:#}", load("[store]\nurl = \"mysql:name\"", &[]).expect_err("no address"));
        assert!(error.contains("mysql://USER:PASSWORD@HOST"), "{error}");
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
        assert!(error("[store]\nurl = \"postgres://x\"", &[]).contains("sqlite"));
        assert!(error("", &[("PORTAL_URL", "portal.example")]).contains("portal.url"));
        assert!(error("[log]\nlevel = \"loud\"", &[]).contains("log.level"));
        assert!(error("", &[("ENCRYPTION_KEY_PATH", "")]).contains("server.encryption_key"));
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
    fn the_master_key_lies_where_the_configuration_says() {
        let key = |env: &[(&str, &str)]| load("", env).expect("valid").config.encryption_key(Path::new("/data"));
        assert_eq!(key(&[]), Path::new("/data/secrets/encryption.key"));
        assert_eq!(
            key(&[("ENCRYPTION_KEY_PATH", "secrets/encryption.key")]),
            Path::new("/data/secrets/encryption.key")
        );
        assert_eq!(key(&[("ENCRYPTION_KEY_PATH", "/mnt/hsm/master.key")]), Path::new("/mnt/hsm/master.key"));
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
