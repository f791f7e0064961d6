//! What a destination is sent: one JSON object, the same bytes on every attempt (contract, section 5).

use mb_api::dto::SecretText;
use mb_core::{ClientName, Content, DomainName, Header, MessageId, Timestamp, Topic};
use serde_json::value::RawValue;

/// Its members in their order; absent values are left out.
#[derive(serde::Serialize)]
struct Payload<'a> {
    message_id: MessageId,
    client_id: &'a ClientName,
    domain: &'a DomainName,
    topic: &'a Topic,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_number: Option<&'a str>,
    message_body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    queued_at: Timestamp,
}

/// The body of a webhook; `None` if the metadata are none any more, which no proxy lets pass.
pub(crate) fn compose(header: &Header, content: &Content<'_>) -> Option<SecretText> {
    let metadata = content.metadata.map(serde_json::from_str::<&RawValue>).transpose().ok()?;
    let payload = Payload {
        message_id: header.message_id,
        client_id: &header.client,
        domain: &header.domain,
        topic: &header.topic,
        sender_number: content.sender_number,
        message_body: content.body,
        metadata,
        queued_at: header.queued_at,
    };
    serde_json::to_string(&payload).ok().map(SecretText::new)
}

#[cfg(test)]
mod tests {
    use mb_core::KeyId;

    use super::*;

    #[test]
    fn absent_values_are_left_out_and_metadata_stay_as_they_were_sent() {
        let header = Header {
            message_id: MessageId::v8(&[1; 32]),
            key_id: KeyId::from_bytes([0; 16]),
            queued_at: Timestamp::from_micros(1_795_000_000_123_457),
            deliver_at: None,
            expires_at: None,
            client: ClientName::parse("demo").expect("valid"),
            domain: DomainName::default(),
            topic: Topic::parse("a.b").expect("valid"),
        };
        let full = Content { sender_number: Some("+49151"), body: "h\"i", metadata: Some(r#"{"b": 1, "a":[ ]}"#) };
        let text = compose(&header, &full).expect("composes").secret().expose().clone();
        assert_eq!(
            text,
            r#"{"message_id":"01010101-0101-8101-8101-010101010101","client_id":"demo","domain":"default","topic":"a.b","sender_number":"+49151","message_body":"h\"i","metadata":{"b": 1, "a":[ ]},"queued_at":"2026-11-18T11:06:40.123457Z"}"#
        );
        let bare = Content { sender_number: None, body: "x", metadata: None };
        let text = compose(&header, &bare).expect("composes").secret().expose().clone();
        assert!(!text.contains("sender_number") && !text.contains("metadata"), "{text}");
    }
}
