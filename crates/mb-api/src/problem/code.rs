//! The registry of problem codes: the one table from which statuses, titles and `docs/problems.md` come.
//!
//! A code is stable once released; callers act on it, people read the title and the detail.

use std::fmt::{self, Write as _};

use http::StatusCode;

/// What went wrong, as callers act on it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "each variant's meaning is its title in the table below")]
pub enum ProblemCode {
    MalformedRequest,
    MalformedJson,
    ValidationFailed,
    IdempotencyConflict,
    NoIdentity,
    CertificateExpired,
    WrongCredentials,
    OtpRequired,
    InvalidToken,
    TokenExpired,
    WrongRole,
    CertificateRevoked,
    ClientSuspended,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    BodyTooLarge,
    TooManyItems,
    UnsupportedMediaType,
    HeadTooLarge,
    RateLimited,
    AccountLocked,
    TooManyAttempts,
    Overloaded,
    JournalFull,
    PolicyStale,
    NoPolicy,
    ProxyUntrusted,
    StatusUnavailable,
    Unavailable,
    Internal,
}

struct Row {
    text: &'static str,
    status: StatusCode,
    title: &'static str,
    /// Seconds; every 429 and 503 has them.
    retry_after: Option<u32>,
}

const fn row(text: &'static str, status: StatusCode, title: &'static str) -> Row {
    Row { text, status, title, retry_after: None }
}

const fn later(text: &'static str, status: StatusCode, title: &'static str, seconds: u32) -> Row {
    Row { text, status, title, retry_after: Some(seconds) }
}

impl ProblemCode {
    /// Every code, in the order of the documentation.
    pub const ALL: [Self; 33] = [
        Self::MalformedRequest,
        Self::MalformedJson,
        Self::NoIdentity,
        Self::CertificateExpired,
        Self::WrongCredentials,
        Self::OtpRequired,
        Self::InvalidToken,
        Self::TokenExpired,
        Self::WrongRole,
        Self::CertificateRevoked,
        Self::ClientSuspended,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::Conflict,
        Self::BodyTooLarge,
        Self::TooManyItems,
        Self::UnsupportedMediaType,
        Self::ValidationFailed,
        Self::IdempotencyConflict,
        Self::HeadTooLarge,
        Self::RateLimited,
        Self::AccountLocked,
        Self::TooManyAttempts,
        Self::Internal,
        Self::Overloaded,
        Self::JournalFull,
        Self::PolicyStale,
        Self::NoPolicy,
        Self::ProxyUntrusted,
        Self::StatusUnavailable,
        Self::Unavailable,
    ];

