//! `POST /api/v1/messages/batch`: many messages, each with an answer of its own.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::request_id::RequestId;
use mb_core::FieldError;
use mb_core::submission::{MAX_DEPTH, check_depth, public_text};
use serde::de::{self, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::results::Results;
use super::{accept, body, ndjson};
use crate::Shared;
use crate::admission;
use crate::meter::Quota;

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
    let key = accept::idempotency_key(headers)?;
    let mut share = shared.budget.batch(&quota.admitted.client)?;
    if media_type == body::MediaType::NdJson {
        let mut results = Results::new(shared, quota, key, request_id, share);
        ndjson::read(body, &mut results).await?;
        return Ok(results.into_response());
    }
    let bytes = body::read(&mut share, body, MAX_BODY).await?;
    let mut results = Results::new(shared, quota, key, request_id, share);
    let Items(items) = parse(&bytes)?;
    for item in items {
        results.add(item.get().as_bytes());
        if let Err(error) = results.cover(bytes.len()) {
            results.give_back();
            return Err(error);
        }
    }
    results.flush().await?;
    Ok(results.into_response())
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
    let malformed = |why: String| ApiError::new(ProblemCode::MalformedJson, why);
    let text = std::str::from_utf8(bytes)
        .map_err(|error| malformed(format!("invalid UTF-8 at byte {}", error.valid_up_to())))?;
    if !check_depth(text) {
        return Err(malformed(format!("JSON nested deeper than {MAX_DEPTH}")));
    }
    // What is derived for a struct would take an array, too.
    let parsed = if mb_runtime::body::is_object(text) {
        serde_json::from_str::<Document<'_>>(text).map_err(|error| public_text(&error))
    } else {
        Err("no JSON object".to_owned())
    };
    let other = |why| {
        let detail = format!("{{\"messages\":[...]}} is expected: {why}");
        ApiError::invalid(vec![FieldError::new("", "invalid", detail)])
    };
    let document = parsed.map_err(|why| mb_core::submission::malformed(text).map_or_else(|| other(why), malformed))?;
    match document.messages.len() {
        0 => {
            Err(ApiError::invalid(vec![FieldError::new("/messages", "empty", "messages must have 1 to 1000 entries")]))
        }
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
