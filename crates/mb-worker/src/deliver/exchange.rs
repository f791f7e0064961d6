//! One request and its answer, within bounds of time and size.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use mb_api::dto::delivery::Exchange;
use mb_core::delivery::retry_after;
use mb_core::{AttemptClass, Clock, Timestamp};
use tokio::time::Instant;

use super::aim::Place;
use super::connect::{Connection, Failure};

/// From the first step to the connection.
pub(crate) const CONNECTING: Duration = Duration::from_secs(5);
/// From the first step to the end of the answer.
pub(crate) const TOTAL: Duration = Duration::from_secs(15);
/// What is kept of an answer.
const KEPT: usize = 16 << 10;

/// A message as it is sent.
#[derive(Debug)]
pub(crate) struct Shot<'a> {
    /// What the receiver knows a repeat by.
    pub(crate) id: &'a str,
    pub(crate) body: Bytes,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The connection can be used again.
    pub(crate) reusable: bool,
}

/// The request, signed now.
pub(crate) fn request(place: &Place, shot: &Shot<'_>, now: Timestamp) -> Result<Request<Full<Bytes>>, Failure> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(|error| Failure::new(AttemptClass::Unsendable, error));
    let mut request = Request::new(Full::new(shot.body.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = place.path.clone();
    let headers = request.headers_mut();
    headers.insert(HOST, place.host_header.clone());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("message-broker/", env!("CARGO_PKG_VERSION"))));
    headers.insert("webhook-id", value(shot.id)?);
    headers.insert("webhook-timestamp", value(&now.seconds().to_string())?);
    headers.insert("webhook-signature", value(&place.signature(shot.id, now, &shot.body))?);
    Ok(request)
}

/// Sends a request and reads the answer by `deadline`. The head alone decides what came of it: a body that does not end
/// takes nothing back.
pub(crate) async fn send(
    connection: &mut Connection,
    request: Request<Full<Bytes>>,
    deadline: Instant,
) -> Result<Answered, Failure> {
    let sent = async {
        connection.sender.ready().await?;
        connection.sender.send_request(request).await
    };
    let answer = match tokio::time::timeout_at(deadline, sent).await {
        Err(_) => return Err(Failure::new(AttemptClass::Timeout, "no answer in time")),
        Ok(Err(error)) => return Err(broken(&cause(connection, error, deadline).await)),
        Ok(Ok(answer)) => answer,
    };
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let mut body = Vec::new();
    let whole = tokio::time::timeout_at(deadline, read(answer, &mut body)).await;
    connection.used = Instant::now();
    Ok(Answered { status, headers, body, reusable: whole == Ok(true) })
}

/// Reads what is kept; whether that was all, and came whole.
async fn read(mut answer: Response<Incoming>, body: &mut Vec<u8>) -> bool {
    while let Some(frame) = answer.body_mut().frame().await {
        let Ok(frame) = frame else { return false };
        if let Ok(data) = frame.into_data() {
            let left = KEPT - body.len();
            body.extend_from_slice(&data[..data.len().min(left)]);
            if data.len() > left {
                return false;
            }
        }
    }
    true
}

/// A connection that broke before a request reached it tells the request only that it is closed.
async fn cause(connection: &mut Connection, error: hyper::Error, deadline: Instant) -> hyper::Error {
    if !error.is_closed() && !error.is_canceled() {
        return error;
    }
    match tokio::time::timeout_at(deadline, &mut connection.broke).await {
        Ok(Ok(cause)) => cause,
        Ok(Err(_)) | Err(_) => error,
    }
}

/// In TLS 1.3 a receiver refuses the certificate that it was shown, or that it was shown none, only after the handshake.
fn broken(error: &hyper::Error) -> Failure {
    let Some(source) = std::error::Error::source(error) else {
        return Failure::new(AttemptClass::Broken, error);
    };
    let io = source.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    match io.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => Failure::new(AttemptClass::Tls, tls),
        None => Failure::new(AttemptClass::Broken, format!("{error}: {source}")),
    }
}

/// An exchange in the words of a report.
pub(crate) fn describe(outcome: &Result<Answered, Failure>, at: Timestamp, took: Duration, clock: &Clock) -> Exchange {
    let duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    match outcome {
        Ok(answered) => {
            let class = AttemptClass::of_status(answered.status);
            let taken = class == AttemptClass::Taken;
            let wait = answered.headers.get(RETRY_AFTER).filter(|_| !taken).and_then(|value| value.to_str().ok());
            let wait = wait.and_then(|text| retry_after(text, clock.now())).map(|wait| wait.as_secs());
            let answer = (!answered.body.is_empty()).then(|| STANDARD.encode(&answered.body));
            let status = Some(answered.status);
            Exchange { at, duration_us, class, status, retry_after: wait, detail: None, answer }
        }
        Err(failure) => Exchange {
            at,
            duration_us,
            class: failure.class,
            status: None,
            retry_after: None,
            detail: Some(failure.detail.clone()),
            answer: None,
        },
    }
}
