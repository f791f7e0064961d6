//! That a form was sent from one of these pages.
//!
//! A random token stands in a cookie and in every form; a page of another site can send neither, because the cookie's
//! prefix keeps others from planting it and they cannot read the form. Besides, a browser says where a request comes from
//! (`Sec-Fetch-Site`, `Origin`), and what it says is believed if it says no.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Uri};
use subtle::ConstantTimeEq;

/// Random bytes of a token.
const BYTES: usize = 32;
/// Their length in base64url without padding.
const LENGTH: usize = 43;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The token of one browser.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CsrfToken(Box<str>);

impl CsrfToken {
    /// A new token.
    ///
    /// # Errors
    /// The system has no randomness.
    pub(crate) fn fresh() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes).into()))
    }

    /// A token as it was given out; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        (text.len() == LENGTH && plain).then(|| Self(text.into()))
    }

    /// The text for the cookie and the form.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a form repeats this token; takes the same time whatever it says.
    pub(crate) fn matches(&self, sent: &str) -> bool {
        self.0.as_bytes().ct_eq(sent.as_bytes()).into()
    }
}

/// Whether a browser that says where the request comes from says: from here. One that says nothing is held to the token
/// alone.
pub(crate) fn comes_from_here(headers: &HeaderMap, uri: &Uri) -> bool {
    if let Some(site) = headers.get(FETCH_SITE) {
        // `none` is the person's own doing, a reload for instance; no page can make a browser say so.
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let host = uri.authority().map(Authority::as_str);
    let host = host.or_else(|| headers.get(HOST).and_then(|host| host.to_str().ok()));
    let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("https://"));
    origin.is_some() && origin == host
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn tokens_differ_and_only_the_whole_token_matches() {
        let (one, two) = (CsrfToken::fresh().expect("random"), CsrfToken::fresh().expect("random"));
        assert!(one != two);
        assert_eq!(CsrfToken::parse(one.as_str()).as_ref().map(CsrfToken::as_str), Some(one.as_str()));
        assert!(one.matches(one.as_str()) && !one.matches(two.as_str()));
        for bad in ["", &one.as_str()[1..], &format!("{}x", one.as_str())] {
            assert!(!one.matches(bad) && CsrfToken::parse(bad).is_none(), "{bad}");
        }
        assert!(CsrfToken::parse(&"\"".repeat(LENGTH)).is_none());
    }

    fn from_here(pairs: &[(&'static str, &'static str)], uri: &'static str) -> bool {
        let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        comes_from_here(&pairs.collect(), &Uri::from_static(uri))
    }

    #[test]
    fn another_site_is_refused_by_what_the_browser_says() {
        assert!(from_here(&[("sec-fetch-site", "same-origin")], "/login"));
        for site in ["cross-site", "same-site", "nonsense"] {
            assert!(!from_here(&[("sec-fetch-site", site)], "/login"), "{site}");
        }
        let host = ("host", "portal.example:5000");
        assert!(from_here(&[host, ("origin", "https://portal.example:5000")], "/login"));
        assert!(from_here(&[("origin", "https://portal.example:5000")], "https://portal.example:5000/login"));
        for origin in ["null", "https://evil.example", "http://portal.example:5000", "https://portal.example"] {
            assert!(!from_here(&[host, ("origin", origin)], "/login"), "{origin}");
        }
        assert!(!from_here(&[("origin", "https://a.example")], "/login"));
        assert!(from_here(&[host], "/login"));
    }
}
