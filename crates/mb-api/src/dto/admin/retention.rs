//! For how long things are kept, and the removal of what was kept for long enough.

use mb_core::{DomainName, Retention};
use utoipa::ToSchema;

use crate::schema;

/// Days that things are kept; [`Retention`] as it travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionSettings {
    /// Days that contents are kept; not more than `metadata_days`.
    #[schema(minimum = 1, maximum = 3650)]
    pub body_days: u32,
    /// Days that messages are known at all.
    #[schema(minimum = 30, maximum = 3650)]
    pub metadata_days: u32,
    /// Days that the audit log is kept.
    #[schema(minimum = 30, maximum = 3650)]
    pub audit_days: u32,
}

impl From<Retention> for RetentionSettings {
    fn from(retention: Retention) -> Self {
        let Retention { body_days, metadata_days, audit_days } = retention;
        Self { body_days, metadata_days, audit_days }
    }
}

/// As they were sent; [`Retention::check`] holds them to their bounds.
impl From<RetentionSettings> for Retention {
    fn from(settings: RetentionSettings) -> Self {
        let RetentionSettings { body_days, metadata_days, audit_days } = settings;
        Self { body_days, metadata_days, audit_days }
    }
}

/// For how long things are kept.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct RetentionTerms {
    /// What holds for all.
    pub settings: RetentionSettings,
    /// What holds for the domains that have days of their own; at most 1000.
    pub domains: Vec<DomainRetention>,
}

/// For how long a domain's messages are kept.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct DomainRetention {
    /// The domain.
    #[schema(value_type = schema::DomainName)]
    pub id: DomainName,
    /// Days that contents are kept.
    pub body_days: u32,
    /// Days that messages are known at all.
    pub metadata_days: u32,
}

/// Asks for a run, or for what follows of one.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRetention {
    /// Whether what would be removed is only counted.
    #[serde(default)]
    pub dry_run: bool,
    /// `next` of the answer before; absent: from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What one request of a run has removed, or would.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct RetentionProgress {
    /// Contents of messages that stay known.
    pub bodies: u64,
    /// Messages, with their deliveries, attempts and dead letters.
    pub messages: u64,
    /// Dead letters that never were messages, or their contents.
    pub dead_letters: u64,
    /// Rows of the audit log.
    pub audit_rows: u64,
    /// Where the next request goes on; `null`: the run is over.
    pub next: Option<String>,
}
