//! What clients are told about their messages (contract, section 3).

use mb_core::{ClientName, MessageId, MessageState, Timestamp, Topic};
use utoipa::ToSchema;

use super::{Metadata, SecretText};
use crate::schema;

/// The most ids in one question for statuses by a client.
pub const MAX_STATUS_IDS: usize = 1000;

/// Where a message stands.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct MessageStatus {
    /// Its id.
    #[schema(value_type = schema::MessageId)]
    pub message_id: MessageId,
    /// Its state.
    #[schema(value_type = schema::MessageState)]
    pub status: MessageState,
    /// Its topic.
    #[schema(value_type = schema::Topic)]
    pub topic: Topic,
    /// When it was accepted.
    #[schema(value_type = schema::Timestamp)]
    pub queued_at: Timestamp,
    /// When the store took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Timestamp>)]
    pub registered_at: Option<Timestamp>,
    /// When the last delivery ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Timestamp>)]
    pub delivered_at: Option<Timestamp>,
    /// When it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Timestamp>)]
    pub failed_at: Option<Timestamp>,
    /// Attempts over all deliveries.
    pub attempt_count: u32,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Not delivered before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Timestamp>)]
    pub deliver_at: Option<Timestamp>,
    /// Not delivered after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Timestamp>)]
    pub expires_at: Option<Timestamp>,
}

/// A message to submit.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitMessage {
    /// The sender's number (E.164); needed unless the domain says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_number: Option<SecretText>,
    /// The text.
    pub message_body: SecretText,
    /// What it is about; `default` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Topic>)]
    pub topic: Option<String>,
    /// Any JSON object up to 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::AnyObject>)]
    pub metadata: Option<Metadata>,
    /// Not to be delivered before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Timestamp>)]
    pub deliver_at: Option<Timestamp>,
    /// Seconds after which it is not delivered any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
}

/// The answer 202: the message is on a disk and will not be lost.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct SubmittedMessage {
    /// Its id.
    #[schema(value_type = schema::MessageId)]
    pub message_id: MessageId,
    /// Its state.
    #[schema(value_type = schema::MessageState)]
    pub status: MessageState,
    /// Whose it is.
    #[schema(value_type = schema::ClientName)]
    pub client_id: ClientName,
    /// When it was accepted.
    #[schema(value_type = schema::Timestamp)]
    pub queued_at: Timestamp,
    /// How many wait before it; `null` where that is not known.
    pub position: Option<u64>,
}

/// A proxy's question on behalf of a client.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InternalStatusRequest {
    /// Whose messages they must be.
    #[schema(value_type = schema::ClientName)]
    pub client_id: ClientName,
    /// Up to [`MAX_STATUS_IDS`] ids.
    #[schema(value_type = Vec<schema::MessageId>)]
    pub ids: Vec<MessageId>,
}

/// The messages that are known; others are left out.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct StatusAnswer {
    /// In no particular order.
    pub data: Vec<MessageStatus>,
}

/// The main server's word to a proxy.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct InternalStatusAnswer {
    /// The client's messages that are known, in no particular order.
    pub data: Vec<MessageStatus>,
    /// Ids of other clients' messages: the client asks in vain, however long. Told only to who asks for one id.
    #[schema(value_type = Vec<schema::MessageId>)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<MessageId>,
}
