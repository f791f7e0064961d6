//! Reading request bodies within bounds: of size, of silence, of total time.
//!
//! Nothing beyond the limit is ever held in memory: an announced length over it is refused before the first byte, an
//! unannounced one is cut off at the limit. What comes behind it the listener reads and throws away, within bounds of its
//! own, so that the refusal reaches a client that sends before it listens.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use mb_api::peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::FieldError;
use mb_core::policy::Refusal;
use mb_core::submission::public_text;
use serde::de::DeserializeOwned;

/// How long a sender may be silent.
pub const STALL: Duration = Duration::from_secs(10);
/// How long a body may take in total.
pub const TOTAL: Duration = Duration::from_mins(1);

/// The refusal of a body over `limit` bytes.
pub fn too_large(limit: usize) -> ApiError {
    ApiError::new(ProblemCode::BodyTooLarge, format!("the body may have at most {limit} bytes"))
}

/// Reads a whole body of at most `limit` bytes. A body that came in one piece is not copied.
///
/// # Errors
/// `body_too_large`, `request_timeout` after [`STALL`] of silence or [`TOTAL`], `malformed_request` if it breaks off,
/// `certificate_revoked` and `client_suspended` if its sender became so meanwhile.
pub async fn read_body(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    read_body_with(body, limit, |_| Ok(())).await
}

/// As [`read_body`]; `take` is told how many bytes there are so far, before they are kept, and may refuse.
///
/// # Errors
/// As [`read_body`], and those of `take`.
pub async fn read_body_with(
    mut body: Body,
    limit: usize,
    mut take: impl FnMut(usize) -> Result<(), ApiError>,
) -> Result<Bytes, ApiError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
    if first.len() > limit {
        return Err(too_large(limit));
    }
    take(first.len())?;
    if body.is_end_stream() {
        return Ok(first);
    }
    let rest = async {
        let mut whole = BytesMut::from(first);
        while let Some(data) = next(&mut body).await? {
            if whole.len() + data.len() > limit {
                return Err(too_large(limit));
            }
            take(whole.len() + data.len())?;
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    };
    let timeout = || ApiError::new(ProblemCode::RequestTimeout, format!("the body took over {} s", TOTAL.as_secs()));
    tokio::time::timeout(TOTAL, rest).await.unwrap_or_else(|_| Err(timeout()))
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
    loop {
        let frame = match tokio::time::timeout(STALL, body.frame()).await {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return Err(broke_off(error)),
            Err(_) => {
                let detail = format!("no data for {} s", STALL.as_secs());
                return Err(ApiError::new(ProblemCode::RequestTimeout, detail));
            }
        };
        // Trailers mean nothing here.
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

/// Ends a body whose sender may not go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShutOut(pub(crate) Refusal);

impl fmt::Display for ShutOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sender was shut out meanwhile")
    }
}

impl std::error::Error for ShutOut {}

/// Ends a body for a reason that its sender is told.
#[derive(Clone, Debug)]
pub struct Refused {
    code: ProblemCode,
    detail: String,
}

impl From<&ApiError> for Refused {
    fn from(error: &ApiError) -> Self {
        Self { code: error.code(), detail: error.detail().to_owned() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sender may not ask this any more")
    }
}

impl std::error::Error for Refused {}

/// Why a body did not arrive whole: its sender was shut out as it was on its way, or it broke off.
pub fn broke_off(error: axum::Error) -> ApiError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(ShutOut(refusal)) = cause.downcast_ref() {
            return peer::refused(*refusal);
        }
        if let Some(Refused { code, detail }) = cause.downcast_ref() {
            return ApiError::new(*code, detail.clone());
        }
        source = cause.source();
    }
    ApiError::new(ProblemCode::MalformedRequest, "the body broke off").caused_by(error)
}

/// Reads a JSON body of at most `limit` bytes. Check the type with [`require_json`] where strangers call.
///
/// # Errors
/// As [`read_body`]; `malformed_json` if it is none or nested too deep, `validation_failed` if it is not a `T`.
pub async fn read_json<T: DeserializeOwned>(body: Body, limit: usize) -> Result<T, ApiError> {
    parse_json(&read_body(body, limit).await?)
}

/// Parses a JSON body that has to be an object: what `serde` derives for a struct would take an array, too.
///
/// # Errors
/// `malformed_json` if it is none or nested too deep, `validation_failed` if it is not a `T`.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let malformed = |why: String| ApiError::new(ProblemCode::MalformedJson, why);
    let text = std::str::from_utf8(bytes)
        .map_err(|error| malformed(format!("invalid UTF-8 at byte {}", error.valid_up_to())))?;
    if !mb_core::submission::check_depth(text) {
        return Err(malformed(format!("JSON nested deeper than {}", mb_core::submission::MAX_DEPTH)));
    }
    let invalid = |why: String| ApiError::invalid(vec![FieldError::new("", "invalid", why)]);
    let parsed = if is_object(text) {
        serde_json::from_str(text).map_err(|error| public_text(&error))
    } else {
        Err("a JSON object is expected".to_owned())
    };
    parsed.map_err(|why| mb_core::submission::malformed(text).map_or_else(|| invalid(why), malformed))
}

/// Whether JSON text is an object, if it is JSON.
pub fn is_object(text: &str) -> bool {
    text.trim_ascii_start().starts_with('{')
}

