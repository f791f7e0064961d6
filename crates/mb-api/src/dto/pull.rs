//! How consumers fetch messages.

use mb_core::{LeaseId, MessageId, Timestamp};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::schema;

/// The most messages of one answer.
pub const MAX_PULLED: u32 = 1000;

/// Asks for messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PullRequest {
    /// The most messages, 1 to 1000; 10 by default.
    #[serde(default = "ten")]
    #[schema(minimum = 1, maximum = 1000)]
    pub max: u32,
    /// How long to wait for the first one, up to 30.
    #[serde(default)]
    #[schema(maximum = 30)]
    pub wait_seconds: u64,
}

const fn ten() -> u32 {
    10
}

/// Messages that are the consumer's for 60 seconds.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct PulledMessages {
    /// The messages; none if there was none in time.
    pub data: Vec<PulledMessage>,
}

/// A message that was fetched.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct PulledMessage {
    /// What to name in ack or nack; another one each time.
    pub id: String,
    /// Until when it is the consumer's.
    #[schema(value_type = schema::Timestamp)]
    pub leased_until: Timestamp,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// What a webhook would be sent.
    #[schema(value_type = schema::AnyObject)]
    pub message: Box<RawValue>,
}

/// Says what became of messages.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    /// The ids of [`PulledMessage`], up to 1000.
    pub ids: Vec<String>,
}

/// How long messages are kept.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Prolonged {
    /// Until when they are the consumer's.
    #[schema(value_type = schema::Timestamp)]
    pub leased_until: Timestamp,
    /// Those that are its no more.
    pub lost: Vec<String>,
}

/// The text that names a message under a lease: both, divided by a dot.
pub fn receipt(message: MessageId, lease: LeaseId) -> String {
    format!("{message}.{lease}")
}

/// Reads [`receipt`]; `None` for anything else.
pub fn parse_receipt(text: &str) -> Option<(MessageId, LeaseId)> {
    let (message, lease) = text.split_once('.')?;
    Some((MessageId::parse(message)?, LeaseId::parse(lease)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_read_back() {
        let (message, lease) = (MessageId::v8(&[1; 32]), LeaseId::from_bytes([2; 16]));
        assert_eq!(parse_receipt(&receipt(message, lease)), Some((message, lease)));
        for bad in ["", ".", "x.y", &message.to_string()] {
            assert_eq!(parse_receipt(bad), None, "{bad}");
        }
    }
}
