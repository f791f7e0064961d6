//! The layers under the typed configuration: where each value comes from and what it overrides.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use mb_core::Secret;
use toml::{Table, Value};

use super::{Config, DEFAULT, Resolved, Setting};

/// Which layer a value came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The embedded default file.
    Default,
    /// `message-broker.toml` in the data directory.
    File,
    /// `.env` in the data directory.
    DotEnv,
    /// The environment.
    Environment,
    /// `--set` on the command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "message-broker.toml",
            Self::DotEnv => ".env",
            Self::Environment => "environment",
            Self::Flag => "--set",
        })
    }
}

/// The deployment guide's names for keys.
const ALIASES: &[(&str, &str)] = &[
    ("ENVIRONMENT", "system.environment"),
    ("PROXY_HOST", "proxy.host"),
    ("PROXY_PORT", "proxy.port"),
    ("MAIN_SERVER_HOST", "server.host"),
    ("MAIN_SERVER_PORT", "server.port"),
    ("PRIMARY_DOMAIN", "server.primary_domain"),
    ("MAIN_SERVER_URL", "server.url"),
    ("ENCRYPTION_KEY_PATH", "server.encryption_key"),
    ("METRICS_HOST", "worker.host"),
    ("METRICS_PORT", "worker.port"),
    ("METRICS_ENABLED", "metrics.enabled"),
    ("WORKER_ID", "worker.id"),
    ("WORKER_CONCURRENCY", "worker.concurrency"),
    ("WORKER_RETRY_INTERVAL", "delivery.retry_interval"),
    ("WORKER_MAX_ATTEMPTS", "delivery.max_attempts"),
    ("PROXY_URLS", "proxy.urls"),
    ("PORTAL_HOST", "portal.host"),
    ("PORTAL_PORT", "portal.port"),
    ("PORTAL_URL", "portal.url"),
    ("DATABASE_URL", "store.url"),
    ("REDIS_HOST", "redis.host"),
    ("REDIS_PORT", "redis.port"),
    ("REDIS_DB", "redis.db"),
    ("SMTP_HOST", "mail.host"),
    ("SMTP_PORT", "mail.port"),
    ("SMTP_USER", "mail.user"),
    ("SMTP_FROM", "mail.from"),
    ("LOG_LEVEL", "log.level"),
    ("LOG_FILE_PATH", "log.dir"),
];

/// Settings that are secrets and no keys: never from TOML or flags. Each may also be `NAME_FILE`, the path of a file.
pub(super) const SECRETS: &[&str] = &[
    "ADMIN_EMAIL",
    "ADMIN_PASSWORD",
    "JWT_SECRET",
    "MB_BACKUP__PASSPHRASE",
    "REDIS_PASSWORD",
    "REDIS_SENTINEL_PASSWORD",
    "REDIS_URL",
    "SMTP_PASSWORD",
];

/// Names that are read elsewhere and are no keys.
const NOT_KEYS: [&str; 1] = ["MB_DATA_DIR"];

/// A key that may hold a password, and so may be read from a file like a secret.
const DATABASE_URL: &str = "DATABASE_URL";

/// Variables that only the test suite reads.
const TEST_PREFIXES: [&str; 2] = ["MB_SKIP_", "MB_TEST_"];

