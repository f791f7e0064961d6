//! What every page has, and what none may show.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use http::header::{STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use mb_api::paths;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::Timestamp;
use serde_json::json;

use super::fixture::{Browser, NOW, knows, recording};

fn signed_in(server: Router) -> Browser {
    let browser = Browser::with(server);
    browser.set_cookie("__Host-session", "good");
    browser
}

fn message() -> serde_json::Value {
    let id = "01930000-0000-7000-8000-000000000001";
    json!({
        "id": id, "message_id": id, "client_id": "branch-7", "domain": "acme", "topic": "default",
        "sender_number_masked": "+491****5678", "status": "delivered", "attempt_count": 0,
        "queued_at": "2026-11-25T10:00:00Z", "delivered_at": null, "last_error": null,
        "registered_at": "2026-11-25T10:00:00Z", "failed_at": null, "deliver_at": null, "expires_at": null,
        "sender_number": "+4915112345678", "message_body": "<b>secret & text</b>", "metadata": { "a": 1 }, "attempts": [],
    })
}

#[tokio::test]
async fn every_page_is_guarded_and_kept_nowhere() {
    let browser = signed_in(knows("user"));
    for path in
        ["/login/code", "/forgot-password", "/reset-password?token=t", "/profile/password", "/nowhere", "/admin/users"]
    {
        let (parts, _) = browser.get(path).await;
        let policy = parts.headers[CONTENT_SECURITY_POLICY].to_str().expect("text");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(parts.headers[CACHE_CONTROL], "no-store", "{path}");
        assert_eq!(parts.headers[X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert_eq!(parts.headers[REFERRER_POLICY], "same-origin", "{path}");
        assert_eq!(parts.headers[STRICT_TRANSPORT_SECURITY], "max-age=31536000", "{path}");
    }
}

#[tokio::test]
async fn errors_are_pages_with_their_id_in_the_frame_of_who_asks() {
    let browser = signed_in(knows("user"));
    let (parts, page) = browser.get("/admin/users").await;
    assert_eq!(parts.status, StatusCode::FORBIDDEN);
    assert!(page.contains(parts.headers["x-request-id"].to_str().expect("text")), "{page}");
    assert!(page.contains("ann@example.org") && !page.contains("href=\"/admin"), "{page}");
    let (parts, page) = browser.get("/nowhere").await;
    assert_eq!(
        (parts.status, parts.headers[CONTENT_TYPE].as_bytes()),
        (StatusCode::NOT_FOUND, &b"text/html; charset=utf-8"[..])
    );
    assert!(page.contains("There is nothing here"));
    assert_eq!(browser.get("/logout").await.0.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(browser.get("/messages/no-id").await.0.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_menu_shows_what_one_may_do() {
    for (role, shown, hidden) in [
        ("user", "/messages", "/admin"),
        ("user_manager", "/admin/users", "/admin/clients"),
        ("user_manager", "/profile", "/messages"),
        ("admin", "/admin/audit", "no such"),
    ] {
        let (_, page) = signed_in(knows(role)).get("/profile/password").await;
        assert!(page.contains(&format!("href=\"{shown}")) && !page.contains(&format!("href=\"{hidden}")), "{role}");
    }
}

#[tokio::test]
async fn a_notice_says_in_a_sentence_what_happened() {
    let detail = json!({ "name": "branch-7", "role": "client", "serial": "0a", "days": 3, "expires_at": "2026-11-28T10:00:00Z" });
    let notice = json!({
        "id": 3, "kind": "certificate_expiring", "about": "branch-7 0a 3d", "level": "warning", "detail": detail, "count": 1,
        "first_at": "2026-11-25T10:00:00Z", "last_at": "2026-11-25T10:00:00Z", "resolved_at": null,
    });
    let (routes, _) = recording(paths::NOTICES, json!({ "data": [notice], "next": null }));
    let (_, page) = signed_in(knows("admin").merge(routes)).get("/admin/notices").await;
    assert!(page.contains("The certificate of branch-7 (client) ends at <time"), "{page}");
    assert!(page.contains(">2026-11-28 10:00:00<") && !page.contains("branch-7 0a 3d"), "{page}");
}

#[tokio::test]
async fn a_journals_notice_counts_what_needs_somebody() {
    let notice = json!({
        "id": 3, "kind": "journal_damaged", "about": "proxy-2 07", "level": "error", "count": 1, "resolved_at": null,
        "detail": { "proxy": "proxy-2", "damaged": 2, "stale": 0, "refused": 1 },
        "first_at": "2026-11-25T10:00:00Z", "last_at": "2026-11-25T10:00:00Z",
    });
    let (routes, _) = recording(paths::NOTICES, json!({ "data": [notice], "next": null }));
    let (_, page) = signed_in(knows("admin").merge(routes)).get("/admin/notices").await;
    assert!(page.contains("Entries in the journal of proxy-2: 2 damaged, 1 refused."), "{page}");
}

#[tokio::test]
async fn an_account_that_has_ended_is_not_called_active() {
    let row = |id: u64, ends: Option<Timestamp>, active: bool| {
        json!({
            "id": id, "email": format!("user-{id}@example.org"), "role": "user", "client_id": null, "is_active": active,
            "may_send": false, "two_factor": false, "created_at": NOW, "expires_at": ends, "password_changed_at": NOW,
        })
    };
    let (past, ahead) = (NOW.minus(Duration::from_secs(1)), NOW.plus(Duration::from_secs(1)));
    let rows = [row(1, None, true), row(2, Some(ahead), true), row(3, Some(past), true), row(4, Some(past), false)];
    let (routes, _) = recording(paths::USERS, json!({ "data": rows, "next": null }));
    let (_, page) = signed_in(knows("admin").merge(routes)).get("/admin/users").await;
    let badges: Vec<_> = page.split("badge ").skip(1).filter_map(|rest| rest.split(['>', '<']).nth(1)).collect();
    assert_eq!(badges, ["active", "active", "ended", "disabled"], "{page}");
}

#[tokio::test]
async fn a_certificate_that_expires_soon_is_told_apart_and_can_be_revoked() {
    let row = |name: &str, days: u64, status: &str| {
        json!({
            "id": "0a", "client_id": name, "role": "client", "domain": "default", "fingerprint": "f", "status": status,
            "issued_at": NOW, "expires_at": NOW.plus(Duration::from_hours(24 * days)), "revoked_at": null, "reason": null,
        })
    };
    let rows = [row("a", 40, "active"), row("b", 20, "active"), row("c", 20, "expired")];
    let (routes, asked) = recording(paths::CERTIFICATES_LIST, json!({ "data": rows, "next": null }));
    let browser = signed_in(knows("admin").merge(routes));
    let (_, page) = browser.get("/admin/certificates").await;
    let badges: Vec<_> = page.split("badge ").skip(1).filter_map(|rest| rest.split(['>', '<']).nth(1)).collect();
    assert_eq!(badges, ["active", "expires soon", "expired"], "{page}");
    assert_eq!(page.matches("Revoke …").count(), 2);
    browser.get("/admin/certificates?client_id=branch-7&role=client&status=active").await;
    let (parts, page) = browser.get("/admin/certificates?client_id=No+Name").await;
    assert!(parts.status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("id=\"client_id-error\""), "{page}");
    let asked = asked.lock().expect("no panic while held");
    let last = asked.last().and_then(|uri| uri.split_once('?')).map(|(_, query)| query.to_owned());
    assert_eq!(last.as_deref(), Some("client_id=branch-7&role=client&status=active"), "{asked:?}");
}

#[tokio::test]
async fn a_message_is_opened_by_a_form_only() {
    let path = "/messages/01930000-0000-7000-8000-000000000001";
    let (routes, asked) = recording(paths::PORTAL_MESSAGE, message());
    let browser = signed_in(knows("user").merge(routes));
    browser.get(path).await;
    let (_, page) = browser.post(path, &[]).await;
    assert!(page.contains("&#60;b&#62;secret &#38; text") && !page.contains("<b>secret"), "{page}");
    let asked = asked.lock().expect("no panic while held");
    assert_eq!(
        asked.iter().map(|uri| uri.split_once('?').expect("a query").1).collect::<Vec<_>>(),
        ["body=false", "body=true"]
    );
}

#[tokio::test]
async fn a_list_keeps_its_filter_and_leads_on_and_back() {
    let (routes, asked) = recording(paths::PORTAL_MESSAGES, json!({ "data": [message()], "next": "c2" }));
    let browser = signed_in(knows("user").merge(routes));
    let (_, page) = browser.get("/messages?status=delivered&topic=&from=2026-11-25T10%3A00&cursor=c1").await;
    assert!(page.contains("+491****5678") && !page.contains("15112345678"), "{page}");
    assert!(page.contains("value=\"2026-11-25T10:00\"") && page.contains("value=\"delivered\" selected"), "{page}");
    assert!(page.contains("cursor=c2&#38;back=c1\"") && page.contains("rel=\"prev\""), "{page}");
    let uri = asked.lock().expect("no panic while held").pop().expect("asked");
    assert!(uri.contains("status=delivered") && uri.contains("cursor=c1") && !uri.contains("topic"), "{uri}");
    let (parts, page) = browser.get("/messages?sender=123").await;
    assert_eq!(parts.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("Enter the whole number") && page.contains("value=\"123\""), "{page}");
    assert!(!page.contains("No message"), "nothing was looked for: {page}");
}

#[tokio::test]
async fn static_files_may_be_kept_and_carry_no_cookie() {
    let browser = Browser::with(Router::new());
    let (_, page) = browser.get("/login").await;
    let at = page.find("/static/").expect("a stylesheet");
    let path = page[at..].split('"').next().expect("a path");
    let fresh = Browser::with(Router::new());
    let (parts, style) = fresh.get(path).await;
    assert!(parts.headers[CACHE_CONTROL].to_str().expect("text").contains("immutable") && style.contains(":root"));
    assert_eq!(fresh.cookie("__Host-csrf"), None);
    assert!(page.len() < 24 * 1024);
}

#[tokio::test]
async fn a_stream_says_when_the_session_is_over_and_is_no_page() {
    let gone = || async { ApiError::new(ProblemCode::InvalidToken, "x").render(&mb_api::RequestId::fresh()) };
    let browser = Browser::with(Router::new().route(paths::SESSIONS, get(gone)));
    browser.set_cookie("__Host-session", "old");
    let tail = "/login?next=%2Fmessages%3Fstatus%3Dfailed%26live%3Don";
    for (path, door) in [("/overview/stream?period=7d", "/login"), ("/messages/stream?status=failed", tail)] {
        let (parts, text) = browser.get(path).await;
        assert_eq!(parts.status, StatusCode::OK, "{path}");
        assert_eq!(parts.headers[CONTENT_TYPE], "text/event-stream", "{path}");
        assert!(text.contains(&format!("href=\"{door}\"")) && text.contains("event: end"), "{text}");
    }
}

#[tokio::test]
async fn the_live_tail_shows_what_the_main_server_says_with_numbers_masked() {
    let page = json!({ "data": [message()], "next": null });
    let said = format!(": here\n\nevent: page\ndata: {page}\n\n");
    let stream = move || async move { ([(CONTENT_TYPE, "text/event-stream")], said) };
    let browser = signed_in(knows("user").route(paths::PORTAL_MESSAGES_STREAM, get(stream)));
    let (parts, text) = browser.get("/messages/stream").await;
    assert_eq!(parts.headers[CACHE_CONTROL], "no-store");
    assert!(text.lines().all(|line| line.is_empty() || line.starts_with("data: ")), "{text}");
    assert!(text.contains("+491****5678") && !text.contains("15112345678"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_main_server_that_hangs_is_told_of_soon_and_files_do_not_wait_for_it() {
    let browser = signed_in(Router::new().fallback(std::future::pending::<StatusCode>));
    for (path, status, longest) in [
        ("/messages", 503, 3),
        ("/messages/stream", 503, 3),
        ("/admin/users", 503, 3),
        ("/login", 503, 3),
        ("/nope", 404, 3),
        ("/assets/nope.css", 404, 0),
        ("/static/nope.css", 404, 0),
    ] {
        let began = tokio::time::Instant::now();
        let (parts, _) = browser.get(path).await;
        assert_eq!(parts.status, status, "{path}");
        assert!(
            began.elapsed() <= Duration::from_secs(longest) + Duration::from_millis(100),
            "{path}: {:?}",
            began.elapsed()
        );
    }
}
