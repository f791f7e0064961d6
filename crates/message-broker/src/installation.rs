//! What the main server can tell of the installation around it: the settings in effect with their sources, and what
//! `doctor` finds on its machine.

use std::collections::BTreeMap;

use mb_api::dto::{FindingRow, FindingStatus, SettingRow};
use mb_server::Installation;
use serde_json::Value;

use crate::config::{DEFAULT, Resolved, Setting};
use crate::doctor::{self, Finding, Status};
use crate::layout::Layout;

/// The installation at this start.
pub(crate) fn describe(layout: &Layout, resolved: &Resolved) -> Installation {
    let layout = layout.clone();
    Installation::new(rows(&resolved.settings, resolved), move || {
        let layout = layout.clone();
        async move { doctor::examine(&layout, false).await.into_iter().zip(1..).map(finding).collect() }
    })
}

/// These settings as people see them, and which secrets of `resolved` are set.
pub(crate) fn rows<'a>(settings: impl IntoIterator<Item = &'a Setting>, resolved: &Resolved) -> Vec<SettingRow> {
    let manual = manual();
    let setting = |setting: &Setting| SettingRow {
        id: setting.key.clone(),
        // TOML of ours has no dates, the only values that JSON does not have.
        value: serde_json::to_value(setting.shown()).unwrap_or_default(),
        source: setting.source.to_string(),
        about: manual.get(setting.key.as_str()).cloned().unwrap_or_default(),
        is_secret: false,
    };
    let secret = |(name, source): (String, crate::config::Source)| SettingRow {
        id: name,
        value: Value::Null,
        source: source.to_string(),
        about: String::new(),
        is_secret: true,
    };
    settings.into_iter().map(setting).chain(resolved.set_secrets().into_iter().map(secret)).collect()
}

fn finding((finding, id): (Finding, u32)) -> FindingRow {
    let Finding { check, status, detail, fix } = finding;
    let status = match status {
        Status::Ok => FindingStatus::Ok,
        Status::Warn => FindingStatus::Warn,
        Status::Fail => FindingStatus::Fail,
    };
    FindingRow { id, check, status, detail, fix }
}

/// What the default file says of each key. Keys that follow each other share what stands above the first.
fn manual() -> BTreeMap<String, String> {
    let (mut known, mut section, mut text, mut told) = (BTreeMap::new(), "", String::new(), false);
    for line in DEFAULT.lines() {
        if let Some(comment) = line.strip_prefix('#') {
            if told {
                text.clear();
            }
            told = false;
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(comment.trim());
        } else if let Some(name) = line.strip_prefix('[') {
            (section, told) = (name.trim_end_matches(']'), false);
            text.clear();
        } else if let Some((key, _)) = line.split_once('=') {
            told = true;
            known.insert(format!("{section}.{}", key.trim()), text.clone());
        } else {
            text.clear();
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_speaks_of_nearly_every_key() {
        let resolved = Resolved::load(std::path::Path::new("/nonexistent"), &[]).expect("the defaults are valid");
        let rows = rows(&resolved.settings, &resolved);
        let about = |key: &str| rows.iter().find(|row| row.id == key).expect("a key").about.as_str();
        assert!(about("proxy.in_flight").starts_with("The most requests in flight"), "{}", about("proxy.in_flight"));
        assert_eq!(about("proxy.port"), about("proxy.host"));
        let silent = rows.iter().filter(|row| row.about.is_empty()).count();
        assert!(silent * 5 < rows.len(), "{silent} of {} keys go without a word", rows.len());
    }

    #[test]
    fn of_secrets_only_that_they_are_set_is_told() {
        let dir = tempfile::tempdir().expect("temporary folder");
        std::fs::write(dir.path().join(".env"), "JWT_SECRET=a-secret-of-forty-characters-aaaaaaaaaaaa\n")
            .expect("written");
        let environment = [("DATABASE_URL".to_owned(), "mysql://u:hidden@h/d".to_owned())];
        let resolved = Resolved::load(dir.path(), &environment).expect("valid");
        let rows = rows(&resolved.settings, &resolved);
        let of = |key: &str| rows.iter().find(|row| row.id == key).expect("a key");
        assert_eq!((&of("JWT_SECRET").value, of("JWT_SECRET").source.as_str()), (&Value::Null, ".env"));
        assert_eq!(
            (&of("store.url").value, of("store.url").source.as_str()),
            (&"mysql://u:***@h/d".into(), "environment")
        );
        let text = serde_json::to_string(&rows).expect("JSON");
        assert!(!text.contains("a-secret-of") && !text.contains("hidden"), "{text}");
    }
}
