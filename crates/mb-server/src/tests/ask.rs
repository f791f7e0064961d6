//! Asking as the outside does: method, path, who, body; status and JSON back.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use mb_api::Peer;
use mb_core::{ClientName, Role, SessionId, SessionKind, UserRole};
use mb_crypto::jwt::AccessClaims;
use mb_store::{NewSession, NewUser, User};
use serde_json::Value;
use tower::ServiceExt;

use super::fixture::Fixture;

/// Who asks.
#[derive(Clone, Debug, Default)]
pub(super) struct Who {
    pub(super) peer: Peer,
    pub(super) token: Option<String>,
}

/// What was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

impl Answer {
    /// The problem's code.
    pub(super) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// What a member of each row of a list is.
    pub(super) fn each(&self, member: &str) -> Vec<Value> {
        self.body["data"].as_array().expect("a list").iter().map(|row| row[member].clone()).collect()
    }
}

impl Fixture {
    /// Somebody with a certificate of `role`.
    pub(super) async fn certified(&self, role: Role) -> Who {
        let issued = self.issue(&format!("a-{role}"), role).await;
        Who { peer: Peer::in_process(Arc::new(issued.identity)), token: None }
    }

    /// Somebody signed in, with an access token and no certificate.
    pub(super) async fn signed_in(&self, role: UserRole, client: Option<&str>) -> Who {
        let email = format!("{role}-{}@example.org", client.unwrap_or("none"));
        let client = client.map(|name| ClientName::parse(name).expect("a name"));
        let user = NewUser { email, password_hash: "$x".to_owned(), role, client, expires_at: None, may_send: false };
        let user = self.store.insert_user(&user, "test").await.expect("adds");
        let token = self.session(&user).await;
        Who { peer: Peer { addr: "192.0.2.1:1".parse().ok(), identity: None }, token: Some(token) }
    }

    async fn session(&self, user: &User) -> String {
        let id = SessionId::from_bytes([u8::try_from(user.id.get()).expect("few users"); 16]);
        let new = NewSession {
            id,
            kind: SessionKind::Token,
            token_digest: [u8::try_from(user.id.get()).expect("few users"); 32],
            user: user.id,
            generation: user.generation,
            idle_timeout: Duration::from_hours(24 * 30),
            expires_at: self.clock.now().plus(Duration::from_hours(24 * 30)),
            peer_address: "192.0.2.1".to_owned(),
            user_agent: "test".to_owned(),
        };
        self.store.begin_session(&new).await.expect("begins");
        let claims = AccessClaims { user: user.id, role: user.role, generation: user.generation, session: id };
        self.server.app.jwt.issue(&claims, self.clock.now()).expect("signs").expose().clone()
    }

    pub(super) async fn get(&self, who: &Who, path: &str) -> Answer {
        self.ask(who, Method::GET, path, None).await
    }

    pub(super) async fn post(&self, who: &Who, path: &str, body: Value) -> Answer {
        self.ask(who, Method::POST, path, Some(body)).await
    }

    pub(super) async fn put(&self, who: &Who, path: &str, body: Value) -> Answer {
        self.ask(who, Method::PUT, path, Some(body)).await
    }

    pub(super) async fn ask(&self, who: &Who, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = &who.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut request = request.header(header::CONTENT_TYPE, "application/json").body(body).expect("a request");
        request.extensions_mut().insert(who.peer.clone());
        let response = self.app.clone().oneshot(request).await.expect("infallible");
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status, body }
    }

    /// Every row of a list, page by page.
    pub(super) async fn pages(&self, who: &Who, path: &str, member: &str) -> Vec<Value> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        for _ in 0..100 {
            let page = self.get(who, &format!("{path}{cursor}")).await;
            assert_eq!(page.status, StatusCode::OK, "{page:?}");
            found.extend(page.each(member));
            match page.body["next"].as_str() {
                Some(next) => cursor = format!("{}cursor={next}", if path.contains('?') { '&' } else { '?' }),
                None => return found,
            }
        }
        panic!("the list does not end");
    }
}
