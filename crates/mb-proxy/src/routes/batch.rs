//! `POST /api/v1/messages/batch`: many messages, each with an answer of its own.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::request_id::RequestId;
use mb_core::submission::public_text;
use mb_core::{MessageId, Timestamp};
use mb_queue::{Append, AppendError};
use serde::de::{self, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{accept, body, ndjson};
use crate::Shared;
use crate::admission;
use crate::meter::{Charge, Quota};

/// The most bytes of a JSON batch.
const MAX_BODY: usize = 8 << 20;
/// The most messages of a JSON batch.
const MAX_ITEMS: usize = 1000;

pub(crate) async fn submit(
    State(shared): State<Arc<Shared>>,
    peer: Peer,
    request_id: RequestId,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let admitted = match admission::admit(&shared, &peer) {
        Ok(admitted) => admitted,
        Err(error) => return super::refused(&shared, error),
    };
    let quota = shared.meter.quota(&admitted);
    let mut response = match accept_many(&shared, quota, request_id, &headers, body).await {
        Ok(response) => response,
        Err(error) => super::refused(&shared, error),
    };
    quota.tell(response.headers_mut());
    response
}

async fn accept_many(
    shared: &Shared,
    quota: Quota<'_>,
    request_id: RequestId,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let media_type = body::media_type(headers, &[body::MediaType::Json, body::MediaType::NdJson])?;
    let mut results = Results::new(shared, quota, accept::idempotency_key(headers)?, request_id);
    if media_type == body::MediaType::NdJson {
        let mut share = body::Share::new(shared);
        share.cover(ndjson::HELD)?;
        ndjson::read(body, &mut results).await?;
        return Ok(results.into_response());
    }
    let (bytes, _share) = body::read(shared, body, MAX_BODY).await?;
    let Items(items) = parse(&bytes)?;
    for item in items {
        results.add(item.get().as_bytes());
    }
    results.flush().await?;
    Ok(results.into_response())
}

/// The answers of one request, in order, and the messages among them that still wait for the journal.
pub(crate) struct Results<'a> {
    shared: &'a Shared,
    quota: Quota<'a>,
    key: Option<&'a str>,
    request_id: RequestId,
    json: String,
    /// Items seen, refused ones included: the index that idempotency keys count by.
    seen: usize,
    accepted: u64,
    pending: Vec<Append>,
    pending_bytes: usize,
    slots: Vec<Slot>,
}

enum Slot {
    Pending(MessageId, Timestamp, Charge),
    Refused(ApiError),
}

