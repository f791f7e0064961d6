//! Domains: the tenants and their rules. Their list takes a plain page query.

use mb_core::{DomainName, DomainRules, SenderRule, Timestamp};
use utoipa::ToSchema;

use crate::schema;

/// What a tenant decides for its clients; [`DomainRules`] as it travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainSettings {
    /// Whether a message must name its sender's number.
    #[schema(value_type = schema::SenderRule)]
    pub sender_number: SenderRule,
    /// The most characters (Unicode scalar values) of a body.
    #[schema(minimum = 1, maximum = 65_536)]
    pub body_limit: u32,
    /// Messages per 60 s for each of its clients; 0 is no limit, `null` the proxies' own.
    #[schema(maximum = 1_000_000)]
    pub rate_limit: Option<u32>,
    /// Days after which messages are deleted; `null` is what holds for all.
    #[schema(minimum = 30, maximum = 3650)]
    pub retention_days: Option<u32>,
    /// Days after which their contents are, not more than `retention_days`; `null` is what holds for all.
    #[schema(minimum = 1, maximum = 3650)]
    pub body_retention_days: Option<u32>,
}

impl From<DomainRules> for DomainSettings {
    fn from(rules: DomainRules) -> Self {
        let DomainRules { sender_number, body_limit, rate_limit, retention_days, body_retention_days } = rules;
        Self { sender_number, body_limit, rate_limit, retention_days, body_retention_days }
    }
}

/// As they were sent; [`DomainRules::check`] holds them to their bounds.
impl From<DomainSettings> for DomainRules {
    fn from(settings: DomainSettings) -> Self {
        let DomainSettings { sender_number, body_limit, rate_limit, retention_days, body_retention_days } = settings;
        Self { sender_number, body_limit, rate_limit, retention_days, body_retention_days }
    }
}

/// A tenant.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct DomainRow {
    /// Its name.
    #[schema(value_type = schema::DomainName)]
    pub id: DomainName,
    /// What it decides.
    pub settings: DomainSettings,
    /// Since when.
    #[schema(value_type = schema::Timestamp)]
    pub created_at: Timestamp,
}

/// Adds a tenant.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDomain {
    /// Its name.
    #[schema(value_type = schema::DomainName)]
    pub name: DomainName,
    /// What it decides; by default what holds for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<DomainSettings>,
}
