//! What a caller shows beside its certificate: an access token, or a portal's session.
//!
//! Both travel in `Authorization` (RFC 9110, section 11.6.2). An access token (`Bearer`, RFC 6750) speaks for a user over
//! any connection. A session (`Session`) is good only together with a certificate of role `portal`: a stolen cookie is
//! worth nothing without a portal's key.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dto::SecretText;
use crate::problem::{ApiError, ProblemCode};

/// On a request that nobody makes, but a page that is open: it does not count as a use of the session.
pub const WATCHING: HeaderName = HeaderName::from_static("x-watching");

/// The longest token that is read.
const MAX_TOKEN: usize = 4096;

/// What stands in `Authorization`.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// An access token.
    Bearer(SecretText),
    /// The token of a portal's session.
    Session(SecretText),
}

impl Credentials {
    /// Reads them from a request; `None` if it brings none.
    ///
    /// # Errors
    /// 401 `invalid_token` if the header is of another scheme, is given twice or holds no token.
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Self::parse(value).map(Some).ok_or_else(refusal),
            _ => Err(refusal()),
        }
    }

    fn parse(value: &HeaderValue) -> Option<Self> {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        // The token68 of RFC 9110, section 11.2, which covers base64url and JWT.
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
        let whole = (1..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(allowed);
        let token = whole.then(|| SecretText::new(token.to_owned()))?;
        if scheme.eq_ignore_ascii_case("Bearer") {
            Some(Self::Bearer(token))
        } else if scheme.eq_ignore_ascii_case("Session") {
            Some(Self::Session(token))
        } else {
            None
        }
    }

    /// The header's value, marked as sensitive; `None` if the token has characters that no token has.
    pub fn header_value(&self) -> Option<HeaderValue> {
        let (scheme, token) = match self {
            Self::Bearer(token) => ("Bearer", token),
            Self::Session(token) => ("Session", token),
        };
        let mut value = HeaderValue::from_str(&format!("{scheme} {}", token.secret().expose())).ok()?;
        value.set_sensitive(true);
        Self::parse(&value).map(|_| value)
    }
}

fn refusal() -> ApiError {
    ApiError::new(ProblemCode::InvalidToken, "Authorization must be 'Bearer' and an access token")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let value = |text: &&str| (AUTHORIZATION, HeaderValue::from_str(text).expect("a header"));
        values.iter().map(value).collect()
    }

    #[test]
    fn what_is_sent_is_read_and_the_two_kinds_are_never_confused() {
        let token = || SecretText::new("abc.d-e_f".into());
        let sent = Credentials::Session(token()).header_value().expect("a token");
        assert!(sent.is_sensitive());
        let read = Credentials::from_headers(&HeaderMap::from_iter([(AUTHORIZATION, sent)])).expect("read");
        assert!(matches!(read, Some(Credentials::Session(read)) if read.secret().expose() == "abc.d-e_f"));
        let read = Credentials::from_headers(&headers(&["bearer abc"])).expect("read");
        assert!(matches!(read, Some(Credentials::Bearer(_))));
        assert!(Credentials::Bearer(SecretText::new("a b\r\n".into())).header_value().is_none());
        assert!(!format!("{:?}", Credentials::Bearer(token())).contains("abc"));
    }

    #[test]
    fn other_schemes_and_two_at_once_are_refused() {
        assert!(Credentials::from_headers(&HeaderMap::new()).expect("none").is_none());
        for bad in [&["Basic YTpi"][..], &["Bearer"], &["Bearer "], &["Bearer a b"], &["Bearer a", "Session b"]] {
            let error = Credentials::from_headers(&headers(bad)).expect_err("refused");
            assert_eq!(error.code(), ProblemCode::InvalidToken, "{bad:?}");
        }
    }
}
