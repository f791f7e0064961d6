//! Getting in: who comes from where, what a form needs, what cookies look like.

use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use http::header::{LOCATION, SET_COOKIE};
use http::response::Parts;
use mb_api::paths;
use mb_api::problem::{ApiError, ProblemCode};
use serde_json::json;

use super::fixture::{Browser, knows, session};

fn location(parts: &Parts) -> &str {
    assert_eq!(parts.status, StatusCode::SEE_OTHER);
    parts.headers[LOCATION].to_str().expect("text")
}

fn opens() -> Router {
    Router::new().route(
        paths::SESSIONS,
        post(|| async { (StatusCode::CREATED, Json(json!({ "token": "the-session", "session": session("user") }))) }),
    )
}

#[tokio::test]
async fn a_guest_is_sent_to_the_sign_in_and_from_there_to_where_he_was() {
    let browser = Browser::with(opens());
    let (parts, _) = browser.get("/messages?status=failed").await;
    let door = location(&parts).to_owned();
    assert_eq!(door, "/login?next=%2Fmessages%3Fstatus%3Dfailed");
    let (parts, page) = browser.get(&door).await;
    assert_eq!(parts.status, StatusCode::OK);
    assert!(page.contains(&format!("action=\"{door}\"")), "{page}");
    let (parts, _) = browser.post(&door, &[("email", "ann@example.org"), ("password", "x")]).await;
    assert_eq!(location(&parts), "/messages?status=failed");
    browser.get("/login?next=//evil.example").await;
    let (parts, _) = browser.post("/login?next=//evil.example", &[("email", "a@b"), ("password", "x")]).await;
    assert_eq!(location(&parts), "/");
}

#[tokio::test]
async fn signing_in_sets_a_guarded_cookie_and_a_new_token_for_forms() {
    let browser = Browser::with(opens());
    browser.get("/login").await;
    let before = browser.cookie("__Host-csrf");
    let (parts, _) = browser.post("/login", &[("email", "ann@example.org"), ("password", "x")]).await;
    let cookies: Vec<&str> = parts.headers.get_all(SET_COOKIE).iter().map(|v| v.to_str().expect("text")).collect();
    let cookie = cookies.iter().find(|cookie| cookie.starts_with("__Host-session=")).expect("a session");
    assert_eq!(*cookie, "__Host-session=the-session; Path=/; Secure; HttpOnly; SameSite=Lax");
    assert_ne!(browser.cookie("__Host-csrf"), before);
}

#[tokio::test]
async fn a_wrong_password_keeps_the_address_and_tells_nothing_else() {
    let refuse = || async { ApiError::new(ProblemCode::WrongCredentials, "x").render(&mb_api::RequestId::fresh()) };
    let browser = Browser::with(Router::new().route(paths::SESSIONS, post(refuse)));
    browser.get("/login").await;
    let (parts, page) = browser.post("/login", &[("email", "ann@example.org"), ("password", "hunter2")]).await;
    assert_eq!(parts.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        page.contains("The address or the password is wrong.") && page.contains("value=\"ann@example.org\""),
        "{page}"
    );
    assert!(!page.contains("hunter2"));
}

#[tokio::test]
async fn a_busy_main_server_keeps_the_form_and_says_when_to_come_back() {
    for (code, text) in [
        (ProblemCode::Overloaded, "The main server is busy. Try again in 7 seconds."),
        (ProblemCode::AccountLocked, "the account is locked from here for 7 seconds."),
    ] {
        let refuse = move || async move { ApiError::new(code, "x").retry_after(7).render(&mb_api::RequestId::fresh()) };
        let browser = Browser::with(Router::new().route(paths::SESSIONS, post(refuse)));
        browser.get("/login").await;
        let (parts, page) = browser.post("/login", &[("email", "ann@example.org"), ("password", "x")]).await;
        assert_eq!(parts.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.contains(text) && page.contains("value=\"ann@example.org\""), "{page}");
    }
}

