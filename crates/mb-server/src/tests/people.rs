//! People: signing in, one's own account, other people's accounts.

mod confusion;
mod lifecycles;
mod lockout;
mod managing;
mod own_account;
mod resetting;
mod signing_in;

use std::sync::LazyLock;

use mb_api::paths;
use mb_core::{Role, UserRole};
use mb_store::{NewUser, User};
use serde_json::{Value, json};

use super::asking::{Answer, Asking};
use super::fixture::Fixture;

pub(super) const PASSWORD: &str = "Correct horse 1";
const WRONG: &str = "Wrong horse 1";

/// Hashed once: a hash takes a while.
static HASH: LazyLock<String> = LazyLock::new(|| mb_crypto::password::hash(PASSWORD).expect("hashed"));

fn login(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

impl Fixture {
    /// An account with [`PASSWORD`].
    pub(super) async fn user(&self, email: &str, role: UserRole) -> User {
        let new = NewUser {
            email: email.into(),
            password_hash: HASH.clone(),
            role,
            client: None,
            may_send: false,
            expires_at: None,
        };
        self.store.insert_user(&new, "test").await.expect("inserts")
    }

    async fn log_in(&self, email: &str, password: &str) -> Answer {
        self.from("192.0.2.1").post(paths::AUTH_LOGIN, login(email, password)).await
    }

    /// Access and refresh token of somebody who signs in.
    async fn tokens(&self, email: &str) -> (String, String) {
        let body = self.log_in(email, PASSWORD).await.ok(200);
        (text(&body["access_token"]), text(&body["refresh_token"]))
    }

    async fn refresh(&self, token: &str) -> Answer {
        self.from("192.0.2.1").post(paths::AUTH_REFRESH, json!({ "refresh_token": token })).await
    }

    /// Whether this access token is still somebody's.
    async fn knows(&self, access: &str) -> bool {
        let answer = self.bearer(access).get(paths::PROFILE).await;
        assert!(matches!(answer.problem(), (200, _) | (401, "invalid_token" | "token_expired")), "{answer:?}");
        answer.status == 200
    }

    async fn portal(&self) -> Asking<'_> {
        self.certificate(Role::Portal).await
    }

    /// What the audit log says was done, the newest first.
    async fn deeds(&self) -> Vec<(String, String, String)> {
        let log = self.store.audit_log(None, 100).await.expect("reads");
        log.into_iter().map(|entry| (entry.action, entry.actor, entry.object)).collect()
    }
}

fn session_ask(email: &str, password: &str, address: &str) -> Value {
    json!({ "email": email, "password": password, "peer_address": address, "user_agent": "a browser" })
}
