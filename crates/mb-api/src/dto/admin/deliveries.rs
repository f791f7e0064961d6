//! What people see of deliveries and do about them: dead letters, retries, replays, why a message is where it is.

use mb_core::delivery::BreakerState;
use mb_core::{
    ClientName, DeliveryState, DestinationId, DestinationName, DestinationState, DomainName, MessageId, Timestamp,
    Topic, TopicGlob,
};
use utoipa::{IntoParams, ToSchema};

use crate::cursor::{Cursor, List};
use crate::page::PageQuery;
use crate::problem::ApiError;
use crate::schema;

/// The most dead letters that one call redrives or purges.
pub const MAX_LETTERS: usize = 1000;

/// Which dead letters to list, the newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeadLetterQuery {
    /// Their tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::DomainName>)]
    #[schema(value_type = Option<schema::DomainName>)]
    pub domain: Option<DomainName>,
    /// Where they should have gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::DestinationId>)]
    #[schema(value_type = Option<schema::DestinationId>)]
    pub destination: Option<DestinationId>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::MessageId>)]
    #[schema(value_type = Option<schema::MessageId>)]
    pub message: Option<MessageId>,
    /// Not before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::Timestamp>)]
    #[schema(value_type = Option<schema::Timestamp>)]
    pub since: Option<Timestamp>,
    /// Rows wanted, 50 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 250)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl DeadLetterQuery {
    /// The number of rows and the position after which they start.
    ///
    /// # Errors
    /// 422 if the limit is out of range or the cursor is none of ours.
    pub fn resolve(&self) -> Result<(u32, Option<Cursor>), ApiError> {
        PageQuery { limit: self.limit, cursor: self.cursor.clone() }.resolve(List::DeadLetters)
    }
}

/// A dead letter: what never became a message, or a delivery that was given up.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct DeadLetterRow {
    /// Its id.
    pub id: i64,
    /// The message's id.
    #[schema(value_type = schema::MessageId)]
    pub message_id: MessageId,
    /// Why.
    pub reason: String,
    /// When.
    #[schema(value_type = schema::Timestamp)]
    pub created_at: Timestamp,
    /// Who sent it, if that could be read.
    #[schema(value_type = Option<schema::ClientName>)]
    pub client_id: Option<ClientName>,
    /// The tenant, if it could be read.
    #[schema(value_type = Option<schema::DomainName>)]
    pub domain: Option<DomainName>,
    /// What it is about, if it could be read.
    #[schema(value_type = Option<schema::Topic>)]
    pub topic: Option<Topic>,
    /// Where it should have gone; `null`: it never became a message.
    #[schema(value_type = Option<schema::DestinationId>)]
    pub destination: Option<DestinationId>,
    /// How often that was tried.
    pub attempts: Option<u64>,
    /// What last went wrong.
    pub last_error: Option<String>,
}

/// Dead letters to do something about: these, or the newest that match.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChooseDeadLetters {
    /// These, up to 1000; empty: those that match.
    #[serde(default)]
    pub ids: Vec<i64>,
    /// Which ones match; its limit and cursor mean nothing here.
    #[serde(default)]
    pub matching: DeadLetterQuery,
    /// Only say how many there are.
    #[serde(default)]
    pub preview: bool,
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct DeadLettersDone {
    /// Dead letters that are, or would be, concerned.
    pub found: u64,
    /// Those of them that something was done about.
    pub done: u64,
    /// There may be more of them: ask again.
    pub more: bool,
}

/// What is tried again of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Retried {
    /// Deliveries that waited for a later time.
    pub hastened: u64,
    /// Deliveries that had been given up.
    pub redriven: u64,
}

/// Sends messages again to a destination.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayMessages {
    /// Accepted not before.
    #[schema(value_type = schema::Timestamp)]
    pub since: Timestamp,
    /// Accepted before; by default now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Timestamp>)]
    pub until: Option<Timestamp>,
    /// About these, of those that the destination takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::TopicGlob>)]
    pub topics: Option<TopicGlob>,
    /// This message alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::MessageId>)]
    pub message_id: Option<MessageId>,
    /// Only count them.
    #[serde(default)]
    pub dry_run: bool,
    /// `next` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What was sent again so far.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Replayed {
    /// Messages that are, or would be, sent.
    pub sent: u64,
    /// Where to go on; `null`: that was all.
    pub next: Option<String>,
}

/// A delivery of a message, and why it is where it is.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct DeliveryRow {
    /// Where to.
    #[schema(value_type = schema::DestinationId)]
    pub destination: DestinationId,
    /// Its name; `null` if it is gone.
    #[schema(value_type = Option<schema::DestinationName>)]
    pub name: Option<DestinationName>,
    /// Where it stands.
    #[schema(value_type = schema::DeliveryState)]
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// What is waited for, in words.
    pub explanation: String,
    /// When it is tried next, while it waits.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub next_attempt_at: Option<Timestamp>,
    /// Who works on it.
    pub lease_holder: Option<String>,
    /// Until when, unless it is prolonged.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub leased_until: Option<Timestamp>,
    /// Whether the destination is served; `null` if it is gone.
    #[schema(value_type = Option<schema::DestinationState>)]
    pub destination_state: Option<DestinationState>,
    /// How its circuit breaker stands.
    #[schema(value_type = Option<schema::BreakerState>)]
    pub breaker: Option<BreakerState>,
    /// What last went wrong.
    pub last_error: Option<String>,
    /// Since when it is there.
    #[schema(value_type = schema::Timestamp)]
    pub created_at: Timestamp,
    /// When it became final.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub finished_at: Option<Timestamp>,
}

/// A client's wish to withdraw a message, as its proxy passes it on.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// Whose message it must be.
    #[schema(value_type = schema::ClientName)]
    pub client_id: ClientName,
    /// The message.
    #[schema(value_type = schema::MessageId)]
    pub message_id: MessageId,
}
