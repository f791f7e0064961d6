//! One's own account: password, second factor, sessions.

use std::time::Duration;

use mb_api::paths;
use mb_core::{SessionId, UserRole};
use mb_crypto::totp::TotpSecret;
use mb_store::Totp;
use serde_json::{Value, json};

use super::super::asking::Asking;
use super::super::fixture::{Fixture, NOW};
use super::{PASSWORD, WRONG, login, session_ask, text};

const STEP: Duration = Duration::from_secs(30);

/// The secret as the authenticator has it.
async fn secret(fixture: &Fixture, email: &str) -> TotpSecret {
    let user = fixture.store.user_by_email(email).await.expect("reads").expect("there is one");
    let (Totp::Pending { secret } | Totp::On { secret, .. }) = &user.totp else { panic!("no second factor") };
    crate::people::sign_in::open_secret(&fixture.server.app, &user, secret).expect("opens")
}

async fn code(fixture: &Fixture, email: &str) -> String {
    secret(fixture, email).await.code_at(fixture.clock.now()).expose().clone()
}

/// Switches the second factor on; returns the recovery codes.
async fn enrol(fixture: &Fixture, email: &str, person: &Asking<'_>) -> Vec<String> {
    let offer = person.post(paths::PROFILE_TWO_FACTOR, json!({ "current_password": PASSWORD })).await.ok(201);
    assert!(text(&offer["otpauth_uri"]).contains(&text(&offer["secret"])));
    let confirm = json!({ "otp": code(fixture, email).await });
    let codes = person.post(paths::PROFILE_TWO_FACTOR_CONFIRM, confirm).await.ok(200);
    codes["recovery_codes"].as_array().expect("a list").iter().map(text).collect()
}

fn with_otp(mut ask: Value, otp: &str) -> Value {
    ask["otp"] = otp.into();
    ask
}

#[tokio::test]
async fn a_new_password_needs_the_old_one_and_ends_every_session() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let (access, refresh) = fixture.tokens("a@x.org").await;
    let person = fixture.bearer(&access);
    let ask = |current: &str, new: &str| json!({ "current_password": current, "new_password": new });
    let wrong = person.put(paths::PROFILE_PASSWORD, ask(WRONG, "Another horse 2")).await;
    assert_eq!(wrong.problem(), (401, "wrong_credentials"));
    let weak = person.put(paths::PROFILE_PASSWORD, ask(PASSWORD, "short")).await;
    assert_eq!(
        (weak.problem(), &weak.body["errors"][0]["pointer"]),
        ((422, "validation_failed"), &json!("/new_password"))
    );
    let same = person.put(paths::PROFILE_PASSWORD, ask(PASSWORD, PASSWORD)).await;
    assert_eq!(same.body["errors"][0]["code"], "unchanged");
    assert!(fixture.knows(&access).await);
    person.put(paths::PROFILE_PASSWORD, ask(PASSWORD, "Another horse 2")).await.ok(200);
    assert!(!fixture.knows(&access).await);
    assert_eq!(fixture.refresh(&refresh).await.status, 401);
    assert_eq!(fixture.log_in("a@x.org", PASSWORD).await.status, 401);
    fixture.log_in("a@x.org", "Another horse 2").await.ok(200);
}

#[tokio::test]
async fn a_stolen_session_is_no_place_to_guess_the_password() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let (access, _) = fixture.tokens("a@x.org").await;
    let guess = async || {
        let ask = json!({ "current_password": WRONG, "new_password": "Another horse 2" });
        fixture.bearer(&access).put(paths::PROFILE_PASSWORD, ask).await
    };
    for _ in 0..5 {
        assert_eq!(guess().await.problem(), (401, "wrong_credentials"));
    }
    assert_eq!(guess().await.problem(), (429, "account_locked"));
}

