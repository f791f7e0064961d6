//! Signing in for tokens and by a portal, going on, signing out.

use std::time::Duration;

use mb_api::paths;
use mb_core::{Role, Timestamp, UserRole};
use mb_store::UserChange;
use serde_json::json;

use super::super::fixture::{Fixture, NOW};
use super::{PASSWORD, WRONG, session_ask, text};

const ALL: [UserRole; 3] = UserRole::ALL;

#[tokio::test]
async fn the_right_password_gives_tokens_that_name_the_account() {
    let fixture = Fixture::new().await;
    fixture.user("ann@example.org", UserRole::Admin).await;
    let body = fixture.log_in("Ann@Example.ORG", PASSWORD).await.ok(200);
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("bearer"), &json!(1800)));
    assert_eq!(body["user"]["email"], "ann@example.org");
    let profile = fixture.bearer(&text(&body["access_token"])).get(paths::PROFILE).await.ok(200);
    assert_eq!((&profile["role"], &profile["two_factor"]), (&json!("admin"), &json!(false)));
    assert!(body["user"].get("password_hash").is_none());
    let (action, actor, object) = fixture.deeds().await.swap_remove(0);
    assert_eq!(
        (action.as_str(), actor.as_str(), object.as_str()),
        ("session.begin", "ann@example.org", "ann@example.org")
    );
}

#[tokio::test]
async fn nobody_unknown_wrong_inactive_and_expired_are_one_answer() {
    let fixture = Fixture::new().await;
    for email in ["a@x.org", "off@x.org", "over@x.org"] {
        fixture.user(email, UserRole::User).await;
    }
    let change = async |email: &str, change: UserChange| {
        let user = fixture.store.user_by_email(email).await.expect("reads").expect("there is one");
        fixture.store.change_user(user.id, &change, &ALL, "test").await.expect("changes");
    };
    change("off@x.org", UserChange::Active(false)).await;
    change("over@x.org", UserChange::ExpiresAt(Some(NOW))).await;
    let mut answers = Vec::new();
    for (email, password) in [
        ("a@x.org", WRONG),
        ("nobody@x.org", PASSWORD),
        ("off@x.org", PASSWORD),
        ("over@x.org", PASSWORD),
        ("no address", PASSWORD),
        ("", ""),
    ] {
        let mut answer = fixture.log_in(email, password).await;
        assert_eq!(answer.problem(), (401, "wrong_credentials"), "{email}");
        answer.body["request_id"].take();
        answers.push(answer.body);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

#[tokio::test]
async fn whoever_tries_waits_for_a_hash_whether_there_is_such_an_account_or_not() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let hashing = &fixture.server.app.people.hashing;
    let mut turns = Vec::new();
    let at_once = Duration::from_millis(50);
    while let Ok(turn) = tokio::time::timeout(at_once, hashing.turn()).await {
        turns.push(turn.expect("there is room to wait"));
    }
    for (n, email) in ["a@x.org", "nobody@x.org", "no address"].into_iter().enumerate() {
        let from = fixture.from(&format!("192.0.2.{n}"));
        let trying = from.post(paths::AUTH_LOGIN, super::login(email, WRONG));
        assert!(tokio::time::timeout(at_once, trying).await.is_err(), "{email} was answered without a hash");
    }
    drop(turns);
    assert_eq!(fixture.log_in("nobody@x.org", WRONG).await.problem(), (401, "wrong_credentials"));
}

#[tokio::test]
async fn every_refusal_is_recorded_also_of_nobody_and_no_password_is() {
    let fixture = Fixture::new().await;
    for (n, email) in ["nobody@x.org", PASSWORD].into_iter().enumerate() {
        let from = fixture.from(&format!("192.0.2.{n}"));
        from.post(paths::AUTH_LOGIN, super::login(email, WRONG)).await;
    }
    let deeds = fixture.deeds().await;
    let refused = |actor: &str, object: &str| ("session.refuse".to_owned(), actor.to_owned(), object.to_owned());
    assert_eq!(deeds[..2], [refused("peer:192.0.2.1", "unknown"), refused("peer:192.0.2.0", "nobody@x.org")]);
}

#[tokio::test]
async fn what_somebody_signed_in_may_not_ask_is_recorded_once_and_counted() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let (access, _) = fixture.tokens("a@x.org").await;
    for _ in 0..3 {
        let asked = fixture.bearer(&access).get(paths::USERS).await;
        assert_eq!(asked.problem(), (403, "forbidden"));
    }
    let deeds = fixture.deeds().await;
    let refused = deeds.iter().filter(|(action, ..)| action == "access.refuse").collect::<Vec<_>>();
    assert_eq!(refused, [&("access.refuse".to_owned(), "a@x.org".to_owned(), paths::USERS.to_owned())]);
}

