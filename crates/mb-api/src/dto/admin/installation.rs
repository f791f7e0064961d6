//! The installation that a main server runs in: its settings, and what an examination of it finds.

use utoipa::ToSchema;

use crate::schema;

/// A setting in effect at the main server that was asked.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct SettingRow {
    /// `section.key`, or the name of a secret.
    pub id: String,
    /// The value; `null` for secrets. Passwords in addresses are hidden.
    #[schema(value_type = schema::AnyValue)]
    pub value: serde_json::Value,
    /// Where it comes from: `default`, `message-broker.toml`, `.env`, `environment` or `--set`.
    pub source: String,
    /// What it is for, as the manual has it.
    pub about: String,
    /// Whether it is a secret, of which only this is told: that it is set.
    pub is_secret: bool,
}

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingStatus {
    /// As it should be.
    Ok,
    /// It works and could harm later.
    Warn,
    /// It does not work, or messages are in danger.
    Fail,
}

/// What a check of the main server's machine found.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct FindingRow {
    /// Its place in the report, from 1.
    pub id: u32,
    /// What was looked at.
    pub check: String,
    /// How bad it is.
    pub status: FindingStatus,
    /// What was found and why it matters.
    pub detail: String,
    /// What to do; `null` if there is nothing to do.
    pub fix: Option<String>,
}
