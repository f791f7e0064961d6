//! The part of a request's body that its handler did not read.
//!
//! A refusal (no identity, a body over the limit, a wrong type) is often given before the body is read. Many clients send
//! all of it before they look at the answer: on HTTP/1 they would meet a closed connection, on HTTP/2 a reset stream, and
//! never learn why. So the rest is read and thrown away, piece by piece, before the answer goes out. Where that is too
//! much, an HTTP/1 answer says `Connection: close`, and on HTTP/2 the stream is let go only behind the answer, which then
//! counts as complete (RFC 9113, section 8.1).

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

use super::connection::Version;
use super::live::Connection;

/// The most bytes that are read for nothing: more than the largest body that is read whole, for who is a little over its
/// limit shall be told so.
const MAX_BYTES: u64 = 9 << 20;
/// The longest time that an answer waits for them.
const MAX_TIME: Duration = Duration::from_secs(5);
/// The longest time without any of them: who is silent waits for the answer.
const MAX_SILENCE: Duration = Duration::from_secs(1);

/// Where an unread body comes to. Every HTTP/2 request has one; an HTTP/1 connection has one, because it has one request
/// at a time.
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

/// Reads the rest before the answer; where that is too much, makes the answer the last of its connection or stream.
pub(super) async fn discard(
    mut rest: Incoming,
    version: Version,
    expects: Expects,
    connection: Arc<Connection>,
    mut answer: Response,
) -> Response {
    let given_up = answer.status() == StatusCode::REQUEST_TIMEOUT || connection.is_shut_out();
    let worthwhile = !given_up && expects == Expects::Nothing && rest.size_hint().lower() <= MAX_BYTES;
    if worthwhile && tokio::time::timeout(MAX_TIME, reaches_end(&mut rest)).await.unwrap_or(false) {
        return answer;
    }
    match version {
        Version::One => {
            connection.leaves_unread();
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            answer
        }
        Version::Two => answer.map(|answer| axum::body::Body::new(Keeping { answer, _rest: rest })),
    }
}

async fn reaches_end(rest: &mut Incoming) -> bool {
    let mut left = MAX_BYTES;
    loop {
        let Ok(frame) = tokio::time::timeout(MAX_SILENCE, rest.frame()).await else { return false };
        let Some(frame) = frame else { return true };
        let Ok(frame) = frame else { return false };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(now_left) = left.checked_sub(length) else { return false };
        left = now_left;
    }
}

/// An answer that lets go of its request's stream at its own end.
struct Keeping {
    answer: axum::body::Body,
    _rest: Incoming,
}

impl Body for Keeping {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.answer).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}