/// The media type that a request gives its body, without parameters; the body has no content coding.
///
/// # Errors
/// `unsupported_media_type` for a coding, for a type given twice or one that cannot be read; none at all is empty.
pub fn media_type(headers: &HeaderMap) -> Result<&str, ApiError> {
    let refuse = |detail: &'static str| ApiError::new(ProblemCode::UnsupportedMediaType, detail);
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    if !codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(refuse("Content-Encoding must be absent or identity"));
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (first, second) = (types.next(), types.next());
    if second.is_some() {
        return Err(refuse("Content-Type must be given once"));
    }
    let text = first.map_or(Ok(""), |value| value.to_str()).map_err(|_| refuse("Content-Type cannot be read"))?;
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    if !parts.filter_map(|part| part.split_once('=')).all(is_utf8) {
        return Err(refuse("the charset in Content-Type must be absent or utf-8"));
    }
    Ok(essence)
}

/// Whether a parameter says nothing against UTF-8, which JSON is always in (RFC 8259, section 8.1) and ASCII a part of.
fn is_utf8((name, value): (&str, &str)) -> bool {
    let value = value.trim().trim_matches('"');
    !name.trim().eq_ignore_ascii_case("charset")
        || ["utf-8", "us-ascii"].iter().any(|good| value.eq_ignore_ascii_case(good))
}

/// Refuses a body that is not plain `application/json`.
///
/// # Errors
/// `unsupported_media_type`.
pub fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    if media_type(headers)?.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(ApiError::new(ProblemCode::UnsupportedMediaType, "Content-Type must be application/json"))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;

    use super::*;

    /// Sends so many pieces of 1,000 bytes, then ends or falls silent.
    struct Pieces {
        left: usize,
        ends: bool,
    }

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.left > 0 {
                self.left -= 1;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[7; 1000])))))
            } else if self.ends {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        }
    }

    fn pieces(left: usize, ends: bool) -> Body {
        Body::new(Pieces { left, ends })
    }

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read_whole() {
        assert_eq!(read_body(pieces(3, true), 3000).await.expect("within").len(), 3000);
        assert_eq!(read_body(Body::from("hi"), 2).await.expect("within"), "hi");
        assert!(read_body(Body::empty(), 0).await.expect("within").is_empty());
    }

    #[tokio::test]
    async fn reading_stops_at_the_limit() {
        // The body never ends: reading on would hang.
        let error = read_body(pieces(usize::MAX, false), 2999).await.expect_err("over the limit");
        assert_eq!(error.code(), ProblemCode::BodyTooLarge);
        let error = read_body(Body::from("abc"), 2).await.expect_err("announced over the limit");
        assert_eq!(error.code(), ProblemCode::BodyTooLarge);
    }

    #[tokio::test]
    async fn who_counts_the_bytes_may_refuse_them() {
        let refuse = |bytes| if bytes > 2000 { Err(ApiError::internal("enough")) } else { Ok(()) };
        assert_eq!(read_body_with(pieces(2, true), 9000, refuse).await.expect("within").len(), 2000);
        // The body never ends: reading on would hang.
        let error = read_body_with(pieces(3, false), 9000, refuse).await.expect_err("refused");
        assert_eq!(error.code(), ProblemCode::Internal);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_sender_is_given_up() {
        let begin = tokio::time::Instant::now();
        let error = read_body(pieces(1, false), 5000).await.expect_err("silent");
        assert_eq!(error.code(), ProblemCode::RequestTimeout);
        assert_eq!(begin.elapsed().as_secs(), STALL.as_secs());
    }

    #[test]
    fn json_is_malformed_or_of_the_wrong_shape() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Numbers {
            numbers: Vec<u8>,
        }
        let code = |text: &[u8]| parse_json::<Numbers>(text).expect_err("refused").code();
        assert_eq!(parse_json::<Numbers>(br#" {"numbers":[1]}"#).expect("good").numbers, [1]);
        let twice = br#"{"numbers":[1],"numbers":[2]}"#;
        for bad in [&b"["[..], b"", b"[[1]] x", b"\"\xff\"", "[".repeat(100).as_bytes(), twice] {
            assert_eq!(code(bad), ProblemCode::MalformedJson, "{bad:?}");
        }
        for bad in ["{}", "[[1]]", "1", r#"{"numbers":[1],"more":2}"#, r#"{"numbers":[1e999]}"#] {
            assert_eq!(code(bad.as_bytes()), ProblemCode::ValidationFailed, "{bad}");
        }
    }

    #[test]
    fn only_plain_json_is_taken() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)));
            pairs.collect::<HeaderMap>()
        };
        for good in ["Application/JSON; charset=utf-8", "application/json;charset=\"UTF-8\"", "application/json; v=1"] {
            assert!(require_json(&headers(&[("content-type", good)])).is_ok(), "{good}");
        }
        assert!(
            require_json(&headers(&[("content-type", "application/json"), ("content-encoding", "Identity")])).is_ok()
        );
        for bad in [
            &[][..],
            &[("content-type", "text/plain")],
            &[("content-type", "application/json; charset=latin1")],
            &[("content-type", "application/json; a=b; Charset=\"utf-16\"")],
            &[("content-type", "application/json"), ("content-encoding", "gzip")],
            &[("content-type", "application/json"), ("content-encoding", "identity"), ("content-encoding", "gzip")],
            &[("content-type", "application/json"), ("content-type", "application/json")],
        ] {
            let error = require_json(&headers(bad)).expect_err("refused");
            assert_eq!(error.code(), ProblemCode::UnsupportedMediaType);
        }
    }
}
