//! What may be in a request's body.

use axum::body::Body;
use axum::http::HeaderMap;
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

impl MediaType {
    const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::NdJson => "application/x-ndjson",
        }
    }
}

/// # Errors
/// `unsupported_media_type` for another type or any content coding but identity.
pub(crate) fn media_type(headers: &HeaderMap, allowed: &[MediaType]) -> Result<MediaType, ApiError> {
    let essence = mb_runtime::body::media_type(headers)?;
    let found = allowed.iter().copied().find(|allowed| essence.eq_ignore_ascii_case(allowed.name()));
    found.ok_or_else(|| {
        let detail = match allowed {
            [_] => "Content-Type must be application/json",
            _ => "Content-Type must be application/json or application/x-ndjson",
        };
        ApiError::new(ProblemCode::UnsupportedMediaType, detail)
    })
}

/// Reads a body within `share`, which is to be kept as long as the bytes are.
///
/// # Errors
/// As [`mb_runtime::body::read_body`], and `overloaded`.
pub(crate) async fn read(share: &mut Share, body: Body, limit: usize) -> Result<Bytes, ApiError> {
    mb_runtime::body::read_body_with(body, limit, |bytes| share.cover(bytes)).await
}
