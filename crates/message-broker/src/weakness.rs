//! Secrets that are none: missing, short, or printed in some manual.
//!
//! In production they stop the start; elsewhere `config check` and `doctor` name them.

use anyhow::{Context, Result, bail};
use mb_crypto::jwt::JwtSecret;
use mb_queue::{RedisAddress, RedisConfig};

use crate::config::{QueueBackend, Resolved};

/// Parts of samples and defaults that people forget to replace, lower case.
const WELL_KNOWN: [&str; 12] = [
    "yourstrongpassword",
    "yourverylongrandom",
    "adminpass123",
    "changeme",
    "change-me",
    "change_me",
    "replace-me",
    "secretkey",
    "password",
    "letmein",
    "qwerty",
    "12345678",
];

/// The fewest characters of a password between components.
const SHORTEST: usize = 12;

/// A secret that does not protect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Weakness {
    /// Its name in the environment.
    pub name: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// Refuses weak secrets where `ENVIRONMENT=production` asks for that. Only a main server needs `JWT_SECRET`: where it is
/// not at home it must not be known.
///
/// # Errors
/// Names every weak secret, never its value.
pub fn refuse_in_production(resolved: &Resolved, signs_tokens: bool) -> Result<()> {
    if !resolved.config.is_production() {
        return Ok(());
    }
    let mut found = find(resolved)?;
    found.retain(|weak| signs_tokens || weak.name != "JWT_SECRET");
    if found.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = found.iter().map(|weak| format!("{} {}", weak.name, weak.problem)).collect();
    bail!("ENVIRONMENT=production refuses weak secrets: {}", list.join("; "))
}

/// Every weak secret of this configuration.
///
/// # Errors
/// A file that a `NAME_FILE` names cannot be read.
pub fn find(resolved: &Resolved) -> Result<Vec<Weakness>> {
    let mut found = Vec::new();
    let mut note = |name, problem: Option<String>| found.extend(problem.map(|problem| Weakness { name, problem }));
    let jwt = resolved.secret("JWT_SECRET")?;
    note(
        "JWT_SECRET",
        match &jwt {
            None => Some("is not set: set it, or JWT_SECRET_FILE to the path of secrets/jwt.key".to_owned()),
            Some(secret) => JwtSecret::from_text(secret.expose()).err().map(|error| format!("is too weak: {error}")),
        },
    );
    note("JWT_SECRET", jwt.and_then(|secret| well_known(secret.expose())));
    if let Some(password) = resolved.secret("ADMIN_PASSWORD")? {
        note("ADMIN_PASSWORD", well_known(password.expose()));
    }
    for name in ["REDIS_SENTINEL_PASSWORD", "SMTP_PASSWORD"] {
        if let Some(password) = resolved.secret(name)?.filter(|password| !password.expose().is_empty()) {
            note(name, of_password(password.expose()));
        }
    }
    if resolved.config.queue.backend == QueueBackend::Redis
        && let Some((name, password)) = redis_password(resolved)?
    {
        note(name, of_password(&password));
    }
    if let Some(password) = resolved.config.store.password() {
        note("DATABASE_URL", of_password(&password));
    }
    Ok(found)
}

/// What Redis is told, and by which name it is set; `None` for a socket file, which has its permissions instead.
fn redis_password(resolved: &Resolved) -> Result<Option<(&'static str, String)>> {
    let own = resolved.secret("REDIS_PASSWORD")?.map(|password| password.expose().clone()).unwrap_or_default();
    let Some(url) = resolved.secret("REDIS_URL")?.filter(|_| own.is_empty()) else {
        return Ok(Some(("REDIS_PASSWORD", own)));
    };
    let RedisConfig { address, password, .. } = RedisConfig::from_url(url.expose()).context("read REDIS_URL")?;
    let password = password.map(|password| password.expose().clone()).unwrap_or_default();
    Ok((!matches!(address, RedisAddress::Unix(_))).then_some(("REDIS_URL", password)))
}

fn of_password(password: &str) -> Option<String> {
    if password.is_empty() {
        Some("has no password".to_owned())
    } else if password.chars().count() < SHORTEST {
        Some(format!("has a password of less than {SHORTEST} characters"))
    } else {
        well_known(password)
    }
}

fn well_known(secret: &str) -> Option<String> {
    let lower = secret.to_lowercase();
    WELL_KNOWN.iter().any(|known| lower.contains(known)).then(|| "is a sample from a manual: replace it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(pairs: &[(&str, &str)]) -> Resolved {
        let dir = tempfile::tempdir().expect("temporary folder");
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Resolved::load(dir.path(), &pairs).expect("valid")
    }

    const GOOD: (&str, &str) = ("JWT_SECRET", "f3Vq8zL1nX5tR7wB2yK9mD4cG6hJ0pSa");

    #[test]
    fn production_refuses_what_is_missing_short_or_printed_somewhere() {
        let production = ("ENVIRONMENT", "production");
        for weak in [
            &[production][..],
            &[production, ("JWT_SECRET", "short")],
            &[production, ("JWT_SECRET", "YourVeryLongRandomSecretKeyHere-0123456789")],
            &[production, GOOD, ("ADMIN_PASSWORD", "AdminPass123!")],
        ] {
            let error = refuse_in_production(&resolved(weak), true).expect_err("refused").to_string();
            assert!(error.contains("JWT_SECRET") || error.contains("ADMIN_PASSWORD"), "{error}");
            assert!(!error.contains("AdminPass123") && !error.contains("YourVery"), "{error}");
        }
        refuse_in_production(&resolved(&[production, GOOD]), true).expect("strong");
        let redis = ("MB_QUEUE__BACKEND", "redis");
        for (weak, named) in [
            (&[][..], "REDIS_PASSWORD"),
            (&[("REDIS_PASSWORD", "short")], "REDIS_PASSWORD"),
            (&[("REDIS_URL", "redis://:short@host")], "REDIS_URL"),
            (&[("REDIS_PASSWORD", "d8Kq2mZr7Xw4"), ("REDIS_SENTINEL_PASSWORD", "letmein-letmein")], "SENTINEL"),
            (&[("REDIS_PASSWORD", "d8Kq2mZr7Xw4"), ("SMTP_PASSWORD", "short")], "SMTP_PASSWORD"),
        ] {
            let all = [&[production, GOOD, redis], weak].concat();
            let error = refuse_in_production(&resolved(&all), true).expect_err(named).to_string();
            assert!(error.contains(named) && !error.contains("short@") && !error.contains("letmein"), "{error}");
        }
        let strong = [production, GOOD, redis, ("REDIS_URL", "redis://:d8Kq2mZr7Xw4@host")];
        refuse_in_production(&resolved(&strong), true).expect("strong");
        refuse_in_production(&resolved(&[production]), false).expect("it signs no tokens");
    }

    #[test]
    fn elsewhere_nothing_is_refused() {
        refuse_in_production(&resolved(&[("JWT_SECRET", "short")]), true).expect("development");
    }
}