    const fn row(self) -> Row {
        use StatusCode as S;
        match self {
            Self::MalformedRequest => row("malformed_request", S::BAD_REQUEST, "The request is malformed"),
            Self::MalformedJson => row("malformed_json", S::BAD_REQUEST, "The body is not valid JSON"),
            Self::NoIdentity => row("no_identity", S::UNAUTHORIZED, "No valid identity was presented"),
            Self::CertificateExpired => row("certificate_expired", S::UNAUTHORIZED, "The certificate has expired"),
            Self::WrongCredentials => row("wrong_credentials", S::UNAUTHORIZED, "The credentials are wrong"),
            Self::OtpRequired => row("otp_required", S::UNAUTHORIZED, "A one-time password is required"),
            Self::InvalidToken => row("invalid_token", S::UNAUTHORIZED, "The token is not, or no longer, good"),
            Self::TokenExpired => row("token_expired", S::UNAUTHORIZED, "The token has expired"),
            Self::WrongRole => row("wrong_role", S::FORBIDDEN, "The certificate's role is not allowed here"),
            Self::CertificateRevoked => row("certificate_revoked", S::FORBIDDEN, "The certificate was revoked"),
            Self::ClientSuspended => row("client_suspended", S::FORBIDDEN, "The client is suspended"),
            Self::Forbidden => row("forbidden", S::FORBIDDEN, "This is not allowed"),
            Self::NotFound => row("not_found", S::NOT_FOUND, "There is nothing here"),
            Self::MethodNotAllowed => row("method_not_allowed", S::METHOD_NOT_ALLOWED, "The method is not allowed"),
            Self::RequestTimeout => row("request_timeout", S::REQUEST_TIMEOUT, "The request took too long to arrive"),
            Self::Conflict => row("conflict", S::CONFLICT, "The state does not allow this"),
            Self::BodyTooLarge => row("body_too_large", S::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::TooManyItems => row("too_many_items", S::PAYLOAD_TOO_LARGE, "There are too many items"),
            Self::UnsupportedMediaType => {
                row("unsupported_media_type", S::UNSUPPORTED_MEDIA_TYPE, "The body's type or encoding is not supported")
            }
            Self::ValidationFailed => row("validation_failed", S::UNPROCESSABLE_ENTITY, "Some fields break rules"),
            Self::IdempotencyConflict => {
                row("idempotency_conflict", S::UNPROCESSABLE_ENTITY, "The idempotency key was used for other content")
            }
            Self::HeadTooLarge => {
                row("head_too_large", S::REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's head is too large")
            }
            Self::RateLimited => later("rate_limited", S::TOO_MANY_REQUESTS, "Too many messages in this minute", 60),
            Self::AccountLocked => later("account_locked", S::TOO_MANY_REQUESTS, "The account is locked", 900),
            Self::TooManyAttempts => {
                later("too_many_attempts", S::TOO_MANY_REQUESTS, "Too many attempts to sign in", 60)
            }
            Self::Overloaded => later("overloaded", S::SERVICE_UNAVAILABLE, "Too many requests are in work", 1),
            Self::JournalFull => later("journal_full", S::SERVICE_UNAVAILABLE, "The journal is full", 5),
            Self::PolicyStale => {
                later("policy_stale", S::SERVICE_UNAVAILABLE, "The policy is too old to decide by", 30)
            }
            Self::NoPolicy => later("no_policy", S::SERVICE_UNAVAILABLE, "No policy has been received yet", 5),
            Self::ProxyUntrusted => later(
                "proxy_untrusted",
                S::SERVICE_UNAVAILABLE,
                "The proxy's own certificate is not, or no longer, good",
                30,
            ),
            Self::StatusUnavailable => {
                later("status_unavailable", S::SERVICE_UNAVAILABLE, "The status cannot be told at the moment", 1)
            }
            Self::Unavailable => later("unavailable", S::SERVICE_UNAVAILABLE, "This is unavailable at the moment", 1),
            Self::Internal => row("internal", S::INTERNAL_SERVER_ERROR, "An internal error occurred"),
        }
    }

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        self.row().text
    }

    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        self.row().status
    }

    /// The title; the same for every occurrence (RFC 9457, section 3.1.4).
    pub const fn title(self) -> &'static str {
        self.row().title
    }

    /// Seconds after which a repeat makes sense, unless the occurrence knows better.
    pub const fn retry_after(self) -> Option<u32> {
        self.row().retry_after
    }

    /// What a 401 says would do (RFC 9110, section 11.6.1). No scheme is registered for a certificate in the handshake.
    pub const fn challenge(self) -> Option<&'static str> {
        match self {
            Self::NoIdentity | Self::CertificateExpired => Some("ClientCertificate realm=\"message-broker\""),
            Self::WrongCredentials | Self::OtpRequired => Some("Bearer realm=\"message-broker\""),
            // RFC 6750, section 3.1.
            Self::InvalidToken | Self::TokenExpired => Some("Bearer realm=\"message-broker\", error=\"invalid_token\""),
            _ => None,
        }
    }

    /// The problem type (RFC 9457, section 3.1.1).
    pub fn type_uri(self) -> String {
        format!("urn:message-broker:problem:{}", self.as_str())
    }

    /// Parses [`ProblemCode::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// The most general code of a status, for answers that name none we know.
    pub fn for_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::NoIdentity,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 => Self::RequestTimeout,
            409 => Self::Conflict,
            413 => Self::BodyTooLarge,
            415 => Self::UnsupportedMediaType,
            422 => Self::ValidationFailed,
            429 => Self::RateLimited,
            431 => Self::HeadTooLarge,
            503 => Self::Unavailable,
            500.. => Self::Internal,
            _ => Self::MalformedRequest,
        }
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What holds for all of them, before and behind the table.
const ABOUT: &str = "# Problems