pub(super) fn resolve(
    data_dir: &Path,
    environment: &[(String, String)],
    flags: &[(String, String)],
) -> Result<Resolved> {
    let defaults: Table = DEFAULT.parse().context("parse the embedded defaults")?;
    let mut settings =
        flatten(&defaults).map(|(key, value)| Setting { key, value, source: Source::Default }).collect::<Vec<_>>();
    settings.sort_by(|a, b| a.key.cmp(&b.key));
    let mut warnings = Vec::new();

    if let Some(text) = read_optional(&data_dir.join("message-broker.toml"))? {
        let table = parse_toml(&text)?;
        for (key, value) in flatten(&table) {
            let setting = find(&mut settings, &key)
                .map_err(|nearest| anyhow!("message-broker.toml: unknown key {key}; did you mean {nearest}?"))?;
            if value.type_str() != setting.value.type_str() {
                bail!("message-broker.toml: {key} must be of type {}", setting.value.type_str());
            }
            (setting.value, setting.source) = (value, Source::File);
        }
    }
    let dotenv = read_optional(&data_dir.join(".env"))?.map(|text| parse_dotenv(&text)).unwrap_or_default();
    for (layer, source) in [(dotenv.as_slice(), Source::DotEnv), (environment, Source::Environment)] {
        apply_variables(&mut settings, &with_database(data_dir, layer)?, source, &mut warnings)?;
    }
    apply_flags(&mut settings, flags)?;
    let config: Config = rebuild(&settings).try_into().context("read the configuration")?;
    let hidden = |layer: &[(String, String)]| {
        let secret = |name: &String| SECRETS.iter().any(|known| name.strip_suffix("_FILE").unwrap_or(name) == *known);
        let kept = layer.iter().filter(|(name, _)| secret(name));
        kept.map(|(name, value)| (name.clone(), Secret::new(value.clone()))).collect::<Vec<_>>()
    };
    let secrets = [hidden(environment), hidden(&dotenv)];
    Ok(Resolved { config, settings, warnings, secrets })
}

/// The parser's own text shows the line, which may hold a password.
fn parse_toml(text: &str) -> Result<Table> {
    text.parse::<Table>().map_err(|error| {
        let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or_default());
        let line = before.matches('\n').count() + 1;
        anyhow!("message-broker.toml: line {line}: {}", error.message())
    })
}

/// The layer with the database's address, if it stands in a file.
fn with_database(data_dir: &Path, layer: &[(String, String)]) -> Result<Vec<(String, String)>> {
    let mut pairs = layer.to_vec();
    let file = format!("{DATABASE_URL}_FILE");
    if let Some(at) = pairs.iter().position(|(name, _)| *name == file) {
        let path = data_dir.join(pairs.remove(at).1);
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {file} {}", path.display()))?;
        pairs.retain(|(name, _)| name != DATABASE_URL);
        pairs.push((DATABASE_URL.to_owned(), text.trim_end_matches(['\r', '\n']).to_owned()));
    }
    Ok(pairs)
}

fn apply_flags(settings: &mut [Setting], flags: &[(String, String)]) -> Result<()> {
    for (key, text) in flags {
        let setting = find(settings, key)
            .map_err(|nearest| anyhow!("{}: unknown key {key}; did you mean {nearest}?", Source::Flag))?;
        if key == "store.url" && text.contains('@') {
            bail!("{}: everybody on this machine can read a command line: set {DATABASE_URL} instead", Source::Flag);
        }
        setting.value = typed(&setting.value, text)
            .ok_or_else(|| anyhow!("{}: {key} must be of type {}", Source::Flag, setting.value.type_str()))?;
        setting.source = Source::Flag;
    }
    Ok(())
}

fn apply_variables(
    settings: &mut [Setting],
    layer: &[(String, String)],
    source: Source,
    warnings: &mut Vec<String>,
) -> Result<()> {
    // MB_SECTION__KEY is the more exact name: it wins over the guide's name for the same key.
    let exact = |name: &str| name.starts_with("MB_");
    for (name, text) in layer.iter().filter(|(n, _)| !exact(n)).chain(layer.iter().filter(|(n, _)| exact(n))) {
        let secret = SECRETS.contains(&name.strip_suffix("_FILE").unwrap_or(name));
        if secret || NOT_KEYS.contains(&name.as_str()) || TEST_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let key = match ALIASES.iter().find(|(alias, _)| alias == name) {
            Some((_, key)) => (*key).to_owned(),
            None => match name.strip_prefix("MB_") {
                Some(rest) => rest.to_ascii_lowercase().replacen("__", ".", 1),
                None if source == Source::DotEnv => {
                    warnings.push(format!(".env: {name} is not known to this version and has no effect"));
                    continue;
                }
                None => continue,
            },
        };
        let setting = find(settings, &key)
            .map_err(|nearest| anyhow!("{source}: unknown key {name}; did you mean {}?", variable(&nearest)))?;
        setting.value = typed(&setting.value, text)
            .ok_or_else(|| anyhow!("{source}: {name} must be of type {}", setting.value.type_str()))?;
        setting.source = source;
    }
    Ok(())
}

