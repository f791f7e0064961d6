//! What may be in a request's body.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use mb_api::problem::{ApiError, ProblemCode};

use crate::budget::Share;

/// The media types of submits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MediaType {
    /// `application/json`
    Json,
    /// `application/x-ndjson`
    NdJson,
}

/// # Errors
/// `unsupported_media_type` for another type or any content coding but identity.
pub(crate) fn media_type(headers: &HeaderMap, allowed: &[MediaType]) -> Result<MediaType, ApiError> {
    let encoded = headers.get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity");
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let found = match essence.as_str() {
        "application/json" => Some(MediaType::Json),
        "application/x-ndjson" => Some(MediaType::NdJson),
        _ => None,
    };
    match found {
        Some(media_type) if !encoded && allowed.contains(&media_type) => Ok(media_type),
        _ if encoded => Err(unsupported("Content-Encoding must be absent or identity")),
        _ if allowed.len() > 1 => Err(unsupported("Content-Type must be application/json or application/x-ndjson")),
        _ => Err(unsupported("Content-Type must be application/json")),
    }
}

fn unsupported(detail: &'static str) -> ApiError {
    ApiError::new(ProblemCode::UnsupportedMediaType, detail)
}

/// Reads a body within `share`, which is to be kept as long as the bytes are.
///
/// # Errors
/// As [`mb_runtime::body::read_body`], and `overloaded`.
pub(crate) async fn read(share: &mut Share, body: Body, limit: usize) -> Result<Bytes, ApiError> {
    mb_runtime::body::read_body_with(body, limit, |bytes| share.cover(bytes)).await
}