Every refusal is `application/problem+json` (RFC 9457) with one of these codes; a test keeps the table equal to the code's.

";
const RULES: &str = "
## What is wrong with a body

One rule for every address that takes JSON:

| the body | code |
|---|---|
| is no JSON that every reader takes alike: its syntax, its UTF-8, a lone surrogate, nesting over 32, a name given twice in one object | 400 `malformed_json`, with line and column |
| is JSON and not what the address takes: no object, a field that is missing, unknown, of another type or out of its range, a number beyond IEEE 754 binary64 | 422 `validation_failed`; `errors` names the fields |

In a batch the rule holds for the document and, with an answer of its own, for each item. `Content-Type` has to be what the
address takes; a `charset` other than UTF-8 is refused with 415 `unsupported_media_type`.

## What no handler sees

What is no HTTP/1 request, or has a head over 16 KiB, is answered 400 `malformed_request` or 431 `head_too_large` and its
connection ends. On HTTP/2 the protocol itself answers: a head over the limit with 431 and no body, anything else with a reset
of the stream or the connection (RFC 9113, section 5.4).

A 401 has `WWW-Authenticate`: `Bearer` where somebody has to sign in, `ClientCertificate` (which is no registered scheme)
where the TLS handshake has to bring a certificate.
";

/// The table of codes as Markdown, for the documentation.
pub fn markdown() -> String {
    let mut out = String::from(ABOUT);
    out.push_str("| code | status | meaning | Retry-After |\n|---|---|---|---|\n");
    for code in ProblemCode::ALL {
        let retry = code.retry_after().map_or_else(String::new, |seconds| format!("{seconds} s"));
        let status = code.status().as_u16();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| `{code}` | {status} | {} | {retry} |", code.title());
    }
    out.push_str(RULES);
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_parse_back() {
        let words: BTreeSet<_> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), ProblemCode::ALL.len());
        for code in ProblemCode::ALL {
            assert_eq!(ProblemCode::parse(code.as_str()), Some(code));
        }
        assert_eq!(ProblemCode::parse("Not_Found"), None);
    }

    #[test]
    fn every_429_and_503_says_when_to_come_back() {
        for code in ProblemCode::ALL {
            assert_eq!(code.retry_after().is_some(), matches!(code.status().as_u16(), 429 | 503), "{code}");
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
    }

    #[test]
    fn the_contracts_codes_are_registered() {
        let contract = "no_identity wrong_role certificate_revoked client_suspended malformed_json validation_failed \
                        body_too_large unsupported_media_type idempotency_conflict rate_limited overloaded journal_full \
                        policy_stale no_policy status_unavailable not_found conflict otp_required account_locked \
                        too_many_items";
        for word in contract.split_whitespace() {
            assert!(ProblemCode::parse(word).is_some(), "{word}");
            assert!(markdown().contains(&format!("| `{word}` |")));
        }
    }

    #[test]
    fn a_statuss_general_code_has_that_status() {
        for code in ProblemCode::ALL {
            assert_eq!(ProblemCode::for_status(code.status()).status(), code.status(), "{code}");
        }
        assert_eq!(ProblemCode::for_status(StatusCode::BAD_GATEWAY), ProblemCode::Internal);
    }
}
