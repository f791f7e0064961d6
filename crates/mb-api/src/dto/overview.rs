//! How things are, in figures: what the first page of a portal shows.

use std::collections::BTreeMap;

use mb_core::{DomainName, Timestamp};
use utoipa::{IntoParams, ToSchema};

use crate::schema;

/// The span of time that figures are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
pub enum OverviewPeriod {
    /// The last 24 hours, by hours.
    #[default]
    #[serde(rename = "24h")]
    Day,
    /// The last 7 days, by 6 hours.
    #[serde(rename = "7d")]
    Week,
    /// The last 30 days, by days.
    #[serde(rename = "30d")]
    Month,
}

impl OverviewPeriod {
    /// Every period.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// The word in an address.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    /// How many hours, and how many of them make one point.
    pub const fn hours(self) -> (u32, u32) {
        match self {
            Self::Day => (24, 1),
            Self::Week => (7 * 24, 6),
            Self::Month => (30 * 24, 24),
        }
    }
}

/// Which figures.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OverviewQuery {
    /// Over which time, `24h` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub period: Option<OverviewPeriod>,
    /// Of this tenant only; for admins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::DomainName>)]
    pub domain: Option<DomainName>,
}

/// The figures. An admin's are of all messages, to the hour; a user's are of its client's newest messages.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Overview {
    /// Over which time they are summed up.
    pub period: OverviewPeriod,
    /// When they were read.
    #[schema(value_type = schema::Timestamp)]
    pub at: Timestamp,
    /// If they are of the newest messages only because there are more: of how many.
    pub newest_only: Option<u32>,
    /// Messages accepted in the last 24 hours.
    pub messages_last_24h: u64,
    /// Messages accepted in the last 7 days.
    pub messages_last_7d: u64,
    /// Messages accepted in the last 30 days.
    pub messages_last_30d: u64,
    /// Messages that came into each state in the period; every state is there.
    pub messages_by_status: BTreeMap<String, u64>,
    /// The share of messages that were delivered, of those that became delivered, failed or expired in the period, from 0
    /// to 1; `null` if none did.
    pub delivery_rate: Option<f64>,
    /// How long deliveries took, from acceptance, or from the time that was set for them, to the last destination's answer;
    /// `null` if there were none. Right within a fifth.
    pub time_to_deliver: Option<TimeToDeliver>,
    /// Why messages became dead letters in the period, the commonest reason first.
    pub failures: Vec<FailureCount>,
    /// The period in steps, the oldest first.
    pub points: Vec<OverviewPoint>,
    /// What waits at the moment.
    pub waiting: Waiting,
}

/// How long deliveries took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct TimeToDeliver {
    /// Half of them took no longer than this, in milliseconds.
    pub p50_ms: u64,
    /// 95 of 100 took no longer than this, in milliseconds.
    pub p95_ms: u64,
}

/// How often something was the reason of a failure.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct FailureCount {
    /// The reason's code.
    pub reason: String,
    /// How often.
    pub count: u64,
}

/// What happened in one step of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct OverviewPoint {
    /// When the step began.
    #[schema(value_type = schema::Timestamp)]
    pub at: Timestamp,
    /// Messages that came in.
    pub accepted: u64,
    /// Messages that were delivered.
    pub delivered: u64,
    /// Messages that failed or expired.
    pub failed: u64,
}

/// What waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Waiting {
    /// Messages in the store that are not final.
    pub messages: u64,
    /// For how many seconds the delivery has been due that waits longest; `null` where that is not told.
    pub oldest_due_seconds: Option<u64>,
}
