//! Idempotency keys: from client and key to the message's id, and a tag that tells a repeat from other content.
//!
//! The id needs no secret and no coordination: every proxy computes the same. The tag is kept beside the id by the proxy
//! that accepted it; it is keyed by a secret of that proxy, so that it says nothing about the content to others.

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use mb_core::{ClientName, MessageId, Submission, Timestamp};

use crate::digest::{head, sha256};

/// The id of the message that `client` submits under `key`: a `UUIDv8` of SHA-256("mb-idem-1" || client || 0 || key).
/// Client names contain no zero byte, so no two pairs share an input.
pub fn message_id(client: &ClientName, key: &str) -> MessageId {
    MessageId::v8(&sha256(&[b"mb-idem-1", client.as_str().as_bytes(), &[0], key.as_bytes()]))
}

/// A tag over what was submitted under a key: two submissions have the same tag if they ask for the same.
///
/// `now` is what [`Submission::from_json`] was given: the lifetime is taken relative to it, so that a repeat a minute
/// later matches. `deliver_at` counts as requested, because what is left of it changes once it has passed.
pub fn content_tag(
    local_secret: &[u8; 32],
    client: &ClientName,
    key: &str,
    submission: &Submission,
    now: Timestamp,
) -> [u8; 16] {
    let key = sha256(&[local_secret, b"mb-idem-content-1", client.as_str().as_bytes(), &[0], key.as_bytes()]);
    let mut context = hmac::Context::with_key(&hmac::Key::new(HMAC_SHA256, &key));
    put(&mut context, submission.sender_number.as_deref());
    put(&mut context, Some(&submission.body));
    put(&mut context, Some(submission.topic.as_str()));
    put(&mut context, submission.metadata.as_deref());
    let lifetime = submission.expires_at.map_or(0, |at| at.since(now).as_micros());
    context.update(&lifetime.to_be_bytes());
    context.update(&[u8::from(submission.deliver_at_requested.is_some())]);
    context.update(&submission.deliver_at_requested.map_or(0, Timestamp::micros).to_be_bytes());
    let mut digest = [0; 32];
    digest.copy_from_slice(context.sign().as_ref());
    head(&digest)
}

/// One optional text, so that no two lists of texts have the same bytes: present or not, length, text.
fn put(context: &mut hmac::Context, text: Option<&str>) {
    context.update(&[u8::from(text.is_some())]);
    let text = text.unwrap_or_default();
    context.update(&(text.len() as u64).to_be_bytes());
    context.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mb_core::submission::BodyRules;

    use super::*;

    fn client(name: &str) -> ClientName {
        ClientName::parse(name).expect("a name")
    }

    fn tag(json: &str, now: Timestamp) -> [u8; 16] {
        let submission = Submission::from_json(json.as_bytes(), BodyRules::default(), now).expect("valid");
        content_tag(&[7; 32], &client("demo"), "k", &submission, now)
    }

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[test]
    fn every_proxy_computes_the_same_id() {
        let id = message_id(&client("demo"), "order-1");
        assert_eq!(id, message_id(&client("demo"), "order-1"));
        assert_eq!(id.version(), 8);
        assert_eq!(id.to_string(), GOLDEN_ID);
        assert_ne!(id, message_id(&client("demo"), "order-2"));
        assert_ne!(id, message_id(&client("demo2"), "order-1"));
    }

    /// SHA-256 of `mb-idem-1demo\0order-1`, cut and marked as version 8, by sha256sum.
    const GOLDEN_ID: &str = "7d3aefa2-55da-8bd0-bee2-cbd6048ff58b";

    #[test]
    fn a_later_repeat_has_the_same_tag() {
        let json = r#"{"sender_number":"+491511","message_body":"x","metadata":{"a":1},"expires_in":60,
                       "deliver_at":"2023-11-14T22:13:30Z"}"#;
        assert_eq!(tag(json, NOW), tag(json, NOW.plus(Duration::from_millis(1500))));
        assert_eq!(tag(json, NOW), tag(json, NOW.plus(Duration::from_secs(15))), "after deliver_at");
    }

    #[test]
    fn any_other_content_has_another_tag() {
        let all = [
            r#"{"sender_number":"+491511","message_body":"x"}"#,
            r#"{"sender_number":"+491512","message_body":"x"}"#,
            r#"{"sender_number":"+491511","message_body":"y"}"#,
            r#"{"sender_number":"+491511","message_body":"x","topic":"t"}"#,
            r#"{"sender_number":"+491511","message_body":"x","metadata":{}}"#,
            r#"{"sender_number":"+491511","message_body":"x","expires_in":60}"#,
            r#"{"sender_number":"+491511","message_body":"x","expires_in":61}"#,
            r#"{"sender_number":"+491511","message_body":"x","deliver_at":"1970-01-01T00:00:00Z"}"#,
            r#"{"sender_number":"+491511","message_body":"x","deliver_at":"2023-11-14T22:13:19Z"}"#,
            r#"{"sender_number":"+491511","message_body":"x","deliver_at":"2023-11-14T22:13:30Z"}"#,
            r#"{"sender_number":"+491511","message_body":"x","deliver_at":"2023-11-14T22:13:31Z"}"#,
        ];
        let tags: std::collections::BTreeSet<_> = all.iter().map(|json| tag(json, NOW)).collect();
        assert_eq!(tags.len(), all.len());
    }

    #[test]
    fn tags_say_nothing_across_proxies_clients_and_keys() {
        let submission =
            Submission::from_json(br#"{"sender_number":"+491511","message_body":"x"}"#, BodyRules::default(), NOW)
                .expect("valid");
        let mine = content_tag(&[7; 32], &client("demo"), "k", &submission, NOW);
        assert_ne!(mine, content_tag(&[8; 32], &client("demo"), "k", &submission, NOW));
        assert_ne!(mine, content_tag(&[7; 32], &client("demo2"), "k", &submission, NOW));
        assert_ne!(mine, content_tag(&[7; 32], &client("demo"), "k2", &submission, NOW));
    }
}
