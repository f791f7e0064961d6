//! Tokens of one kind where another kind is taken, and routes without what they need.

use std::collections::BTreeSet;

use http::Method;
use mb_api::paths;
use mb_core::{Role, UserRole};
use mb_crypto::otp_token::{self, PasswordShown};
use mb_crypto::token::{Token, TokenKind};
use mb_store::{NewMail, NewResetToken};
use serde_json::json;

use super::super::fixture::{Fixture, NOW};
use super::{PASSWORD, session_ask, text};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Access,
    Refresh,
    Session,
    Reset,
    Otp,
}

/// One good token of every kind, all of one account.
async fn tokens(fixture: &Fixture) -> Vec<(Kind, String)> {
    let user = fixture.user("a@x.org", UserRole::Admin).await;
    let (access, refresh) = fixture.tokens("a@x.org").await;
    let portal = fixture.portal().await;
    let opened = portal.post(paths::SESSIONS, session_ask("a@x.org", PASSWORD, "192.0.2.1")).await.ok(201);
    let reset = Token::generate(TokenKind::PasswordReset);
    let new = NewResetToken {
        digest: reset.digest(),
        user: user.id,
        expires_at: NOW.plus(std::time::Duration::from_hours(1)),
    };
    let mail = NewMail { to: user.email.clone(), subject: String::new(), body: bytes::Bytes::new(), expires_at: None };
    assert!(fixture.store.request_reset(&new, &mail, "test").await.expect("stores"));
    let shown = PasswordShown { user: user.id, generation: user.generation };
    let otp = otp_token::issue(&fixture.server.app.master, shown, NOW).expect("issues");
    vec![
        (Kind::Access, access),
        (Kind::Refresh, refresh),
        (Kind::Session, text(&opened["token"])),
        (Kind::Reset, reset.expose().to_owned()),
        (Kind::Otp, otp.expose().clone()),
    ]
}