#[tokio::test]
async fn the_second_factor_is_asked_for_once_it_was_proven() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let (access, _) = fixture.tokens("a@x.org").await;
    let person = fixture.bearer(&access);
    let none = person.post(paths::PROFILE_TWO_FACTOR_CONFIRM, json!({ "otp": "123456" })).await;
    assert_eq!(none.problem(), (409, "conflict"), "nothing is on offer");
    person.post(paths::PROFILE_TWO_FACTOR, json!({ "current_password": PASSWORD })).await.ok(201);
    fixture.log_in("a@x.org", PASSWORD).await.ok(200);
    enrol(&fixture, "a@x.org", &person).await;
    assert_eq!(fixture.log_in("a@x.org", PASSWORD).await.problem(), (401, "otp_required"));
    assert_eq!(fixture.log_in("a@x.org", WRONG).await.problem(), (401, "wrong_credentials"), "no word of it before");
    let again = person.post(paths::PROFILE_TWO_FACTOR, json!({ "current_password": PASSWORD })).await;
    assert_eq!(again.problem(), (409, "conflict"));
}

#[tokio::test]
async fn a_code_is_good_once_and_the_next_one_is_good_again() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let (access, _) = fixture.tokens("a@x.org").await;
    enrol(&fixture, "a@x.org", &fixture.bearer(&access)).await;
    let nobody = fixture.from("192.0.2.1");
    let sign_in = async |otp: &str| nobody.post(paths::AUTH_LOGIN, with_otp(login("a@x.org", PASSWORD), otp)).await;
    let used = code(&fixture, "a@x.org").await;
    assert_eq!(sign_in(&used).await.problem(), (401, "wrong_credentials"), "the enrolment has used it");
    fixture.clock.set(NOW.plus(STEP));
    let next = code(&fixture, "a@x.org").await;
    sign_in(&next).await.ok(200);
    assert_eq!(sign_in(&next).await.problem(), (401, "wrong_credentials"));
    assert_eq!(sign_in(&used).await.problem(), (401, "wrong_credentials"), "no way back");
}

#[tokio::test]
async fn a_recovery_code_is_good_once_and_new_ones_void_the_old() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let (access, _) = fixture.tokens("a@x.org").await;
    let person = fixture.bearer(&access);
    let codes = enrol(&fixture, "a@x.org", &person).await;
    assert_eq!(codes.len(), 10);
    let nobody = fixture.from("192.0.2.1");
    let sign_in = async |otp: &str| nobody.post(paths::AUTH_LOGIN, with_otp(login("a@x.org", PASSWORD), otp)).await;
    let body = sign_in(&codes[0].to_lowercase()).await.ok(200);
    assert_eq!(body["user"]["recovery_codes_left"], 9);
    assert_eq!(sign_in(&codes[0]).await.problem(), (401, "wrong_credentials"));
    let ask = json!({ "current_password": PASSWORD });
    let alone = person.post(paths::PROFILE_RECOVERY_CODES, with_otp(ask.clone(), "000000")).await;
    assert_eq!(alone.problem(), (401, "wrong_credentials"), "a session and the password are one factor");
    let fresh = person.post(paths::PROFILE_RECOVERY_CODES, with_otp(ask, &codes[2])).await.ok(200);
    assert_eq!(sign_in(&codes[1]).await.problem(), (401, "wrong_credentials"));
    sign_in(&text(&fresh["recovery_codes"][1])).await.ok(200);
}

#[tokio::test]
async fn switching_the_second_factor_off_needs_both_factors() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let (access, _) = fixture.tokens("a@x.org").await;
    let person = fixture.bearer(&access);
    let codes = enrol(&fixture, "a@x.org", &person).await;
    let off = async |password: &str, otp: &str| {
        let ask = json!({ "current_password": password, "otp": otp });
        person.post(paths::PROFILE_TWO_FACTOR_DISABLE, ask).await
    };
    assert_eq!(off(WRONG, &codes[0]).await.problem(), (401, "wrong_credentials"));
    assert_eq!(off(PASSWORD, "AAAAA-AAAAA").await.problem(), (401, "wrong_credentials"));
    off(PASSWORD, &codes[0]).await.ok(204);
    assert_eq!(off(PASSWORD, &codes[1]).await.problem(), (409, "conflict"));
    fixture.log_in("a@x.org", PASSWORD).await.ok(200);
}

