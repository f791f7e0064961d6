//! Requests as they come in, and their answers with everything in them.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Method, Request};
use mb_api::Peer;
use mb_core::Role;
use serde_json::Value;
use tower::ServiceExt;

use super::fixture::Fixture;

/// Somebody who asks.
#[derive(Clone)]
pub(super) struct Asking<'a> {
    fixture: &'a Fixture,
    peer: Peer,
    authorization: Option<String>,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// `null` if there is none.
    pub(super) body: Value,
}

impl Fixture {
    /// Anybody, calling from `address` without a certificate.
    pub(super) fn from(&self, address: &str) -> Asking<'_> {
        let address: IpAddr = address.parse().expect("an address");
        let peer = Peer { addr: Some((address, 40_000).into()), identity: None };
        Asking { fixture: self, peer, authorization: None }
    }

    /// Whoever has this access token.
    pub(super) fn bearer(&self, token: &str) -> Asking<'_> {
        Asking { authorization: Some(format!("Bearer {token}")), ..self.from("192.0.2.1") }
    }

    /// Whoever has a certificate of this role.
    pub(super) async fn certificate(&self, role: Role) -> Asking<'_> {
        let issued = self.issue(&format!("a-{role}"), role).await;
        Asking { fixture: self, peer: Peer::in_process(Arc::new(issued.identity)), authorization: None }
    }
}

impl<'a> Asking<'a> {
    /// The same with this `Authorization`.
    pub(super) fn with(&self, authorization: String) -> Asking<'a> {
        Asking { authorization: Some(authorization), ..self.clone() }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PUT, path, Some(body)).await
    }

    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let mut request = request.body(body).expect("a request");
        request.extensions_mut().insert(self.peer.clone());
        let response = self.fixture.app.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}

impl Answer {
    /// The body of a success.
    #[track_caller]
    pub(super) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.body
    }

    /// Status and code of a problem.
    pub(super) fn problem(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or("no problem"))
    }

    pub(super) fn retry_after(&self) -> Option<u64> {
        self.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
    }
}