impl<'a> Results<'a> {
    fn new(shared: &'a Shared, quota: Quota<'a>, key: Option<&'a str>, request_id: RequestId) -> Self {
        Self {
            shared,
            quota,
            key,
            request_id,
            json: String::from(r#"{"results":["#),
            seen: 0,
            accepted: 0,
            pending: Vec::new(),
            pending_bytes: 0,
            slots: Vec::new(),
        }
    }

    /// How many items were seen.
    pub(crate) fn seen(&self) -> usize {
        self.seen
    }

    /// How many items were accepted for good.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Bytes that wait for the journal.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Seals one message, or notes why not.
    pub(crate) fn add(&mut self, json: &[u8]) {
        let key = self.key.map(|key| format!("{key}#{}", self.seen));
        self.seen += 1;
        let slot = self.take(json, key.as_deref()).unwrap_or_else(Slot::Refused);
        self.slots.push(slot);
    }

    fn take(&mut self, json: &[u8], key: Option<&str>) -> Result<Slot, ApiError> {
        let charge = self.quota.charge()?;
        let sealed =
            accept::seal(self.shared, self.quota.admitted, json, key).inspect_err(|_| self.quota.give_back(&charge))?;
        let slot = Slot::Pending(sealed.append.id, sealed.queued_at, charge);
        self.pending_bytes += sealed.append.envelope.len();
        self.pending.push(sealed.append);
        Ok(slot)
    }

    /// Notes an item that cannot even be read as a message.
    pub(crate) fn refuse(&mut self, error: ApiError) {
        self.seen += 1;
        self.slots.push(Slot::Refused(error));
    }

    /// Journals what is pending and writes its answers.
    ///
    /// # Errors
    /// The journal took nothing and nothing was accepted before: the whole request is to be repeated.
    pub(crate) async fn flush(&mut self) -> Result<(), ApiError> {
        self.pending_bytes = 0;
        let pending = std::mem::take(&mut self.pending);
        let appended = if pending.is_empty() { Ok(Vec::new()) } else { self.shared.journal.append(pending).await };
        let (done, rest) = match appended {
            Ok(done) => (done, AppendError::Failed),
            Err(failed) if failed.done.is_empty() && self.accepted == 0 => {
                self.give_back();
                return Err(accept::not_taken(failed.error));
            }
            Err(failed) => (failed.done, failed.error),
        };
        let mut done = done.into_iter();
        for slot in std::mem::take(&mut self.slots) {
            let result = match slot {
                Slot::Refused(error) => Err(error),
                Slot::Pending(id, queued_at, charge) => {
                    let result = match done.next() {
                        Some(appended) => accept::accepted(id, queued_at, &appended),
                        None => Err(accept::not_taken(rest)),
                    };
                    result.inspect_err(|_| self.quota.give_back(&charge))
                }
            };
            self.write(result);
        }
        Ok(())
    }

    /// Undoes the charges of what was not accepted.
    fn give_back(&mut self) {
        for slot in std::mem::take(&mut self.slots) {
            if let Slot::Pending(_, _, charge) = slot {
                self.quota.give_back(&charge);
            }
        }
    }

    fn write(&mut self, result: Result<accept::Accepted, ApiError>) {
        if !self.json.ends_with('[') {
            self.json.push(',');
        }
        match result {
            Ok(accepted) => {
                self.accepted += 1;
                self.shared.metrics.accepted.inc();
                accepted.write_item(&mut self.json);
            }
            Err(error) => {
                self.shared.metrics.reject(error.code());
                let problem = error.problem(Some(&self.request_id));
                self.json.push_str(&serde_json::to_string(&problem).unwrap_or_else(|_| "null".to_owned()));
            }
        }
    }

    fn into_response(mut self) -> Response {
        self.json.push_str("]}");
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        (StatusCode::ACCEPTED, content_type, self.json).into_response()
    }
}

#[derive(Debug)]
struct Items<'a>(Vec<&'a RawValue>);

fn parse(bytes: &[u8]) -> Result<Items<'_>, ApiError> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Document<'a> {
        #[serde(borrow, deserialize_with = "bounded")]
        messages: Vec<&'a RawValue>,
    }
    let document: Document<'_> = serde_json::from_slice(bytes).map_err(|error| {
        let detail = format!("{{\"messages\":[...]}} expected: {}", public_text(&error));
        ApiError::new(ProblemCode::MalformedJson, detail)
    })?;
    match document.messages.len() {
        0 => Err(ApiError::invalid(vec![mb_core::FieldError::new(
            "/messages",
            "empty",
            "messages must have 1 to 1000 entries",
        )])),
        n if n > MAX_ITEMS => {
            let detail = format!("a JSON batch has at most {MAX_ITEMS} messages; application/x-ndjson takes more");
            Err(ApiError::new(ProblemCode::TooManyItems, detail))
        }
        _ => Ok(Items(document.messages)),
    }
}

/// Keeps one item more than allowed and skims the rest, so that a batch of millions of tiny items takes no memory.
fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'de RawValue>, D::Error> {
    struct Bounded;
    impl<'de> Visitor<'de> for Bounded {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of messages")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut items = Vec::new();
            while items.len() <= MAX_ITEMS {
                match seq.next_element()? {
                    Some(item) => items.push(item),
                    None => return Ok(items),
                }
            }
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(items)
        }
    }
    deserializer.deserialize_seq(Bounded).map_err(de::Error::custom)
}
