//! Figures, read from counters: they never count messages.

use std::collections::BTreeMap;

use mb_core::{DomainName, Timestamp};
use utoipa::{IntoParams, ToSchema};

use crate::schema;

/// Over which time to sum up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
pub enum StatsPeriod {
    /// The last 24 hours.
    #[serde(rename = "24h")]
    Day,
    /// The last 7 days.
    #[serde(rename = "7d")]
    Week,
    /// The last 30 days.
    #[serde(rename = "30d")]
    Month,
    /// Since the beginning.
    #[default]
    #[serde(rename = "all")]
    All,
}

/// Which figures.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatsQuery {
    /// Over which time, `all` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub period: Option<StatsPeriod>,
    /// Of this tenant only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::DomainName>)]
    pub domain: Option<DomainName>,
}

/// The figures.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Stats {
    /// Over which time `total_messages`, `messages_by_status` and `dead_lettered` are summed up, in whole hours.
    pub period: StatsPeriod,
    /// When the figures were read.
    #[schema(value_type = schema::Timestamp)]
    pub at: Timestamp,
    /// Messages registered.
    pub total_messages: u64,
    /// Messages that came into each state; every state is there.
    pub messages_by_status: BTreeMap<String, u64>,
    /// What became a dead letter.
    pub dead_lettered: u64,
    /// Messages registered in the last 24 hours.
    pub messages_last_24h: u64,
    /// Messages registered in the last 7 days.
    pub messages_last_7d: u64,
    /// Messages registered in the last 30 days.
    pub messages_last_30d: u64,
    /// Clients.
    pub total_clients: u64,
    /// Clients that may submit.
    pub active_clients: u64,
    /// Clients that are suspended.
    pub suspended_clients: u64,
    /// Clients that are archived.
    pub archived_clients: u64,
    /// Clients of whom no certificate is left that is not revoked.
    pub revoked_clients: u64,
}
