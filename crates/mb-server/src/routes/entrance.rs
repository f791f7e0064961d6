//! What every request that changes something says of itself, before its handler is asked, and the record of what a handler
//! refused to somebody known: signed in, or named by a certificate, be it one that may not.
//!
//! Browsers present a client certificate to whatever page asks them to, so a page of another site could act as an
//! administrator who has one installed. Two things keep it out: a request that says it comes from another site is
//! refused (Fetch Metadata, W3C), and a body has to be declared as JSON, which a page may not do for another site
//! without being allowed to (Fetch standard, "CORS-safelisted request-header"), and nobody here allows it.

use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use mb_api::problem::{ApiError, ProblemCode, Unrendered};
use mb_api::{Peer, paths};
use mb_runtime::body::require_json;

use super::rejudged::Rejudged;
use crate::actor::Actor;
use crate::app::App;
use crate::caller::Known;
use crate::people::refusals::{self, Refusal};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Routes whose bodies are something else; what that is, their handlers know.
const OTHER_BODIES: [&str; 2] = [paths::REGISTER, paths::PKI_RENEW];

/// Lets a request in.
pub(super) async fn check(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    if let Some(error) = refusal(&request) {
        return error.into_response();
    }
    let peer = request.extensions().get::<Peer>().cloned();
    let known = Known::default();
    request.extensions_mut().insert(known.clone());
    let request = request.map(|body| {
        if body.is_end_stream() { body } else { Body::new(Rejudged::new(body, Arc::clone(&app), known.clone())) }
    });
    let route = request.extensions().get::<MatchedPath>().cloned();
    let answer = next.run(request).await;
    if answer.status() == StatusCode::FORBIDDEN
        && let Some(route) = route
        && let Some(actor) = known.actor().cloned().or_else(|| peer.as_ref().and_then(Actor::named_by))
    {
        let code = answer.extensions().get::<Unrendered>().map_or(ProblemCode::Forbidden, |error| error.0.code());
        refusals::record(&app, Refusal::of_access(actor.as_str(), route.as_str(), code.as_str())).await;
    }
    answer
}

fn refusal(request: &Request) -> Option<ApiError> {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) {
        return None;
    }
    if is_of_another_site(request.headers()) {
        return Some(ApiError::new(ProblemCode::Forbidden, "a page of another site may not ask this"));
    }
    let is_json = !request.body().is_end_stream() && !OTHER_BODIES.contains(&request.uri().path());
    if is_json { require_json(request.headers()).err() } else { None }
}

/// Programs say nothing of the kind; browsers do. A browser too old to say which site names an origin.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    match headers.get(FETCH_SITE) {
        Some(site) => site != "same-origin" && site != "none",
        None => headers.contains_key(header::ORIGIN),
    }
}
