//! What may be in a request's body, and how much of all bodies together.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use mb_api::problem::{ApiError, ProblemCode};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::Shared;

/// Bodies up to this size need no share of the budget: the bound on requests in flight bounds them.
const SMALL: usize = 16 << 10;
/// The step in which larger ones take their share.
const STEP: usize = 64 << 10;

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

/// A request's share of the memory for bodies, so that many large ones at once cannot fill it. It grows with what has
/// arrived: announcing a large body takes nothing from others.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    budget: &'a Semaphore,
    held: Option<SemaphorePermit<'a>>,
}

impl<'a> Share<'a> {
    /// An empty share.
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self { budget: &shared.body_budget, held: None }
    }

    /// Makes the share large enough for `bytes` of body.
    ///
    /// # Errors
    /// `overloaded` if nothing is left.
    pub(crate) fn cover(&mut self, bytes: usize) -> Result<(), ApiError> {
        if bytes <= SMALL {
            return Ok(());
        }
        let held = self.held.as_ref().map_or(0, SemaphorePermit::num_permits);
        let more = (bytes.div_ceil(STEP) * STEP / 1024).saturating_sub(held);
        if more == 0 {
            return Ok(());
        }
        let more = self.budget.try_acquire_many(u32::try_from(more).unwrap_or(u32::MAX)).map_err(|error| {
            ApiError::new(ProblemCode::Overloaded, "too many large requests at once").caused_by(error)
        })?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

/// Reads a body within the budget; the share is to be kept as long as the bytes are.
///
/// # Errors
/// As [`mb_runtime::body::read_body`], and `overloaded`.
pub(crate) async fn read(shared: &Shared, body: Body, limit: usize) -> Result<(Bytes, Share<'_>), ApiError> {
    let mut share = Share::new(shared);
    let bytes = mb_runtime::body::read_body_with(body, limit, |bytes| share.cover(bytes)).await?;
    Ok((bytes, share))
}
