//! The id that follows one request through the answers and logs of every role.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderName, HeaderValue};

use crate::problem::ApiError;

/// The header that carries it, both ways.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// 1 to 64 characters of `A-Z a-z 0-9 . _ -` (contract, section 2). Kept as a header value, so that taking it from a
/// request and putting it on the answer copies nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Takes a header's value; `None` if it breaks the rule, and then a fresh one replaces it.
    pub fn from_header(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        ((1..=64).contains(&bytes.len()) && bytes.iter().all(allowed)).then(|| Self(value.clone()))
    }

    /// A new id: a random prefix of the process and a count. It identifies; it is no secret.
    ///
    /// # Panics
    /// Never: hexadecimal digits and a hyphen are a valid header value.
    pub fn fresh() -> Self {
        static PREFIX: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut text = [b'-'; 33];
        put_hex(&mut text[..16], *PREFIX);
        put_hex(&mut text[17..], COUNT.fetch_add(1, Ordering::Relaxed));
        Self(HeaderValue::from_bytes(&text).expect("hexadecimal digits and a hyphen are a valid header value"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The header value.
    pub const fn as_header(&self) -> &HeaderValue {
        &self.0
    }
}

fn put_hex(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the runtime's middleware put on the request; a fresh one if the router runs without it.
impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(Self::fresh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_plain_ids_are_taken_over() {
        let take = |text: &str| RequestId::from_header(&HeaderValue::from_str(text).expect("a header value"));
        for good in ["a", "A-1_b.c", &"x".repeat(64)] {
            assert_eq!(take(good).expect("allowed").as_str(), good);
        }
        for bad in ["", " ", "a b", "a/b", "a\"", &"x".repeat(65)] {
            assert_eq!(take(bad), None, "{bad:?}");
        }
        assert_eq!(RequestId::from_header(&HeaderValue::from_bytes(b"\xc3\xa4").expect("opaque bytes")), None);
    }

    #[test]
    fn fresh_ids_differ_and_obey_the_rule() {
        let (one, two) = (RequestId::fresh(), RequestId::fresh());
        assert_ne!(one, two);
        assert_eq!(RequestId::from_header(one.as_header()), Some(one));
    }
}
