//! A browser before the portal's router, and a way to the main server that leads nowhere or to a few fixed answers.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::routing::get;
use axum::{Json, Router};
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::response::Parts;
use http::{HeaderValue, Request, Uri};
use http_body_util::BodyExt;
use mb_api::client::Transport;
use mb_api::{Client, Peer, paths};
use mb_core::{Clock, Role, Timestamp};
use mb_runtime::metrics::Metrics;
use mb_runtime::{App, AppConfig};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{Portal, ROUTES, error_page};

/// What time it is at the portal.
pub(super) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// A browser that keeps its cookies.
pub(super) struct Browser {
    app: App,
    cookies: Mutex<Vec<(String, String)>>,
}

impl Browser {
    /// Before a portal that cannot reach its main server.
    pub(super) fn with_nobody_there() -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        // Nobody listens on port 1 of a machine where tests run.
        Self::before(Transport::mtls(tls, "https://127.0.0.1:1").expect("an address"))
    }

    /// Before a portal whose main server has these routes.
    pub(super) fn with(server: Router) -> Self {
        Self::before(Transport::in_process(server, Peer::default()))
    }

    fn before(transport: Transport) -> Self {
        let router = Portal::new(Client::new(transport), Clock::manual(NOW), CancellationToken::new()).router();
        let app = App::with_own_fallback(AppConfig::new(Role::Portal, ROUTES), router, &mut Metrics::new());
        Self { app: app.error_pages(error_page), cookies: Mutex::default() }
    }

    pub(super) fn set_cookie(&self, name: &str, value: &str) {
        let mut cookies = self.cookies.lock().expect("no panic while held");
        cookies.retain(|(known, _)| known != name);
        cookies.push((name.to_owned(), value.to_owned()));
    }

    pub(super) fn cookie(&self, name: &str) -> Option<String> {
        let cookies = self.cookies.lock().expect("no panic while held");
        cookies.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    pub(super) async fn get(&self, path: &str) -> (Parts, String) {
        self.send(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    /// Sends a form with the token of the last page.
    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> (Parts, String) {
        let csrf = self.cookie("__Host-csrf").expect("a page was visited");
        let fields = [&[("csrf", csrf.as_str())], fields].concat();
        self.post_as(path, &fields, &[]).await
    }

    /// Sends exactly these fields, with more headers.
    pub(super) async fn post_as(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&'static str, &'static str)],
    ) -> (Parts, String) {
        let body = serde_urlencoded::to_string(fields).expect("a form");
        let mut request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body)).expect("a request")).await
    }

    async fn send(&self, mut request: Request<Body>) -> (Parts, String) {
        let sent: Vec<String> = {
            let cookies = self.cookies.lock().expect("no panic while held");
            cookies.iter().map(|(name, value)| format!("{name}={value}")).collect()
        };
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/html"));
        if !sent.is_empty() {
            request.headers_mut().insert(COOKIE, sent.join("; ").parse().expect("cookies"));
        }
        let (parts, body) = self.app.clone().oneshot(request).await.expect("infallible").into_parts();
        for value in parts.headers.get_all(SET_COOKIE) {
            let text = value.to_str().expect("text").split(';').next().expect("a pair");
            let (name, value) = text.split_once('=').expect("a pair");
            self.set_cookie(name, value);
        }
        let body = body.collect().await.expect("whole").to_bytes();
        (parts, String::from_utf8(body.to_vec()).expect("text"))
    }
}

/// An account as the main server shows it.
pub(super) fn profile(role: &str) -> Value {
    json!({
        "id": 7, "email": "ann@example.org", "role": role, "client_id": "branch-7", "may_send": false,
        "two_factor": false, "recovery_codes_left": 0, "created_at": "2026-11-25T10:00:00Z", "expires_at": null,
        "password_changed_at": "2026-11-25T10:00:00Z",
    })
}

/// A session as the main server shows it.
pub(super) fn session(role: &str) -> Value {
    json!({ "id": "0f".repeat(16), "user": profile(role), "expires_at": "2026-11-26T10:00:00Z" })
}

/// A main server that knows one session, somebody's of this role.
pub(super) fn knows(role: &'static str) -> Router {
    Router::new().route(paths::SESSIONS, get(move || async move { Json(session(role)) }))
}

/// A main server that records the addresses it is asked for and answers with `answer`.
pub(super) fn recording(path: &str, answer: Value) -> (Router, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let handler = move |uri: Uri| async move {
        log.lock().expect("no panic while held").push(uri.to_string());
        Json(answer)
    };
    (Router::new().route(path, get(handler)), asked)
}
