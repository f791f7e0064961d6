//! Destinations: where messages go.

use mb_core::delivery::BreakerState;
use mb_core::{
    ClientName, DestinationId, DestinationKind, DestinationName, DestinationState, DomainName, RetrySchedule,
    Timestamp, TopicGlob,
};
use utoipa::{IntoParams, ToSchema};

use crate::cursor::{Cursor, List};
use crate::dto::SecretText;
use crate::dto::delivery::Exchange;
use crate::page::PageQuery;
use crate::problem::ApiError;
use crate::schema;

/// Which destinations to list, the oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DestinationQuery {
    /// Their tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::DomainName>)]
    pub domain: Option<DomainName>,
    /// The one of this name; with a tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::DestinationName>)]
    pub name: Option<DestinationName>,
    /// Rows wanted, 50 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 250)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl DestinationQuery {
    /// The number of rows and the position after which they start.
    ///
    /// # Errors
    /// 422 if the limit is out of range or the cursor is none of ours.
    pub fn resolve(&self) -> Result<(u32, Option<Cursor>), ApiError> {
        PageQuery { limit: self.limit, cursor: self.cursor.clone() }.resolve(List::Destinations)
    }
}

/// A destination.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct DestinationRow {
    /// Its number.
    #[schema(value_type = schema::DestinationId)]
    pub id: DestinationId,
    /// Its name, one of a kind in its domain.
    #[schema(value_type = schema::DestinationName)]
    pub name: DestinationName,
    /// Its tenant.
    #[schema(value_type = schema::DomainName)]
    pub domain: DomainName,
    /// How messages get there.
    #[schema(value_type = schema::DestinationKind)]
    pub kind: DestinationKind,
    /// Whether it is served.
    #[schema(value_type = schema::DestinationState)]
    pub state: DestinationState,
    /// Why it is in its state, if no person said so: `gone` or `failing`.
    pub state_reason: Option<String>,
    /// Where messages are posted to; `null` for one that pulls.
    pub url: Option<String>,
    /// What it takes; empty: every topic.
    #[schema(value_type = Vec<schema::TopicGlob>)]
    pub topics: Vec<TopicGlob>,
    /// From whom; empty: every client.
    #[schema(value_type = Vec<schema::ClientName>)]
    pub clients: Vec<ClientName>,
    /// When messages are tried again.
    #[schema(value_type = schema::RetrySchedule)]
    pub retry: RetrySchedule,
    /// The most requests at once, of each worker.
    pub concurrency: u32,
    /// The most requests in a second, of each worker; `null` is no limit.
    pub rate: Option<u32>,
    /// Whether it is verified by CA certificates of its own.
    pub own_ca: bool,
    /// Whether a certificate is shown to it.
    pub client_certificate: bool,
    /// How its circuit breaker stands.
    #[schema(value_type = schema::BreakerState)]
    pub breaker: BreakerState,
    /// Until when the breaker is open.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub open_until: Option<Timestamp>,
    /// Since when nothing was taken, though it was tried.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub failing_since: Option<Timestamp>,
    /// Until when the secret before the present one is used too.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub overlap_until: Option<Timestamp>,
    /// Since when it is there.
    #[schema(value_type = schema::Timestamp)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = schema::Timestamp)]
    pub changed_at: Timestamp,
}

/// Adds a destination.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDestination {
    /// Its name.
    #[schema(value_type = schema::DestinationName)]
    pub name: DestinationName,
    /// Its tenant.
    #[serde(default)]
    #[schema(value_type = Option<schema::DomainName>)]
    pub domain: DomainName,
    /// How messages get there.
    #[schema(value_type = schema::DestinationKind)]
    pub kind: DestinationKind,
    /// What it takes and how it is reached.
    #[serde(default)]
    pub settings: DestinationSettings,
}

/// What can be set about a destination. What is absent stays as it is, or has its default.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DestinationSettings {
    /// Where messages are posted to, `https://...`; without TLS only to addresses that the operator allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What it takes; empty: every topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<schema::TopicGlob>>)]
    pub topics: Option<Vec<TopicGlob>>,
    /// From whom; empty: every client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<schema::ClientName>>)]
    pub clients: Option<Vec<ClientName>>,
    /// When messages are tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::RetrySchedule>)]
    pub retry: Option<RetrySchedule>,
    /// The most requests at once, of each worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 256)]
    pub concurrency: Option<u32>,
    /// The most requests in a second, of each worker; 0 is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000_000)]
    pub rate: Option<u32>,
    /// CA certificates to trust instead of the system's, PEM; empty: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// A certificate to show, PEM, with its key; empty: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// The key of the certificate, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<SecretText>,
}

/// A destination that was added.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct CreatedDestination {
    /// The destination.
    #[serde(flatten)]
    pub row: DestinationRow,
    /// What its messages are signed with. It is shown once; `null` for one that pulls.
    pub secret: Option<SecretText>,
}

/// Enables, pauses or disables a destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetDestinationState {
    /// Whether it is served.
    #[schema(value_type = schema::DestinationState)]
    pub state: DestinationState,
}

/// A new secret.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct RotatedSecret {
    /// What messages are signed with from now on. It is shown once.
    pub secret: SecretText,
    /// Until when they are signed with the one before, too.
    #[schema(value_type = schema::Timestamp)]
    pub overlap_until: Timestamp,
}

/// What came of a trial: the whole exchange.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct DestinationTest {
    /// The address that was connected to.
    pub peer: Option<String>,
    /// The headers that were sent.
    pub request_headers: Vec<(String, String)>,
    /// The body that was sent.
    pub request_body: String,
    /// The headers that were answered.
    pub response_headers: Vec<(String, String)>,
    /// The rest; the answer as text as far as it is text.
    pub exchange: Exchange,
}
