//! Workers as the main servers see them.

use mb_core::Timestamp;
use utoipa::ToSchema;

use crate::schema;

/// How a worker stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It works.
    Healthy,
    /// It says that the queue or the main server is out of its reach.
    Failing,
    /// It was not heard of for a minute.
    Away,
}

/// A worker, as it was when it was last heard of.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct WorkerRow {
    /// Its name in leases: another one after each start.
    pub id: String,
    /// The name in its certificate.
    pub name: String,
    /// Its program's version.
    pub version: String,
    /// How it stands.
    pub state: WorkerState,
    /// When it was last heard of.
    #[schema(value_type = schema::Timestamp)]
    pub seen_at: Timestamp,
    /// Since when it runs.
    #[schema(value_type = schema::Timestamp)]
    pub started_at: Timestamp,
    /// Messages that it has claimed from the queue and not registered yet.
    pub claimed: u64,
    /// Deliveries that it holds a lease of.
    pub held: u64,
    /// Those of them that are being sent.
    pub in_flight: u64,
    /// Messages that it registered in a minute.
    pub registered_per_minute: u64,
    /// Attempts that it made in a minute.
    pub attempts_per_minute: u64,
    /// For how long the main server has taken no batch of it.
    pub failing_seconds: u64,
    /// For how long it cannot use the queue.
    pub queue_failing_seconds: u64,
}
