//! One request of a browser: its token for forms, what the next page tells, and the headers of every page.

use std::sync::{Arc, OnceLock};

use axum::extract::{FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, SET_COOKIE, STRICT_TRANSPORT_SECURITY};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use mb_api::problem::ApiError;

use crate::Portal;
use crate::cookies;
use crate::csrf::CsrfToken;
use crate::flash::Flash;
use crate::shell::Shell;

/// Nothing comes from elsewhere, no script but our files' and no inline style runs, no other site frames a page or takes a
/// form. Without `unsafe-eval` no text of a page becomes a script either.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);
/// Not `no-referrer`: with that a browser sends its own forms with the origin `null`.
const REFERRER: HeaderValue = HeaderValue::from_static("same-origin");
/// A browser that was here once asks by https for a year (RFC 6797).
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");
const OPENER: (HeaderName, HeaderValue) =
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));

/// What is known about the browser before anything else. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Visit(Arc<Known>);

struct Known {
    csrf: CsrfToken,
    /// The browser does not have the token yet.
    fresh: bool,
    flash: Option<Flash>,
    /// The frame for an error's page, once it is known whose.
    shell: OnceLock<Shell>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("flash", &self.flash).finish_non_exhaustive()
    }
}

impl Visit {
    fn of(headers: &HeaderMap) -> Result<Self, getrandom::Error> {
        let kept = cookies::read(headers, cookies::CSRF).and_then(CsrfToken::parse);
        let fresh = kept.is_none();
        let csrf = kept.map_or_else(CsrfToken::fresh, Ok)?;
        let flash = cookies::read(headers, cookies::FLASH).and_then(Flash::parse);
        Ok(Self(Arc::new(Known { csrf, fresh, flash, shell: OnceLock::new() })))
    }

    /// The token for forms.
    pub(crate) fn csrf(&self) -> &CsrfToken {
        &self.0.csrf
    }

    /// Whether the browser sent the token; a form without it cannot have come from a page of ours.
    pub(crate) fn has_token(&self) -> bool {
        !self.0.fresh
    }

    /// What to tell.
    pub(crate) fn flash(&self) -> Option<Flash> {
        self.0.flash
    }

    /// Keeps the frame for an error's page; the first one stays.
    pub(crate) fn keep(&self, shell: Shell) {
        // A second frame of the same request is the same person's.
        let _ = self.0.shell.set(shell);
    }

    fn finish(&self, mut response: Response) -> Response {
        let redirects = response.status().is_redirection();
        if let Some(shell) = self.0.shell.get() {
            response.extensions_mut().insert(shell.clone());
        }
        let headers = response.headers_mut();
        if self.0.fresh {
            headers.extend(cookies::set(cookies::CSRF, self.0.csrf.as_str(), None).map(|value| (SET_COOKIE, value)));
        }
        if self.0.flash.is_some() && !redirects {
            headers.extend(cookies::clear(cookies::FLASH).map(|value| (SET_COOKIE, value)));
        }
        guard(headers);
        response
    }
}

/// The headers that every page has.
pub(crate) fn guard(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(REFERRER_POLICY, REFERRER);
    headers.insert(OPENER.0, OPENER.1);
    headers.insert(STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
}

/// The middleware around the pages.
pub(crate) async fn visit(mut request: Request, next: Next) -> Response {
    match Visit::of(request.headers()) {
        Ok(visit) => {
            request.extensions_mut().insert(visit.clone());
            visit.finish(next.run(request).await)
        }
        Err(error) => ApiError::internal(error).into_response(),
    }
}

impl FromRequestParts<Portal> for Visit {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _portal: &Portal) -> Result<Self, ApiError> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| ApiError::internal("a page is served without its middleware"))
    }
}