#[tokio::test]
async fn the_second_step_needs_the_first() {
    let needs = || async { (StatusCode::ACCEPTED, Json(json!({ "otp_token": "half", "expires_in": 300 }))) };
    let browser = Browser::with(Router::new().route(paths::SESSIONS, post(needs)));
    assert_eq!(location(&browser.get("/login/code?next=%2Fprofile").await.0), "/login?next=%2Fprofile");
    let (parts, _) = browser.post("/login?next=%2Fprofile", &[("email", "a@b"), ("password", "x")]).await;
    assert_eq!(location(&parts), "/login/code?next=%2Fprofile");
    assert_eq!(browser.cookie("__Host-otp").as_deref(), Some("half"));
    assert_eq!(browser.cookie("__Host-session"), None);
    let (_, page) = browser.get("/login/code?next=%2Fprofile").await;
    assert!(page.contains("one-time-code") && !page.contains("half"), "{page}");
}

#[tokio::test]
async fn a_form_that_was_not_sent_from_a_page_of_ours_is_refused() {
    let browser = Browser::with(opens());
    let fields = [("email", "a@b"), ("password", "x")];
    let (parts, page) = browser.post_as("/login", &fields, &[]).await;
    assert_eq!(parts.status, StatusCode::FORBIDDEN, "{page}");
    let csrf = browser.cookie("__Host-csrf").expect("given with the first page");
    let with = |token: &'static str| [&fields[..], &[("csrf", token)]].concat();
    assert_eq!(browser.post_as("/login", &with("guess"), &[]).await.0.status, StatusCode::FORBIDDEN);
    let genuine = [&fields[..], &[("csrf", csrf.as_str())]].concat();
    for headers in [&[("sec-fetch-site", "cross-site")][..], &[("host", "here"), ("origin", "https://evil.example")]] {
        assert_eq!(browser.post_as("/login", &genuine, headers).await.0.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    let twice = [&genuine[..], &[("csrf", csrf.as_str())]].concat();
    assert_eq!(browser.post_as("/login", &twice, &[]).await.0.status, StatusCode::FORBIDDEN);
    let ours = [("sec-fetch-site", "same-origin")];
    assert_eq!(browser.post_as("/login", &genuine, &ours).await.0.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn with_the_main_server_away_a_page_says_so_and_nothing_goes_in_circles() {
    let browser = Browser::with_nobody_there();
    assert_eq!(browser.get("/login").await.0.status, StatusCode::OK);
    let (parts, page) = browser.post("/login", &[("email", "a@b"), ("password", "x")]).await;
    assert_eq!(parts.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.contains("main server cannot be reached") && parts.headers.contains_key("retry-after"), "{page}");
    browser.set_cookie("__Host-session", "kept");
    for path in ["/", "/messages", "/login", "/login?next=%2Fprofile", "/admin/users"] {
        let (parts, page) = browser.get(path).await;
        assert_eq!(parts.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(page.contains(parts.headers["x-request-id"].to_str().expect("text")), "{path}");
    }
    assert_eq!(browser.post("/logout", &[]).await.0.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(browser.cookie("__Host-session").as_deref(), Some("kept"));
}

#[tokio::test]
async fn a_session_that_has_ended_is_forgotten_once() {
    let gone = || async { ApiError::new(ProblemCode::InvalidToken, "x").render(&mb_api::RequestId::fresh()) };
    let browser = Browser::with(Router::new().route(paths::SESSIONS, axum::routing::get(gone)));
    browser.set_cookie("__Host-session", "old");
    assert_eq!(location(&browser.get("/profile").await.0), "/login?next=%2Fprofile");
    assert_eq!(browser.cookie("__Host-session").as_deref(), Some(""));
    assert_eq!(browser.get("/login?next=%2Fprofile").await.0.status, StatusCode::OK);
}

#[tokio::test]
async fn a_refusal_of_the_portals_own_certificate_is_no_reason_to_sign_in() {
    for code in [ProblemCode::CertificateExpired, ProblemCode::WrongRole, ProblemCode::NoIdentity] {
        let refuse = move || async move { ApiError::new(code, "x").render(&mb_api::RequestId::fresh()) };
        let browser = Browser::with(Router::new().route(paths::SESSIONS, axum::routing::get(refuse)));
        browser.set_cookie("__Host-session", "good");
        assert_eq!(browser.get("/").await.0.status, StatusCode::SERVICE_UNAVAILABLE, "{code}");
        assert_eq!(browser.cookie("__Host-session").as_deref(), Some("good"));
    }
}

#[tokio::test]
async fn who_is_signed_in_needs_no_door() {
    let browser = Browser::with(knows("user"));
    browser.set_cookie("__Host-session", "good");
    assert_eq!(location(&browser.get("/login?next=%2Fmessages").await.0), "/messages");
}