#[tokio::test]
async fn what_a_certificate_may_not_ask_is_recorded_with_its_name_and_why() {
    let fixture = Fixture::new().await;
    let worker = fixture.certificate(Role::Worker).await;
    for _ in 0..3 {
        assert_eq!(worker.get(paths::USERS).await.problem(), (403, "wrong_role"));
    }
    let admin = fixture.certificate(Role::Admin).await;
    let revoked = crate::authority::Which::Name("a-admin".into(), None);
    fixture.server.authority().revoke(&revoked, "", "test").await.expect("revokes");
    fixture.server.app.policy.follow(&fixture.store).await;
    assert_eq!(admin.get(paths::STATS).await.problem(), (403, "certificate_revoked"));
    let rows = fixture.store.audit_log(None, 100).await.expect("reads");
    let rows = rows.iter().filter(|row| row.action == "access.refuse").collect::<Vec<_>>();
    let told = rows.iter().map(|row| (row.actor.as_str(), row.object.as_str())).collect::<Vec<_>>();
    assert_eq!(told, [("admin:a-admin", paths::STATS), ("worker:a-worker", paths::USERS)]);
    assert!(rows[1].detail.contains("wrong_role"), "{rows:?}");
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_a_second_use_ends_the_sign_in() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let (access, first) = fixture.tokens("a@x.org").await;
    let (_, other) = fixture.tokens("a@x.org").await;
    let body = fixture.refresh(&first).await.ok(200);
    let (newer_access, second) = (text(&body["access_token"]), text(&body["refresh_token"]));
    assert!(fixture.knows(&access).await && fixture.knows(&newer_access).await);
    assert_eq!(fixture.refresh(&first).await.problem(), (401, "invalid_token"));
    assert_eq!(fixture.refresh(&second).await.problem(), (401, "invalid_token"), "the whole family is over");
    assert!(!fixture.knows(&access).await && !fixture.knows(&newer_access).await);
    fixture.refresh(&other).await.ok(200);
    assert!(fixture.deeds().await.iter().any(|(action, ..)| action == "session.end_reused"));
}

#[tokio::test]
async fn however_often_a_sign_in_is_prolonged_it_leaves_few_tokens_and_the_first_still_ends_it() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let (_, first) = fixture.tokens("a@x.org").await;
    let (_, other) = fixture.tokens("a@x.org").await;
    let mut last = first.clone();
    for _ in 0..20 {
        last = text(&fixture.refresh(&last).await.ok(200)["refresh_token"]);
    }
    let rows = fixture.execute_text("SELECT digest FROM refresh_tokens").await;
    assert!(rows.len() < 8, "{}", rows.len());
    assert_eq!(fixture.refresh(&first).await.problem(), (401, "invalid_token"));
    assert_eq!(fixture.refresh(&last).await.problem(), (401, "invalid_token"), "the whole family is over");
    fixture.refresh(&other).await.ok(200);
}

#[tokio::test]
async fn tokens_end_in_time() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let (access, refresh) = fixture.tokens("a@x.org").await;
    fixture.clock.set(NOW.plus(Duration::from_mins(30)));
    assert_eq!(fixture.bearer(&access).get(paths::PROFILE).await.problem(), (401, "token_expired"));
    let later = NOW.plus(Duration::from_hours(29 * 24));
    fixture.clock.set(later);
    let body = fixture.refresh(&refresh).await.ok(200);
    fixture.clock.set(later.plus(Duration::from_hours(30 * 24)));
    let over = fixture.refresh(&text(&body["refresh_token"])).await;
    assert_eq!(over.status, 401);
}

#[tokio::test]
async fn signing_out_ends_access_and_refresh_tokens_and_says_nothing_of_others() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let (access, refresh) = fixture.tokens("a@x.org").await;
    let (other, _) = fixture.tokens("a@x.org").await;
    let nobody = fixture.from("192.0.2.1");
    let logout = async |token: &str| nobody.post(paths::AUTH_LOGOUT, json!({ "refresh_token": token })).await;
    logout(&refresh).await.ok(204);
    assert!(!fixture.knows(&access).await && fixture.knows(&other).await);
    assert_eq!(fixture.refresh(&refresh).await.status, 401);
    logout(&refresh).await.ok(204);
    logout("mbr_nonsense").await.ok(204);
    logout(&other).await.ok(204);
    assert!(fixture.knows(&other).await, "an access token is no refresh token");
}

