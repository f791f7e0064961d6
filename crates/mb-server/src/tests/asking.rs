//! Requests as they come in, and their answers with everything in them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use mb_api::Peer;
use mb_core::{ClientName, Role, SessionId, SessionKind, UserRole};
use mb_crypto::jwt::AccessClaims;
use mb_store::{NewSession, NewUser};
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

impl Fixture {
    /// Somebody signed in, with an access token and no certificate.
    pub(super) async fn signed_in(&self, role: UserRole, client: Option<&str>) -> Asking<'_> {
        let email = format!("{role}-{}@example.org", client.unwrap_or("none"));
        let client = client.map(|name| ClientName::parse(name).expect("a name"));
        let password_hash = "$none".to_owned();
        let user = NewUser { email, password_hash, role, client, may_send: false, expires_at: None };
        let user = self.store.insert_user(&user, "test").await.expect("adds");
        let number = u8::try_from(user.id.get()).expect("few users");
        let new = NewSession {
            id: SessionId::from_bytes([number; 16]),
            kind: SessionKind::Token,
            token_digest: [number; 32],
            user: user.id,
            generation: user.generation,
            idle_timeout: Duration::from_hours(24 * 30),
            expires_at: self.clock.now().plus(Duration::from_hours(24 * 30)),
            peer_address: "192.0.2.1".to_owned(),
            user_agent: "test".to_owned(),
        };
        let session = self.store.begin_session(&new).await.expect("begins").id;
        let claims = AccessClaims { user: user.id, role, generation: user.generation, session };
        let token = self.server.app.jwt.issue(&claims, self.clock.now()).expect("signs");
        self.bearer(token.expose())
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

    /// A member of every row of a list, page by page.
    pub(super) async fn pages(&self, path: &str, member: &str) -> Vec<Value> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        for _ in 0..100 {
            let page = self.get(&format!("{path}{cursor}")).await;
            assert_eq!(page.status, 200, "{page:?}");
            found.extend(page.each(member));
            match page.body["next"].as_str() {
                Some(next) => cursor = format!("{}cursor={next}", if path.contains('?') { '&' } else { '?' }),
                None => return found,
            }
        }
        panic!("the list does not end");
    }

    /// Status and problem code of whatever is answered, JSON or not.
    pub(super) async fn refusal(&self, method: Method, path: &str, body: Option<Value>) -> (u16, String) {
        let (status, _, bytes) = self.send(method, path, body).await;
        let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        (status, problem["code"].as_str().unwrap_or_default().to_owned())
    }

    /// An answer that is no JSON.
    pub(super) async fn text(&self, path: &str) -> (u16, HeaderMap, String) {
        let (status, headers, bytes) = self.send(Method::GET, path, None).await;
        (status, headers, String::from_utf8(bytes.to_vec()).expect("text"))
    }

    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let (status, headers, bytes) = self.send(method, path, body).await;
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
        Answer { status, headers, body }
    }

    /// A request whose body is on its way while `meanwhile` happens.
    pub(super) async fn post_slowly(&self, path: &str, body: Value, meanwhile: impl Future<Output = ()>) -> Answer {
        let (reached, begun) = tokio::sync::oneshot::channel();
        let (proceed, goes_on) = tokio::sync::oneshot::channel();
        let text = body.to_string();
        let (head, rest) =
            (Bytes::copy_from_slice(&text.as_bytes()[..5]), Bytes::copy_from_slice(&text.as_bytes()[5..]));
        let head = async move {
            reached.send(()).expect("somebody waits");
            Ok::<_, std::io::Error>(head)
        };
        let rest = async move {
            goes_on.await.expect("it goes on");
            Ok(rest)
        };
        let pieces = futures_util::stream::once(head).chain(futures_util::stream::once(rest));
        let sending = self.send_body(Method::POST, path, Body::from_stream(pieces));
        let ((status, headers, bytes), ()) = tokio::join!(sending, async {
            begun.await.expect("the body is read");
            meanwhile.await;
            proceed.send(()).expect("somebody waits");
        });
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
        Answer { status, headers, body }
    }

    /// An answer that is still to be read.
    pub(super) async fn begun(&self, path: &str) -> Body {
        let response = self.fixture.app.clone().oneshot(self.request(Method::GET, path, Body::empty())).await;
        response.expect("infallible").into_body()
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (u16, HeaderMap, Bytes) {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send_body(method, path, body).await
    }

    fn request(&self, method: Method, path: &str, body: Body) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let mut request = request.body(body).expect("a request");
        request.extensions_mut().insert(self.peer.clone());
        request
    }

    async fn send_body(&self, method: Method, path: &str, body: Body) -> (u16, HeaderMap, Bytes) {
        let request = self.request(method, path, body);
        let response = self.fixture.app.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let events = parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
        let bytes = if events { first(body).await } else { axum::body::to_bytes(body, 4 << 20).await.expect("a body") };
        if !parts.status.is_success() {
            tells_nothing_private(&String::from_utf8_lossy(&bytes));
        }
        (parts.status.as_u16(), parts.headers, bytes)
    }
}

/// What comes first of what does not end by itself.
async fn first(mut body: Body) -> Bytes {
    let frame = body.frame().await.expect("something").expect("read");
    frame.into_data().expect("data")
}

/// No refusal shows statements, places, hashes or the program's own words.
#[track_caller]
fn tells_nothing_private(text: &str) {
    let private =
        ["select ", "insert ", "update ", "delete from", "sqlite", "sqlx", "argon2", "/tmp", ".rs", "panicked"];
    let lower = text.to_lowercase();
    for word in private {
        assert!(!lower.contains(word), "{word} in {text}");
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

    /// The problem's code.
    pub(super) fn code(&self) -> &str {
        self.problem().1
    }

    /// What a member of each row of a list is.
    pub(super) fn each(&self, member: &str) -> Vec<Value> {
        self.body["data"].as_array().expect("a list").iter().map(|row| row[member].clone()).collect()
    }

    pub(super) fn retry_after(&self) -> Option<u64> {
        self.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
    }
}
