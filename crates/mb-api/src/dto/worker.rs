//! What a worker says of itself with its heartbeat, the queue that it works on included.

use mb_core::Timestamp;
use utoipa::ToSchema;

use crate::schema;

/// How a worker fares.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerStatus {
    /// Its program's version.
    pub version: String,
    /// Since when it runs.
    #[schema(value_type = schema::Timestamp)]
    pub started_at: Timestamp,
    /// It ends now, and is no more missed.
    #[serde(default)]
    pub is_leaving: bool,
    /// Messages that it has claimed from the queue and not registered yet.
    pub claimed: u64,
    /// Deliveries that it holds a lease of.
    pub held: u64,
    /// Those of them that are being sent.
    pub in_flight: u64,
    /// Messages that it registered, for each minute since the last heartbeat.
    pub registered_per_minute: u64,
    /// Attempts that it made, for each minute since the last heartbeat.
    pub attempts_per_minute: u64,
    /// For how long the main server has taken no batch of it.
    pub failing_seconds: u64,
    /// The queue, as it is seen from there.
    pub queue: QueueFigures,
}

/// The queues there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueKind {
    /// The journal itself, in one process.
    Embedded,
    /// A stream in Redis.
    Redis,
}

/// A queue as a worker sees it.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueFigures {
    /// What carries it.
    pub backend: QueueKind,
    /// What waits there: units of one or more messages in Redis; embedded, the journal's unconfirmed messages.
    pub depth: u64,
    /// For how long it cannot be used.
    pub failing_seconds: u64,
    /// What each consumer has taken and not acknowledged, those that are no more included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<PendingUnits>,
}

/// What one consumer of the queue holds.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PendingUnits {
    /// Its name in Redis: that of its worker, and a number.
    pub consumer: String,
    /// Units.
    pub units: u64,
}
