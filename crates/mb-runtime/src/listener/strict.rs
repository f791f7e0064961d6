//! What the HTTP/1 parser lets pass although two readers could understand it differently (RFC 9112, sections 3.2 and 6).
//!
//! A balancer in front may see another message length or another host than we do; such a request is refused and its
//! connection ends.

use http::uri::Authority;
use http::{Request, Version, header};
use mb_api::problem::{ApiError, ProblemCode};

/// Why an HTTP/1 request is refused.
pub(super) fn refusal<B>(request: &Request<B>) -> Option<ApiError> {
    let headers = request.headers();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Some(malformed("Transfer-Encoding must be absent or chunked"));
        }
        if headers.contains_key(header::CONTENT_LENGTH) {
            return Some(malformed("Content-Length and Transfer-Encoding exclude each other"));
        }
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if !is_host(host.as_bytes()) => Some(malformed("Host must be a name or an address")),
        (Some(_), None) => None,
        (None, _) if request.version() < Version::HTTP_11 => None,
        _ => Some(malformed("Host must be given once")),
    }
}

/// A host and perhaps a port (RFC 9110, section 7.2); it may be empty.
fn is_host(value: &[u8]) -> bool {
    value.is_empty() || (!value.contains(&b'@') && Authority::try_from(value).is_ok())
}

fn malformed(detail: &'static str) -> ApiError {
    ApiError::new(ProblemCode::MalformedRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(version: Version, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        refusal(&request.body(()).expect("a request")).is_some()
    }

    #[test]
    fn a_request_that_two_readers_could_read_differently_is_refused() {
        let host = ("host", "localhost");
        for good in ["", "a.example:8001", "[::1]:8001", "127.0.0.1"] {
            assert!(!refused(Version::HTTP_11, &[("host", good)]), "{good}");
        }
        for bad in ["two words", "a@b", "a/b", "a:b:c"] {
            assert!(refused(Version::HTTP_11, &[("host", bad)]), "{bad}");
        }
        for good in [&[host][..], &[host, ("transfer-encoding", "Chunked")], &[host, ("content-length", "1")]] {
            assert!(!refused(Version::HTTP_11, good), "{good:?}");
        }
        for bad in [
            &[][..],
            &[host, host],
            &[host, ("transfer-encoding", "gzip, chunked")],
            &[host, ("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")],
            &[host, ("transfer-encoding", "chunked"), ("content-length", "1")],
        ] {
            assert!(refused(Version::HTTP_11, bad), "{bad:?}");
        }
        assert!(!refused(Version::HTTP_10, &[]), "HTTP/1.0 has no Host");
    }
}