fn variable(key: &str) -> String {
    format!("MB_{}", key.to_ascii_uppercase().replace('.', "__"))
}

fn typed(like: &Value, text: &str) -> Option<Value> {
    match like {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Integer(_) => text.trim().parse().ok().map(Value::Integer),
        Value::Boolean(_) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(Value::Boolean(true)),
            "false" | "0" | "no" | "off" => Some(Value::Boolean(false)),
            _ => None,
        },
        _ => None,
    }
}

fn flatten(table: &Table) -> impl Iterator<Item = (String, Value)> + '_ {
    table.iter().flat_map(|(section, value)| match value {
        Value::Table(keys) => {
            keys.iter().map(|(key, value)| (format!("{section}.{key}"), value.clone())).collect::<Vec<_>>()
        }
        other => vec![(section.clone(), other.clone())],
    })
}

fn rebuild(settings: &[Setting]) -> Table {
    let mut table = Table::new();
    for setting in settings {
        if let Some((section, key)) = setting.key.split_once('.')
            && let Value::Table(keys) = table.entry(section).or_insert_with(|| Value::Table(Table::new()))
        {
            keys.insert(key.to_owned(), setting.value.clone());
        }
    }
    table
}

fn find<'a>(settings: &'a mut [Setting], key: &str) -> Result<&'a mut Setting, String> {
    match settings.iter().position(|setting| setting.key == key) {
        Some(index) => Ok(&mut settings[index]),
        None => Err(nearest(settings.iter().map(|setting| setting.key.as_str()), key)),
    }
}

fn nearest<'a>(keys: impl Iterator<Item = &'a str>, to: &str) -> String {
    keys.min_by_key(|key| distance(key, to)).unwrap_or_default().to_owned()
}

/// Levenshtein distance; keys are a few dozen bytes.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn read_optional(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

fn parse_dotenv(text: &str) -> Vec<(String, String)> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), unquote(value.trim()).to_owned()))
        .collect()
}

/// What a line of an `.env` sets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Named {
    /// A key of the configuration, `section.key`.
    Key(String),
    /// A secret, by its name, without `_FILE`.
    Secret(String),
}

/// The lines of an `.env` that set something this version knows, as they are read, and what that is.
pub(super) fn known_lines(text: &str) -> Vec<(Named, String)> {
    let defaults: Table = DEFAULT.parse().unwrap_or_default();
    let keys: Vec<String> = flatten(&defaults).map(|(key, _)| key).collect();
    let named = |name: &str| {
        let bare = name.strip_suffix("_FILE").unwrap_or(name);
        if SECRETS.contains(&bare) {
            return Some(Named::Secret(bare.to_owned()));
        }
        let name = if bare == DATABASE_URL { bare } else { name };
        let key = match ALIASES.iter().find(|(alias, _)| *alias == name) {
            Some((_, key)) => (*key).to_owned(),
            None => name.strip_prefix("MB_")?.to_ascii_lowercase().replacen("__", ".", 1),
        };
        keys.contains(&key).then_some(Named::Key(key))
    };
    let line = |(name, value): (String, String)| {
        let named = named(&name)?;
        // Behind the value of a key may stand a comment, which is nobody's; a password may hold anything.
        let value = match &named {
            Named::Key(_) => value.split_once(" #").map_or(value.as_str(), |(value, _)| value.trim_end()),
            Named::Secret(_) => &value,
        };
        Some((named, format!("{name}=\"{value}\"")))
    };
    parse_dotenv(text).into_iter().filter_map(line).collect()
}

fn unquote(value: &str) -> &str {
    ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(value)
}
