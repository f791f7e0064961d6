//! The part of a request's body that its handler did not read.
//!
//! On HTTP/1 it stands between the answer and the next request. A refusal (no identity, a rate limit, a wrong type) is
//! often given before the body is read; closing the connection then would cost the client a TLS handshake per refusal,
//! and it would learn of it only when its next request breaks. So a small rest is read and thrown away; where that is
//! too much, the answer says `Connection: close`.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// The most bytes that are read for nothing.
const MAX_BYTES: u64 = 512 << 10;
/// The longest time that an answer waits for them.
const MAX_TIME: Duration = Duration::from_secs(1);

/// Where an unread body comes to; a connection has one, because HTTP/1 has one request at a time.
#[derive(Debug, Default)]
pub(super) struct Leftover(Mutex<Option<Incoming>>);

impl Leftover {
    fn put(&self, body: Option<Incoming>) -> Option<Incoming> {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), body)
    }

    /// What the handler left, if anything.
    pub(super) fn take(&self) -> Option<Incoming> {
        self.put(None)
    }
}

/// A body that leaves behind what is not read of it.
pub(super) struct Returning {
    body: Option<Incoming>,
    to: Arc<Leftover>,
}

impl Returning {
    pub(super) fn new(body: Incoming, to: &Arc<Leftover>) -> Self {
        Self { body: Some(body), to: Arc::clone(to) }
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            self.to.put(Some(body));
        }
    }
}

impl Body for Returning {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

/// What the client awaits before it sends its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expects {
    /// Nothing: the body is on its way.
    Nothing,
    /// `100 Continue` (RFC 9110, section 10.1.1): reading would call for the body.
    Continue,
}

/// Reads the rest, or marks the answer as the connection's last.
pub(super) async fn discard(rest: Incoming, expects: Expects, mut answer: Response) -> Response {
    let given_up = matches!(answer.status(), StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE);
    let worthwhile = !given_up && expects == Expects::Nothing && rest.size_hint().lower() <= MAX_BYTES;
    if !worthwhile || !tokio::time::timeout(MAX_TIME, reaches_end(rest)).await.unwrap_or(false) {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

async fn reaches_end(mut rest: Incoming) -> bool {
    let mut left = MAX_BYTES;
    while let Some(frame) = rest.frame().await {
        let Ok(frame) = frame else { return false };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(now_left) = left.checked_sub(length) else { return false };
        left = now_left;
    }
    true
}