#[tokio::test]
async fn what_takes_access_away_takes_it_at_once() {
    let fixture = Fixture::new().await;
    fixture.user("root@x.org", UserRole::Admin).await;
    let admin = fixture.certificate(Role::Admin).await;
    let portal = fixture.portal().await;
    let changes = [
        (paths::USER_ROLE, json!({ "role": "user_manager" })),
        (paths::USER_STATUS, json!({ "is_active": false })),
        (paths::USER_PASSWORD, json!({ "new_password": "Another horse 2" })),
        (paths::USER_CLIENT, json!({ "client_id": null })),
        (paths::USER_EXPIRY, json!({ "expires_at": NOW })),
    ];
    for (n, (path, body)) in changes.into_iter().enumerate() {
        let email = format!("a{n}@x.org");
        let user = fixture.user(&email, UserRole::User).await;
        let (access, refresh) = fixture.tokens(&email).await;
        let opened = portal.post(paths::SESSIONS, session_ask(&email, PASSWORD, "192.0.2.1")).await.ok(201);
        let session = portal.with(format!("Session {}", text(&opened["token"])));
        session.get(paths::SESSIONS).await.ok(200);
        admin.put(&paths::with_id(path, &user.id), body).await.ok(200);
        assert!(!fixture.knows(&access).await, "{path}");
        assert_eq!(fixture.refresh(&refresh).await.problem(), (401, "invalid_token"), "{path}");
        assert_eq!(session.get(paths::SESSIONS).await.problem(), (401, "invalid_token"), "{path}");
        if path == paths::USER_EXPIRY {
            admin.put(&paths::with_id(path, &user.id), json!({ "expires_at": null })).await.ok(200);
            assert!(!fixture.knows(&access).await, "what ended does not come back with the account");
        }
    }
}

#[tokio::test]
async fn a_portal_opens_asks_for_and_ends_a_persons_session() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let portal = fixture.portal().await;
    let wrong = portal.post(paths::SESSIONS, session_ask("a@x.org", WRONG, "198.51.100.7")).await;
    assert_eq!(wrong.problem(), (401, "wrong_credentials"));
    let opened = portal.post(paths::SESSIONS, session_ask("a@x.org", PASSWORD, "198.51.100.7")).await.ok(201);
    let token = text(&opened["token"]);
    let session = portal.with(format!("Session {token}"));
    let told = session.get(paths::SESSIONS).await.ok(200);
    assert_eq!(told, opened["session"]);
    let rows = session.get(paths::PROFILE_SESSIONS).await.ok(200);
    let row = &rows["data"][0];
    assert_eq!((&row["kind"], &row["current"]), (&json!("portal"), &json!(true)));
    assert_eq!((&row["peer_address"], &row["user_agent"]), (&json!("198.51.100.7"), &json!("a browser")));
    let stolen = fixture.from("192.0.2.1").with(format!("Session {token}"));
    assert_eq!(stolen.get(paths::SESSIONS).await.problem(), (401, "no_identity"), "a cookie alone opens nothing");
    assert_eq!(stolen.get(paths::PROFILE).await.problem(), (401, "no_identity"));
    session.delete(paths::SESSIONS).await.ok(204);
    session.delete(paths::SESSIONS).await.ok(204);
    assert_eq!(session.get(paths::SESSIONS).await.problem(), (401, "invalid_token"));
    assert_eq!(portal.get(paths::SESSIONS).await.problem(), (401, "invalid_token"), "nobody is signed in");
}

#[tokio::test]
async fn a_page_that_is_left_open_keeps_no_session_alive() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::Admin).await;
    let portal = fixture.portal().await;
    let opened = portal.post(paths::SESSIONS, session_ask("a@x.org", PASSWORD, "192.0.2.1")).await.ok(201);
    let token = mb_api::dto::SecretText::new(text(&opened["token"]));
    let credentials = mb_api::credentials::Credentials::Session(token);
    let page = fixture.client(Role::Portal).await.with_credentials(credentials).watching();
    for minutes in [10, 20, 30, 40, 50] {
        fixture.clock.set(NOW.plus(Duration::from_mins(minutes)));
        page.session().await.expect("it lives");
        page.watch_messages(&mb_api::dto::MessageQuery::default()).await.expect("watches");
    }
    fixture.clock.set(NOW.plus(Duration::from_hours(1)));
    let over = page.session().await.expect_err("nobody was there for an hour");
    assert_eq!(over.code(), Some(mb_api::problem::ProblemCode::InvalidToken));
}

#[tokio::test]
async fn a_portals_session_ends_when_it_is_idle_and_after_half_a_day() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let portal = fixture.portal().await;
    let open = async || {
        let opened = portal.post(paths::SESSIONS, session_ask("a@x.org", PASSWORD, "192.0.2.1")).await.ok(201);
        portal.with(format!("Session {}", text(&opened["token"])))
    };
    let at = |minutes: u64| -> Timestamp { NOW.plus(Duration::from_mins(minutes)) };
    let (idle, busy) = (open().await, open().await);
    for half_hour in 1..24 {
        fixture.clock.set(at(30 * half_hour));
        busy.get(paths::SESSIONS).await.ok(200);
    }
    assert_eq!(idle.get(paths::SESSIONS).await.status, 401);
    fixture.clock.set(at(12 * 60));
    assert_eq!(busy.get(paths::SESSIONS).await.status, 401);
}
