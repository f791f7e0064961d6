//! Messages as people see them: a list with filters, one in full (contract, section 4).

use std::fmt;

use mb_core::{
    AttemptClass, ClientName, DomainName, FieldError, MessageId, MessageIdPrefix, MessageState, Timestamp, Topic,
    submission,
};
use utoipa::{IntoParams, ToSchema};

use super::{DeliveryRow, SecretText};
use crate::cursor::{Cursor, List};
use crate::page;
use crate::problem::ApiError;
use crate::schema;

/// Which messages to list. All filters hold at once; each is exact.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MessageQuery {
    /// How it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::MessageState>)]
    pub status: Option<MessageState>,
    /// Accepted at or after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::Timestamp>)]
    pub from: Option<Timestamp>,
    /// Accepted before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::Timestamp>)]
    pub to: Option<Timestamp>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::Topic>)]
    pub topic: Option<Topic>,
    /// The sender's whole number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::SenderNumber>)]
    pub sender: Option<SecretText>,
    /// Who sent it; only for admins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::ClientName>)]
    pub client_id: Option<ClientName>,
    /// The tenant; only for admins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::DomainName>)]
    pub domain: Option<DomainName>,
    /// How its id begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::MessageIdPrefix>)]
    pub q: Option<MessageIdPrefix>,
    /// Rows wanted, 50 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 250)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl MessageQuery {
    /// The number of rows and the position after which they start.
    ///
    /// # Errors
    /// 422 if the paging is out of range, the number is none, or `to` is before `from`.
    pub fn resolve(&self) -> Result<(u32, Option<Cursor>), ApiError> {
        let mut errors = Vec::new();
        if self.sender.as_ref().is_some_and(|number| !submission::is_e164(number.secret().expose())) {
            errors.push(FieldError::new("/sender", "invalid_number", "sender must be a whole E.164 number"));
        }
        if self.from.zip(self.to).is_some_and(|(from, to)| to < from) {
            errors.push(FieldError::new("/to", "before_from", "to must not be before from"));
        }
        if !errors.is_empty() {
            return Err(ApiError::invalid(errors));
        }
        page::resolve(List::Messages, self.limit, self.cursor.as_deref())
    }
}

/// A message in a list.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct MessageRow {
    /// Its id, as all rows have one.
    #[schema(value_type = schema::MessageId)]
    pub id: MessageId,
    /// Its id, under the name that it has everywhere else.
    #[schema(value_type = schema::MessageId)]
    pub message_id: MessageId,
    /// Who sent it.
    #[schema(value_type = schema::ClientName)]
    pub client_id: ClientName,
    /// The sender's tenant.
    #[schema(value_type = schema::DomainName)]
    pub domain: DomainName,
    /// What it is about.
    #[schema(value_type = schema::Topic)]
    pub topic: Topic,
    /// The sender's number, its middle hidden; `null` if there is none, or it can no longer be read.
    pub sender_number_masked: Option<String>,
    /// How it stands.
    #[schema(value_type = schema::MessageState)]
    pub status: MessageState,
    /// How often delivery was tried.
    pub attempt_count: u64,
    /// When it was accepted.
    #[schema(value_type = schema::Timestamp)]
    pub queued_at: Timestamp,
    /// When all had taken it.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub delivered_at: Option<Timestamp>,
    /// What last went wrong.
    pub last_error: Option<String>,
}

/// How much of a message to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MessageDetailQuery {
    /// `false` leaves number, body and metadata closed, which is then no opening to be audited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<bool>,
}

/// A message in full.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct MessageDetail {
    /// As in the list.
    #[serde(flatten)]
    pub row: MessageRow,
    /// When it came into the store.
    #[schema(value_type = schema::Timestamp)]
    pub registered_at: Timestamp,
    /// When it was given up.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub failed_at: Option<Timestamp>,
    /// Not delivered before.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub deliver_at: Option<Timestamp>,
    /// Not delivered after.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub expires_at: Option<Timestamp>,
    /// The sender's number; absent if the message was not opened or names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_number: Option<SecretText>,
    /// The text as it was sent; absent if the message was not opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_body: Option<SecretText>,
    /// The metadata as they were sent; absent if the message was not opened or has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::AnyObject>)]
    pub metadata: Option<Metadata>,
    /// Where it goes, and how far it has come.
    #[serde(default)]
    pub deliveries: Vec<DeliveryRow>,
    /// What was tried, oldest first; at most the first 500.
    pub attempts: Vec<AttemptRow>,
}

/// A message's metadata: an object that does not show in debug output.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Metadata(pub serde_json::Map<String, serde_json::Value>);

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[metadata]")
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// It was taken.
    Delivered,
    /// It was not taken and will be tried again.
    Retry,
    /// It was refused for good.
    Reject,
}

/// One attempt to deliver.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct AttemptRow {
    /// Its place among the message's attempts.
    pub id: u64,
    /// Where to.
    pub destination: String,
    /// When it began.
    #[schema(value_type = schema::Timestamp)]
    pub at: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
    /// What it means.
    pub outcome: AttemptOutcome,
    /// How it ended.
    #[schema(value_type = schema::AttemptClass)]
    pub class: AttemptClass,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Who made it.
    pub worker: String,
    /// The beginning of what was answered; absent if the message was not opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<SecretText>,
    /// What was answered, or why nothing was.
    pub detail: Option<String>,
}

/// What exported messages are written as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportFormat {
    /// RFC 4180 with a header line.
    Csv,
    /// A JSON object in each line.
    Ndjson,
}

impl ExportFormat {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Csv, Self::Ndjson];

    /// The ending of a file's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_sealed_shows_in_debug_output() {
        let query = MessageQuery { sender: Some(SecretText::new("+4915112345678".into())), ..MessageQuery::default() };
        assert!(!format!("{query:?}").contains("4915"));
        let metadata: Metadata = serde_json::from_str(r#"{"a":"hidden"}"#).expect("an object");
        assert!(!format!("{metadata:?}").contains("hidden"));
        assert!(serde_json::from_str::<Metadata>("[1]").is_err());
    }

    #[test]
    fn a_filter_that_can_match_nothing_is_refused() {
        let at = |micros| Some(Timestamp::from_micros(micros));
        let turned = MessageQuery { from: at(2), to: at(1), ..MessageQuery::default() };
        assert!(turned.resolve().is_err());
        let part = MessageQuery { sender: Some(SecretText::new("+49151*".into())), ..MessageQuery::default() };
        assert!(part.resolve().is_err());
        assert_eq!(MessageQuery { from: at(1), to: at(2), ..MessageQuery::default() }.resolve().expect("fine").0, 50);
    }
}
