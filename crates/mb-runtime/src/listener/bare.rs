//! What hyper answers by itself to a head that it cannot read, or that is too large: a status and nothing else, without a
//! hook to say more. Nothing of ours answers in that form (every answer has its request's id), so what hyper writes is
//! known by its look, and a problem goes out instead. HTTP/1 alone: on HTTP/2 such answers are no text.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use mb_api::problem::{ApiError, ProblemCode};

use crate::app::App;

/// The whole of hyper's answer, but for its status and its date.
const LINE: &[u8] = b"HTTP/1.1 4";
const HEADERS: &[u8] = b"\r\nconnection: close\r\ncontent-length: 0\r\ndate: ";
/// "Sun, 06 Nov 1994 08:49:37 GMT" and the end of the head.
const DATE: usize = 29 + 4;

/// What goes out instead of `written`, if that is an answer of hyper's own.
pub(super) fn instead(app: &App, written: &[u8]) -> Option<Bytes> {
    let (line, headers) = written.split_at_checked(written.len().checked_sub(HEADERS.len() + DATE)?)?;
    let is_bare = line.starts_with(LINE)
        && !line.contains(&b'\r')
        && headers.starts_with(HEADERS)
        && headers.ends_with(b"\r\n\r\n");
    let status = StatusCode::from_bytes(line.get(9..12).filter(|_| is_bare)?).ok()?;
    let error = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG => {
            ApiError::new(ProblemCode::HeadTooLarge, "the request line and the headers may have 16 KiB together")
        }
        _ => ApiError::new(ProblemCode::MalformedRequest, "this is no HTTP/1 request"),
    };
    let (mut parts, body) = app.refuse_unread(error);
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let mut head = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
    for (name, value) in &parts.headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    head.extend_from_slice(&headers[HEADERS.len() - b"date: ".len()..]);
    head.extend_from_slice(&body);
    Some(head.into())
}
