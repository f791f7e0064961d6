//! What `/health` says (contract, section 1).

use std::collections::BTreeMap;

use mb_core::Timestamp;
use utoipa::ToSchema;

use crate::schema;

/// The worst of all checks. The order of the variants is from good to bad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Everything works.
    Healthy,
    /// It serves, but something that it can do without for a while is missing.
    Degraded,
    /// It cannot serve.
    Unhealthy,
}

/// The report.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct HealthReport {
    /// The worst of all checks.
    pub status: HealthStatus,
    /// The program's version.
    pub version: String,
    /// When the checks ran.
    #[schema(value_type = schema::Timestamp)]
    pub timestamp: Timestamp,
    /// Whole seconds since the start.
    pub uptime_seconds: u64,
    /// What each check found, in words.
    pub checks: BTreeMap<String, String>,
}