#[tokio::test]
async fn guesses_of_the_second_factor_are_held_whoever_knows_the_password() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    let (access, _) = fixture.tokens("a@x.org").await;
    let codes = enrol(&fixture, "a@x.org", &fixture.bearer(&access)).await;
    let portal = fixture.portal().await;
    let password = async || portal.post(paths::SESSIONS, session_ask("a@x.org", PASSWORD, "203.0.113.9")).await;
    let guess = async |otp: &str, token: &Value| {
        let ask = json!({ "otp_token": token, "otp": otp, "peer_address": "203.0.113.9" });
        portal.post(paths::SESSIONS_OTP, ask).await
    };
    for _ in 0..5 {
        let needed = password().await.ok(202);
        assert_eq!(guess("AAAAA-AAAAA", &needed["otp_token"]).await.problem(), (401, "wrong_credentials"));
    }
    let needed = password().await.ok(202);
    assert_eq!(guess(&codes[0], &needed["otp_token"]).await.problem(), (429, "account_locked"));
}

#[tokio::test]
async fn a_portals_second_step_needs_the_first_within_five_minutes_under_the_same_password() {
    let fixture = Fixture::new().await;
    let user = fixture.user("a@x.org", UserRole::User).await;
    let (access, _) = fixture.tokens("a@x.org").await;
    let codes = enrol(&fixture, "a@x.org", &fixture.bearer(&access)).await;
    let portal = fixture.portal().await;
    let first = async || {
        let needed = portal.post(paths::SESSIONS, session_ask("a@x.org", PASSWORD, "192.0.2.1")).await.ok(202);
        assert_eq!(needed["expires_in"], 300);
        text(&needed["otp_token"])
    };
    let second = async |token: &str, code: &str| {
        let ask = json!({ "otp_token": token, "otp": code, "peer_address": "192.0.2.1" });
        portal.post(paths::SESSIONS_OTP, ask).await
    };
    let token = first().await;
    let opened = second(&token, &codes[0]).await.ok(201);
    portal.with(format!("Session {}", text(&opened["token"]))).get(paths::PROFILE).await.ok(200);
    fixture.clock.set(NOW.plus(Duration::from_mins(5)));
    assert_eq!(second(&token, &codes[1]).await.problem(), (401, "token_expired"));
    let token = first().await;
    let end = mb_store::UserChange::EndSessions;
    fixture.store.change_user(user.id, &end, &UserRole::ALL, "test").await.expect("changes");
    assert_eq!(second(&token, &codes[1]).await.problem(), (401, "invalid_token"));
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one_or_all() {
    let fixture = Fixture::new().await;
    fixture.user("a@x.org", UserRole::User).await;
    fixture.user("b@x.org", UserRole::User).await;
    let (mine, _) = fixture.tokens("a@x.org").await;
    let (other, _) = fixture.tokens("a@x.org").await;
    let (foreign, _) = fixture.tokens("b@x.org").await;
    let list = async |access: &str| {
        let page = fixture.bearer(access).get(paths::PROFILE_SESSIONS).await.ok(200);
        page["data"].as_array().expect("a list").clone()
    };
    let rows = list(&mine).await;
    assert_eq!(rows.len(), 2);
    let not_mine = rows.iter().find(|row| row["current"] == false).expect("the other");
    let path = |id: &Value| paths::with_id(paths::PROFILE_SESSION, &SessionId::parse(&text(id)).expect("an id"));
    let path_of_other = path(&not_mine["id"]);
    assert_eq!(fixture.bearer(&foreign).delete(&path_of_other).await.problem(), (404, "not_found"));
    fixture.bearer(&mine).delete(&path_of_other).await.ok(204);
    assert!(fixture.knows(&mine).await && !fixture.knows(&other).await);
    fixture.bearer(&mine).delete(paths::PROFILE_SESSIONS).await.ok(204);
    assert!(!fixture.knows(&mine).await && fixture.knows(&foreign).await);
}
