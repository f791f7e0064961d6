//! How deliveries get to workers and what came of them gets back. Both ends are of one release.

use std::fmt;

use mb_core::{AttemptClass, AttemptId, DestinationId, LeaseId, MessageId, Timestamp};
use utoipa::{IntoParams, ToSchema};

use super::SecretText;
use super::worker::WorkerStatus;
use crate::schema;

/// The most deliveries of one answer.
pub const MAX_LEASED: u32 = 2000;
/// The most attempts of one report.
pub const MAX_REPORTED: usize = 2000;
/// The longest wait for deliveries, seconds.
pub const MAX_WAIT: u64 = 30;

/// What a worker that registers messages takes along to deliver.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RegisterQuery {
    /// Names the worker in leases; absent: it delivers nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The most deliveries that it has room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliveries: Option<u32>,
    /// Destinations that have enough at this worker, divided by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except: Option<String>,
}

impl RegisterQuery {
    /// The numbers in [`RegisterQuery::except`]; what is none is passed over.
    pub fn excepted(&self) -> Vec<DestinationId> {
        let numbers = self.except.as_deref().unwrap_or_default().split(',');
        numbers.filter_map(|number| number.parse().ok().map(DestinationId::new)).collect()
    }
}

/// A worker's question for deliveries.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseRequest {
    /// Names the worker in leases.
    pub worker: String,
    /// The most deliveries.
    pub limit: u32,
    /// Destinations that have enough at this worker.
    #[schema(value_type = Vec<schema::DestinationId>)]
    pub except: Vec<DestinationId>,
    /// How long to wait for the first one.
    pub wait_seconds: u64,
    /// As of which version the worker knows the destinations: a later one is not waited for, but said.
    #[serde(default)]
    pub knows: u64,
}

/// Deliveries to be made, with all that is needed for it.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct LeasedDeliveries {
    /// The destinations of the deliveries and probes, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// The deliveries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<LeasedDelivery>,
    /// Trials that somebody waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
    /// The version of all destinations. Of a later one than the worker knows, a report tells what it means for it.
    #[serde(default)]
    pub version: u64,
}

impl LeasedDeliveries {
    /// Whether there is nothing to do.
    pub const fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.probes.is_empty()
    }
}

/// How a destination is reached.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Target {
    /// The destination.
    #[schema(value_type = schema::DestinationId)]
    pub id: DestinationId,
    /// Of two answers about one destination the one with the greater version counts.
    pub version: u64,
    /// Where messages are posted to.
    pub url: String,
    /// The most requests at once.
    pub concurrency: u32,
    /// The most requests in a second.
    pub rate: Option<u32>,
    /// What messages are signed with, the newest first.
    pub secrets: Vec<SecretText>,
    /// The CA certificates to trust instead of the system's, PEM.
    pub ca: Option<String>,
    /// The certificate to show, PEM.
    pub client_certificate: Option<String>,
    /// Its key, PEM.
    pub client_key: Option<SecretText>,
}

/// A delivery that is the worker's until its lease ends.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct LeasedDelivery {
    /// The message.
    #[schema(value_type = schema::MessageId)]
    pub message_id: MessageId,
    /// Where to.
    #[schema(value_type = schema::DestinationId)]
    pub destination: DestinationId,
    /// The lease.
    #[schema(value_type = schema::Hex128)]
    pub lease: LeaseId,
    /// Not to be begun after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Timestamp>)]
    pub expires_at: Option<Timestamp>,
    /// The body to send, the same on every attempt.
    pub payload: SecretText,
}

/// A trial of a destination.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Probe {
    /// Its id, sent as that of a message.
    #[schema(value_type = schema::Hex128)]
    pub id: AttemptId,
    /// The id that it has as a message.
    pub webhook_id: String,
    /// Where to.
    #[schema(value_type = schema::DestinationId)]
    pub destination: DestinationId,
    /// The body to send.
    pub payload: String,
}

/// A delivery that a worker holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HeldDelivery {
    /// The message.
    #[schema(value_type = schema::MessageId)]
    pub message_id: MessageId,
    /// Where to.
    #[schema(value_type = schema::DestinationId)]
    pub destination: DestinationId,
    /// The lease.
    #[schema(value_type = schema::Hex128)]
    pub lease: LeaseId,
}

/// What a worker has to say.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportRequest {
    /// Names the worker.
    pub worker: String,
    /// What was tried, in the order in which it ended.
    #[serde(default)]
    pub attempts: Vec<AttemptReport>,
    /// What is given back untried.
    #[serde(default)]
    pub released: Vec<HeldDelivery>,
    /// What is given back untried because its time is over.
    #[serde(default)]
    pub expired: Vec<HeldDelivery>,
    /// What is still being worked on: its leases are prolonged.
    #[serde(default)]
    pub held: Vec<HeldDelivery>,
    /// As of which version the worker knows the destinations that it has to do with.
    #[serde(default)]
    pub targets: Vec<KnownTarget>,
    /// What came of trials.
    #[serde(default)]
    pub probes: Vec<ProbeReport>,
    /// How the worker fares, with its heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<WorkerStatus>,
}

/// A destination as a worker knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KnownTarget {
    /// The destination.
    #[schema(value_type = schema::DestinationId)]
    pub id: DestinationId,
    /// [`Target::version`].
    pub version: u64,
}

/// What a worker is told about what it holds.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct ReportAnswer {
    /// As of which version of all destinations the answer is.
    pub version: u64,
    /// Of the destinations that the worker knows, those that are sent to no more: paused, disabled or gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<schema::DestinationId>)]
    pub closed: Vec<DestinationId>,
    /// Those that have changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// Of what the worker holds, what is its no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<HeldDelivery>,
}

/// An attempt.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttemptReport {
    /// Its id: a repeat counts once.
    #[schema(value_type = schema::Hex128)]
    pub id: AttemptId,
    /// What it was for.
    pub of: HeldDelivery,
    /// How it went.
    pub exchange: Exchange,
}

/// What was tried with one request.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// When it began.
    #[schema(value_type = schema::Timestamp)]
    pub at: Timestamp,
    /// How long it took, microseconds.
    pub duration_us: u64,
    /// How it ended.
    #[schema(value_type = schema::AttemptClass)]
    pub class: AttemptClass,
    /// The HTTP status, if there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The wait that the receiver asked for, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// What went wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The beginning of what was answered, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// What came of a trial.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeReport {
    /// The trial.
    #[schema(value_type = schema::Hex128)]
    pub id: AttemptId,
    /// How it went.
    pub exchange: Exchange,
    /// The address that was connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The headers that were sent.
    pub request_headers: Vec<(String, String)>,
    /// The headers that were answered.
    pub response_headers: Vec<(String, String)>,
}

/// Without what was answered, which is somebody's.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, class, status, .. } = self;
        f.debug_struct("Exchange").field("at", at).field("class", class).field("status", status).finish_non_exhaustive()
    }
}

impl fmt::Debug for AttemptReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptReport").field("id", &self.id).field("exchange", &self.exchange).finish_non_exhaustive()
    }
}
