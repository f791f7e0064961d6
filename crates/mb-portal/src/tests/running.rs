//! What the broker is run by: proxies, settings, the examination of its machine.

use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use mb_api::paths;
use mb_core::Timestamp;
use serde_json::{Value, json};

use super::fixture::{Browser, NOW, knows, recording};

fn admin(server: Router) -> Browser {
    let browser = Browser::with(knows("admin").merge(server));
    browser.set_cookie("__Host-session", "good");
    browser
}

fn page(rows: &[Value]) -> Value {
    json!({ "data": rows, "next": null })
}

fn proxy(id: &str, seen_at: Timestamp, live: bool) -> Value {
    json!({
        "id": id, "name": "proxy", "is_live": live, "seen_at": seen_at, "policy_version": 7, "policy_current": live,
        "clock_ahead_ms": -20, "damaged": 0, "stale": 0, "refused": 0, "journal_depth": 1200,
        "journal_oldest_at": seen_at.minus(std::time::Duration::from_secs(5)),
    })
}

#[tokio::test]
async fn what_waits_at_silent_proxies_is_not_counted_as_waiting() {
    let gone = NOW.minus(std::time::Duration::from_hours(2));
    let (routes, _) = recording(paths::PROXIES_STATUS, page(&[proxy("01", NOW, true), proxy("02", gone, false)]));
    let (_, page) = admin(routes).get("/admin/proxies").await;
    assert!(page.contains("1 <small>of 2</small>") && page.contains("<dd>1\u{202f}200</dd>"), "{page}");
    assert!(page.contains("confirmed 2 h ago") && page.contains("oldest for 5 s"), "{page}");
    assert!(page.contains("20 ms behind") && page.contains(">behind</span>"), "{page}");
}

#[tokio::test]
async fn settings_that_were_set_come_first_and_secrets_are_only_named() {
    let row = |id: &str, value: Value, source: &str, secret: bool| json!({ "id": id, "value": value, "source": source, "about": "What for.", "is_secret": secret });
    let rows = [
        row("proxy.port", json!(8001), "default", false),
        row("store.url", json!("mysql://u:***@h/d"), "environment", false),
        row("JWT_SECRET", json!(null), ".env", true),
    ];
    let (routes, _) = recording(paths::SETTINGS, page(&rows));
    let browser = admin(routes);
    let (_, page) = browser.get("/admin/settings").await;
    assert!(page.contains("mysql://u:***@h/d") && page.contains("set, not shown"), "{page}");
    assert!(!page.contains("proxy.port"), "{page}");
    let (_, page) = browser.get("/admin/settings?show=all").await;
    assert!(page.contains("proxy.port") && page.contains("8001") && page.contains("What for."), "{page}");
}

#[tokio::test]
async fn an_examination_is_asked_for_and_what_is_bad_comes_first() {
    let row = |id: u64, status: &str, fix: Option<&str>| json!({ "id": id, "check": format!("check-{id}"), "status": status, "detail": "<found>", "fix": fix });
    let rows = page(&[row(1, "ok", None), row(2, "warn", Some("mend it")), row(3, "fail", Some("now"))]);
    let browser = admin(Router::new().route(paths::DOCTOR, post(async move || Json(rows))));
    let (_, page) = browser.get("/admin/doctor").await;
    assert!(page.contains("Examine it") && !page.contains("check-1"), "{page}");
    let (_, page) = browser.post("/admin/doctor", &[]).await;
    let at = |text: &str| page.find(text).expect("shown");
    assert!(at("check-3") < at("check-2") && at("check-2") < at("check-1"), "{page}");
    assert!(page.contains("<strong>To do:</strong> mend it") && page.contains("&#60;found&#62;"), "{page}");
}

#[tokio::test]
async fn no_page_of_the_administration_opens_for_a_plain_user() {
    let browser = Browser::with(knows("user"));
    browser.set_cookie("__Host-session", "good");
    browser.get("/profile/password").await;
    let one = |route: &str| {
        let segments = route.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
        segments.collect::<Vec<_>>().join("/")
    };
    for path in crate::ROUTES.iter().filter(|route| route.starts_with("/admin/")).map(|route| one(route)) {
        let (read, _) = browser.get(&path).await;
        let (written, _) = browser.post(&path, &[]).await;
        for status in [read.status, written.status] {
            assert!(matches!(status, StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED), "{path}: {status}");
        }
        assert!(read.status == StatusCode::FORBIDDEN || written.status == StatusCode::FORBIDDEN, "{path}");
    }
}
