//! The settings in effect at the main server, and where each comes from.

use askama::Template;
use mb_api::Query;
use mb_api::dto::SettingRow;
use serde_json::Value;

use crate::field::spoken;
use crate::person::Admin;
use crate::respond::page;
use crate::shell::{Section, Shell};
use crate::stop::Answer;

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    shell: Shell,
    sections: Vec<(String, Vec<SettingRow>)>,
    all: bool,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Filter {
    show: String,
}

pub(crate) async fn get(Admin(person): Admin, Query(filter): Query<Filter>) -> Answer {
    let all = filter.show == "all";
    let rows = person.client.settings().await?.data;
    let shown = rows.into_iter().filter(|row| all || is_set(row));
    let mut sections = Vec::<(String, Vec<SettingRow>)>::new();
    for row in shown {
        let section = if row.is_secret { "Secrets".to_owned() } else { spoken(section_of(&row.id)) };
        match sections.last_mut().filter(|(name, _)| *name == section) {
            Some((_, rows)) => rows.push(row),
            None => sections.push((section, vec![row])),
        }
    }
    page(&SettingsPage { shell: person.shell(Section::Settings), sections, all })
}

fn section_of(key: &str) -> &str {
    key.split_once('.').map_or(key, |(section, _)| section)
}

/// Whether somebody set it.
fn is_set(row: &SettingRow) -> bool {
    row.source != "default"
}

/// The value as the file would have it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_str().is_some_and(str::is_empty)
}
