//! The portal's cookies.
//!
//! All carry the prefix `__Host-` (RFC 6265bis, section 4.1.3.2): a browser takes them over https only, for this host only,
//! so neither a neighbouring host nor plain HTTP can plant one. All are `HttpOnly`. `SameSite=Lax` and not `Strict`, because
//! `Strict` would greet somebody who comes from a link in a mail as a stranger; what `Lax` lets through changes nothing.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// The session's token.
pub(crate) const SESSION: &str = "__Host-session";
/// The token that every form repeats.
pub(crate) const CSRF: &str = "__Host-csrf";
/// Stands for the right password between the two steps of a sign-in.
pub(crate) const OTP: &str = "__Host-otp";
/// What the next page tells once.
pub(crate) const FLASH: &str = "__Host-flash";

/// The value of a cookie that the browser sent.
pub(crate) fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// A cookie until the browser closes, or for `seconds`. `None` if the value has characters that no cookie has.
pub(crate) fn set(name: &str, value: &str, seconds: Option<u64>) -> Option<HeaderValue> {
    // The cookie-octet of RFC 6265, section 4.1.1, less what no token of ours uses.
    let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'='));
    let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{age}");
    let mut header = HeaderValue::from_str(&text).ok().filter(|_| plain)?;
    header.set_sensitive(true);
    Some(header)
}

/// Makes the browser forget a cookie.
pub(crate) fn clear(name: &str) -> Option<HeaderValue> {
    set(name, "", Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cookie_is_bound_to_this_host_and_hidden_from_scripts() {
        for header in [set(SESSION, "a.b-c", None), set(OTP, "x", Some(300)), clear(SESSION)] {
            let header = header.expect("plain");
            let text = header.to_str().expect("text");
            for needed in ["__Host-", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
                assert!(text.contains(needed), "{text}");
            }
            assert!(!text.contains("Domain") && header.is_sensitive());
        }
        assert!(clear(SESSION).expect("plain").to_str().expect("text").contains("__Host-session=; "));
        assert!(clear(SESSION).expect("plain").to_str().expect("text").ends_with("Max-Age=0"));
    }

    #[test]
    fn a_value_that_would_end_the_cookie_is_refused() {
        for bad in ["a;b", "a b", "a\"", "a,b", "a\r\n"] {
            assert_eq!(set(SESSION, bad, None), None, "{bad:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others_by_its_whole_name() {
        let header = |text: &'static str| (COOKIE, HeaderValue::from_static(text));
        let headers = HeaderMap::from_iter([header("x=1; __Host-sessionx=2"), header("a=b; __Host-session=t=; c=d")]);
        assert_eq!(read(&headers, SESSION), Some("t="));
        assert_eq!(read(&headers, CSRF), None);
    }
}
