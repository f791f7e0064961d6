//! Guessing: how soon it is held, and that it keeps nobody else out.

use std::time::Duration;

use mb_api::paths;
use mb_core::UserRole;
use serde_json::json;

use super::super::fixture::{Fixture, NOW};
use super::{PASSWORD, WRONG, login, session_ask};

#[tokio::test]
async fn five_failures_lock_the_account_where_they_came_from_and_nowhere_else() {
    let fixture = Fixture::new().await;
    fixture.user("root@x.org", UserRole::Admin).await;
    let guesser = fixture.from("203.0.113.9");
    for email in ["root@x.org", "nobody@x.org"] {
        for _ in 0..5 {
            let answer = guesser.post(paths::AUTH_LOGIN, login(email, WRONG)).await;
            assert_eq!(answer.problem(), (401, "wrong_credentials"));
        }
        let locked = guesser.post(paths::AUTH_LOGIN, login(email, PASSWORD)).await;
        assert_eq!(locked.problem(), (429, "account_locked"), "{email}");
        assert_eq!(locked.retry_after(), Some(60));
    }
    fixture.log_in("root@x.org", PASSWORD).await.ok(200);
    fixture.clock.set(NOW.plus(Duration::from_mins(1)));
    guesser.post(paths::AUTH_LOGIN, login("root@x.org", PASSWORD)).await.ok(200);
}

#[tokio::test]
async fn a_password_that_was_replaced_forgives_what_failed_before() {
    let fixture = Fixture::new().await;
    let id = fixture.user("a@x.org", UserRole::User).await.id;
    fixture.user("root@x.org", UserRole::Admin).await;
    let (admin, _) = fixture.tokens("root@x.org").await;
    let owner = fixture.from("203.0.113.9");
    for _ in 0..6 {
        owner.post(paths::AUTH_LOGIN, login("a@x.org", WRONG)).await;
    }
    assert_eq!(owner.post(paths::AUTH_LOGIN, login("a@x.org", PASSWORD)).await.problem(), (429, "account_locked"));
    let path = paths::USER_PASSWORD.replace("{id}", &id.to_string());
    fixture.bearer(&admin).put(&path, json!({ "new_password": "Another horse 2" })).await.ok(200);
    owner.post(paths::AUTH_LOGIN, login("a@x.org", "Another horse 2")).await.ok(200);
}

#[tokio::test]
async fn who_was_here_before_a_restart_is_not_kept_out_by_guessers_elsewhere() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let owner = fixture.from("198.51.100.7");
    let tokens = owner.post(paths::AUTH_LOGIN, login("a@x.org", PASSWORD)).await.ok(200);
    // The next morning no session is left.
    owner.post(paths::AUTH_LOGOUT, json!({ "refresh_token": tokens["refresh_token"] })).await.ok(204);
    fixture.server.app.people.throttle(|throttle| *throttle = mb_core::throttle::Throttle::new());
    for n in 0..40 {
        fixture.from(&format!("203.0.113.{n}")).post(paths::AUTH_LOGIN, login("a@x.org", WRONG)).await;
    }
    let stranger = fixture.from("192.0.2.200").post(paths::AUTH_LOGIN, login("a@x.org", PASSWORD)).await;
    assert_eq!(stranger.problem(), (429, "too_many_attempts"));
    owner.post(paths::AUTH_LOGIN, login("a@x.org", PASSWORD)).await.ok(200);
}

#[tokio::test]
async fn an_ipv6_host_has_one_network_whichever_of_its_addresses_it_takes() {
    let fixture = Fixture::new().await;
    for n in 0..5 {
        fixture.from(&format!("2001:db8::{n:x}")).post(paths::AUTH_LOGIN, login("a@x.org", WRONG)).await;
    }
    let same = fixture.from("2001:db8::ffff:1").post(paths::AUTH_LOGIN, login("a@x.org", WRONG)).await;
    assert_eq!(same.problem(), (429, "account_locked"));
    let other = fixture.from("2001:db8:0:1::1").post(paths::AUTH_LOGIN, login("a@x.org", WRONG)).await;
    assert_eq!(other.problem(), (401, "wrong_credentials"));
}

#[tokio::test]
async fn a_portals_guesses_count_for_whom_it_serves() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let portal = fixture.portal().await;
    for _ in 0..5 {
        portal.post(paths::SESSIONS, session_ask("a@x.org", WRONG, "203.0.113.9")).await;
    }
    let locked = portal.post(paths::SESSIONS, session_ask("a@x.org", PASSWORD, "203.0.113.9")).await;
    assert_eq!(locked.problem(), (429, "account_locked"));
    portal.post(paths::SESSIONS, session_ask("a@x.org", PASSWORD, "203.0.113.10")).await.ok(201);
}

#[tokio::test]
async fn bad_tokens_are_held_at_last_and_hold_nobody_else_of_their_network() {
    let fixture = Fixture::new().await;
    fixture.user("root@x.org", UserRole::Admin).await;
    let (_, good) = fixture.tokens("root@x.org").await;
    let guesser = fixture.from("203.0.113.9");
    let mut refused = None;
    for n in 0..70 {
        let answer = guesser.post(paths::AUTH_REFRESH, json!({ "refresh_token": format!("mbr_{n}") })).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.problem(), (401, "invalid_token"));
    }
    let refused = refused.expect("held at last");
    assert_eq!(refused.problem(), (429, "too_many_attempts"));
    assert_eq!(refused.retry_after(), Some(5));
    let answer = guesser.post(paths::AUTH_LOGIN, login("a@x.org", WRONG)).await;
    assert_eq!(answer.problem(), (401, "wrong_credentials"), "a password has another measure");
    let logout = guesser.post(paths::AUTH_LOGOUT, json!({ "refresh_token": "mbr_0" })).await;
    assert_eq!(logout.problem(), (429, "too_many_attempts"));
    let fresh = guesser.post(paths::AUTH_REFRESH, json!({ "refresh_token": good })).await.ok(200);
    let logout = json!({ "refresh_token": fresh["refresh_token"] });
    guesser.post(paths::AUTH_LOGOUT, logout).await.ok(204);
}

#[tokio::test]
async fn guessing_fills_no_audit_log() {
    let fixture = Fixture::new().await;
    for n in 0..70 {
        let ask = json!({ "refresh_token": format!("mbr_{n}") });
        fixture.from("203.0.113.9").post(paths::AUTH_REFRESH, ask).await;
    }
    let refused = fixture.deeds().await.into_iter().filter(|(action, ..)| action == "session.refuse");
    assert_eq!(refused.count(), 2, "the clock stands: all are of one second, a row for each reason");
}

#[tokio::test]
async fn twenty_sign_ins_at_once_all_succeed() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let mut all: Vec<_> = (0..20).map(|_| Some(Box::pin(fixture.log_in("a@x.org", PASSWORD)))).collect();
    // Health is asked again and again while they are in work.
    let mut asked = 0;
    while all.iter().any(Option::is_some) {
        for one in &mut all {
            let Some(login) = one else { continue };
            if let Ok(answer) = tokio::time::timeout(Duration::from_millis(1), login).await {
                answer.ok(200);
                *one = None;
            }
        }
        let began = tokio::time::Instant::now();
        fixture.from("192.0.2.1").get(paths::ROOT).await.ok(200);
        assert!(began.elapsed() < Duration::from_secs(1));
        asked += 1;
    }
    assert!(asked > 1);
}
