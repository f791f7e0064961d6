//! From a message's JSON to a sealed entry for the journal, and from the journal's word to the client's answer.

use std::fmt::Write;

use axum::http::HeaderMap;
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::request_id::RequestId;
use mb_core::submission::Rejection;
use mb_core::{Content, Header, MessageId, Submission, Timestamp};
use mb_queue::{Append, AppendError, Appended};

use crate::Shared;
use crate::admission::Admitted;

/// A sealed message that waits for its fsync.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) append: Append,
    pub(crate) queued_at: Timestamp,
}

/// Parses, gives the id and seals.
///
/// # Errors
/// `malformed_json`, `validation_failed`; as [`crate::sealer::Sealer::key`] if there is no data key.
pub(crate) fn seal(
    shared: &Shared,
    admitted: &Admitted,
    json: &[u8],
    idempotency_key: Option<&str>,
) -> Result<Sealed, ApiError> {
    let now = shared.clock.now();
    let rules = admitted.policy.body_rules(&admitted.domain);
    let submission = Submission::from_json(json, rules, now).map_err(|rejection| match rejection {
        Rejection::Malformed(detail) => ApiError::new(ProblemCode::MalformedJson, detail),
        Rejection::Invalid(errors) => ApiError::invalid(errors),
    })?;
    let key = shared.sealer.key(&admitted.policy, now)?;
    let (message_id, tag) = identify(shared, admitted, &submission, idempotency_key, now);
    let header = Header {
        message_id,
        key_id: key.sealing.key_id(),
        queued_at: now,
        deliver_at: submission.deliver_at,
        expires_at: submission.expires_at,
        client: admitted.client.clone(),
        domain: admitted.domain.clone(),
        topic: submission.topic.clone(),
    };
    let content = Content {
        sender_number: submission.sender_number.as_deref(),
        body: &submission.body,
        metadata: submission.metadata.as_deref(),
    };
    let mut envelope = Vec::new();
    key.sealing
        .seal(&header, &content, &mut envelope)
        .map_err(|error| ApiError::new(ProblemCode::Internal, "the message cannot be sealed now").caused_by(error))?;
    Ok(Sealed {
        append: Append { id: message_id, envelope: envelope.into(), key: key.record.clone(), tag },
        queued_at: now,
    })
}

fn identify(
    shared: &Shared,
    admitted: &Admitted,
    submission: &Submission,
    idempotency_key: Option<&str>,
    now: Timestamp,
) -> (MessageId, Option<[u8; 16]>) {
    let Some(key) = idempotency_key else {
        return (shared.ids.next(now, mb_crypto::random::public_array()), None);
    };
    let client = &admitted.client;
    let tag = mb_crypto::idempotency::content_tag(shared.sealer.idempotency_secret(), client, key, submission, now);
    (mb_crypto::idempotency::message_id(client, key), Some(tag))
}

/// Reads the `Idempotency-Key` header: 1 to 255 visible ASCII characters.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all("idempotency-key").iter();
    let (first, more) = (values.next(), values.next());
    let Some(value) = first else { return Ok(None) };
    match value.to_str() {
        Ok(text) if more.is_none() && (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(Some(text))
        }
        _ => {
            let detail = "Idempotency-Key must be given once and have 1 to 255 visible ASCII characters";
            Err(ApiError::new(ProblemCode::MalformedRequest, detail))
        }
    }
}

/// What a client is told about one message that the journal took or knew.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) message_id: MessageId,
    pub(crate) queued_at: Timestamp,
    pub(crate) position: Option<u64>,
    pub(crate) replayed: bool,
}

/// The journal's word on one entry.
///
/// # Errors
/// `idempotency_conflict` if the key was used for another content.
pub(crate) fn accepted(id: MessageId, queued_at: Timestamp, appended: &Appended) -> Result<Accepted, ApiError> {
    match appended {
        Appended::Stored { depth } => {
            Ok(Accepted { message_id: id, queued_at, position: Some(*depth), replayed: false })
        }
        Appended::Replayed { queued_at } => {
            Ok(Accepted { message_id: id, queued_at: *queued_at, position: None, replayed: true })
        }
        Appended::Conflict => {
            let detail = "this Idempotency-Key was used for a message with another content";
            Err(ApiError::new(ProblemCode::IdempotencyConflict, detail))
        }
    }
}

/// Ties the request's id to the message's, by which every later role speaks of it.
pub(crate) fn note(request: Option<&RequestId>, accepted: &Accepted) {
    tracing::debug!(
        request.id = request.map(tracing::field::display),
        message.id = %accepted.message_id,
        replayed = accepted.replayed,
        "message accepted"
    );
}

/// Why the journal took nothing.
pub(crate) fn not_taken(error: AppendError) -> ApiError {
    let (code, detail) = match error {
        AppendError::Full => (ProblemCode::JournalFull, "the journal is full; nothing was accepted"),
        AppendError::Overloaded => (ProblemCode::Overloaded, "too many messages wait for the disk"),
        AppendError::Failed => (ProblemCode::Unavailable, "the disk did not take the message"),
        AppendError::Unfit => (ProblemCode::BodyTooLarge, "the message does not fit into the journal"),
        AppendError::Closed => (ProblemCode::Unavailable, "the proxy is stopping"),
    };
    ApiError::new(code, detail).caused_by(error)
}

impl Accepted {
    /// The 202 body of a single submit. Names and times need no escaping, by their types.
    pub(crate) fn to_json(&self, client: &str) -> String {
        let mut json = String::with_capacity(192);
        let _ = write!(
            json,
            r#"{{"message_id":"{}","status":"queued","client_id":"{client}","queued_at":"{}","position":"#,
            self.message_id, self.queued_at
        );
        match self.position {
            Some(position) => {
                let _ = write!(json, "{position}}}");
            }
            None => json.push_str("null}"),
        }
        json
    }

    /// An entry of a batch answer.
    pub(crate) fn write_item(&self, out: &mut String) {
        let _ =
            write!(out, r#"{{"message_id":"{}","status":"queued","queued_at":"{}"}}"#, self.message_id, self.queued_at);
    }
}