#[tokio::test]
async fn a_token_is_good_for_its_own_use_alone() {
    let fixture = Fixture::new().await;
    let all = tokens(&fixture).await;
    let (nobody, portal) = (fixture.from("192.0.2.1"), fixture.portal().await);
    // The use that ends sessions comes last.
    let uses = [Kind::Access, Kind::Session, Kind::Otp, Kind::Refresh, Kind::Reset];
    for place in uses {
        let wrong_first =
            all.iter().filter(|(kind, _)| *kind != place).chain(all.iter().filter(|(kind, _)| *kind == place));
        for (kind, token) in wrong_first {
            let answer = match place {
                Kind::Access => nobody.with(format!("Bearer {token}")).get(paths::PROFILE).await,
                Kind::Session => portal.with(format!("Session {token}")).get(paths::PROFILE).await,
                Kind::Otp => {
                    let ask = json!({ "otp_token": token, "otp": "123456", "peer_address": "192.0.2.1" });
                    portal.post(paths::SESSIONS_OTP, ask).await
                }
                Kind::Refresh => nobody.post(paths::AUTH_REFRESH, json!({ "refresh_token": token })).await,
                Kind::Reset => {
                    let ask = json!({ "token": token, "new_password": "Another horse 2" });
                    nobody.post(paths::AUTH_RESET_PASSWORD, ask).await
                }
            };
            if *kind == place {
                assert!(answer.status < 300, "{kind:?}: {answer:?}");
            } else {
                assert_eq!(answer.problem(), (401, "invalid_token"), "{kind:?} as {place:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_session_is_no_access_token_and_an_access_token_no_session() {
    let fixture = Fixture::new().await;
    let all = tokens(&fixture).await;
    let portal = fixture.portal().await;
    for (kind, token) in all {
        let as_session = portal.with(format!("Session {token}")).get(paths::SESSIONS).await;
        let as_bearer = portal.with(format!("Bearer {token}")).get(paths::SESSIONS).await;
        assert_eq!(as_session.status == 200, kind == Kind::Session, "{kind:?}: {as_session:?}");
        assert_eq!(as_bearer.problem(), (401, "invalid_token"), "{kind:?}");
    }
}

/// Every route for people, with what may be there without a body.
fn routes() -> Vec<(Method, String)> {
    let of = |method: Method, routes: &[&str]| {
        routes.iter().map(|route| (method.clone(), paths::with_id(route, &1))).collect::<Vec<_>>()
    };
    [
        of(Method::GET, &[paths::PROFILE, paths::PROFILE_SESSIONS, paths::USERS, paths::USER, paths::USER_SESSIONS]),
        of(Method::POST, &[paths::USERS, paths::PROFILE_TWO_FACTOR, paths::PROFILE_TWO_FACTOR_CONFIRM]),
        of(Method::POST, &[paths::PROFILE_TWO_FACTOR_DISABLE, paths::PROFILE_RECOVERY_CODES]),
        of(Method::PUT, &[paths::PROFILE_PASSWORD, paths::USER_ROLE, paths::USER_STATUS, paths::USER_PASSWORD]),
        of(Method::PUT, &[paths::USER_CLIENT, paths::USER_EXPIRY, paths::USER_SENDING]),
        of(Method::DELETE, &[paths::PROFILE_SESSIONS, paths::PROFILE_SESSION, paths::USER, paths::USER_TWO_FACTOR]),
        of(Method::DELETE, &[paths::USER_SESSIONS]),
    ]
    .concat()
}

#[tokio::test]
async fn without_a_person_or_an_administrators_certificate_there_is_nothing() {
    let fixture = Fixture::new().await;
    for (method, path) in routes() {
        let answer = fixture.from("192.0.2.1").ask(method.clone(), &path, None).await;
        assert_eq!(answer.problem(), (401, "no_identity"), "{method} {path}");
        let answer = fixture.bearer("nonsense").ask(method.clone(), &path, None).await;
        assert_eq!(answer.problem(), (401, "invalid_token"), "{method} {path}");
    }
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Admin) {
        let asking = fixture.certificate(role).await;
        for (method, path) in routes() {
            let answer = asking.ask(method.clone(), &path, None).await;
            assert_eq!(answer.problem(), (403, "wrong_role"), "{role} {method} {path}");
        }
    }
    let admin = fixture.certificate(Role::Admin).await;
    for (method, path) in routes().into_iter().filter(|(_, path)| path.starts_with(paths::PROFILE)) {
        assert_eq!(admin.ask(method, &path, None).await.problem(), (403, "forbidden"), "a certificate is no account");
    }
}

#[tokio::test]
async fn a_portals_routes_are_a_portals_alone() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::Admin).await;
    let (access, _) = fixture.tokens("a@x.org").await;
    let asks = [
        (Method::POST, paths::SESSIONS, Some(session_ask("a@x.org", PASSWORD, "192.0.2.1"))),
        (Method::POST, paths::SESSIONS_OTP, None),
        (Method::GET, paths::SESSIONS, None),
        (Method::DELETE, paths::SESSIONS, None),
    ];
    let mut answers = BTreeSet::new();
    for (method, path, body) in asks {
        for role in Role::ALL.into_iter().filter(|role| *role != Role::Portal) {
            let answer = fixture.certificate(role).await.ask(method.clone(), path, body.clone()).await;
            answers.insert((answer.status, text(&answer.body["code"])));
        }
        let answer = fixture.bearer(&access).ask(method, path, body).await;
        assert_eq!(answer.problem(), (401, "no_identity"));
    }
    assert_eq!(answers, [(403, "wrong_role".to_owned())].into());
}

#[tokio::test]
async fn only_a_portal_says_whom_it_asks_for() {
    let fixture = Fixture::new().await;
    let ask = json!({ "email": "a@x.org", "peer_address": "192.0.2.9" });
    let forged = fixture.from("192.0.2.1").post(paths::AUTH_FORGOT_PASSWORD, ask.clone()).await;
    assert_eq!(forged.problem(), (401, "no_identity"));
    fixture.portal().await.post(paths::AUTH_FORGOT_PASSWORD, ask).await.ok(200);
}
