//! Destinations and dead letters.

use std::sync::{Arc, Mutex};

use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use mb_api::paths;
use serde_json::{Value, json};

use super::fixture::{Browser, NOW, knows, recording};

fn admin(server: Router) -> Browser {
    let browser = Browser::with(knows("admin").merge(server));
    browser.set_cookie("__Host-session", "good");
    browser
}

fn destination(kind: &str, state: &str) -> Value {
    json!({
        "id": 5, "name": "warehouse", "domain": "default", "kind": kind, "state": state, "state_reason": null,
        "url": (kind == "webhook").then_some("https://warehouse.example/in"), "topics": [], "clients": [],
        "retry": "5s,30s", "concurrency": 8, "rate": null, "own_ca": false, "client_certificate": false,
        "breaker": "closed", "open_until": null, "failing_since": null, "overlap_until": null, "created_at": NOW,
        "changed_at": NOW,
    })
}

fn page(rows: &[Value]) -> Value {
    json!({ "data": rows, "next": null })
}

fn domains() -> Router {
    let settings =
        json!({ "sender_number": "required", "body_limit": 1000, "rate_limit": null, "retention_days": null });
    let row = json!({ "id": "default", "settings": settings, "created_at": NOW });
    Router::new().route(paths::DOMAINS, get(async move || Json(page(&[row]))))
}

/// Takes bodies at a path and answers each alike.
fn taking(path: &str, status: StatusCode, answer: Value) -> (Router, Arc<Mutex<Vec<Value>>>) {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&taken);
    let handler = async move |Json(body): Json<Value>| {
        log.lock().expect("no panic while held").push(body);
        (status, Json(answer))
    };
    (Router::new().route(path, post(handler)), taken)
}

fn last(taken: &Mutex<Vec<Value>>) -> Value {
    taken.lock().expect("no panic while held").last().cloned().expect("asked")
}

#[tokio::test]
async fn no_destination_says_what_one_is_good_for() {
    let (routes, _) = recording(paths::DESTINATIONS, page(&[]));
    let (_, page) = admin(routes.merge(domains())).get("/admin/destinations").await;
    assert!(
        page.contains("There is no destination yet.") && page.contains("href=\"/admin/destinations/new\""),
        "{page}"
    );
}

#[tokio::test]
async fn a_secret_is_the_answer_to_the_form_and_kept_by_nobody() {
    let mut created = destination("webhook", "enabled");
    created["secret"] = json!("whsec_c2VjcmV0");
    let (routes, taken) = taking(paths::DESTINATIONS, StatusCode::CREATED, created);
    let (shows, _) = recording(paths::DESTINATION, destination("webhook", "enabled"));
    let browser = admin(routes.merge(domains()).merge(shows));
    browser.get("/admin/destinations/new").await;
    let fields = [
        ("name", "warehouse"),
        ("domain", "default"),
        ("url", "https://warehouse.example/in"),
        ("topics", "orders.*, alarms"),
    ];
    let (parts, page) = browser.post("/admin/destinations/new?kind=webhook", &fields).await;
    assert_eq!((parts.status, &parts.headers[CACHE_CONTROL]), (StatusCode::OK, &"no-store".parse().expect("a value")));
    assert!(page.contains("whsec_c2VjcmV0") && page.contains("Save the secret now."), "{page}");
    let asked = last(&taken);
    assert_eq!((&asked["kind"], &asked["settings"]["topics"]), (&json!("webhook"), &json!(["orders.*", "alarms"])));
}

#[tokio::test]
async fn a_private_key_is_not_repeated_by_a_form_that_needs_mending() {
    let browser = admin(domains());
    browser.get("/admin/destinations/new").await;
    let fields = [("name", "Not a Name"), ("shows", "yes"), ("client_certificate", "CERT"), ("client_key", "KEYKEY")];
    let (parts, page) = browser.post("/admin/destinations/new?kind=webhook", &fields).await;
    assert_eq!(parts.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("Not a Name") && page.contains("CERT") && !page.contains("KEYKEY"), "{page}");
    assert!(page.contains("id=\"name-error\"") && page.contains("id=\"url-error\""), "{page}");
}

#[tokio::test]
async fn one_that_is_fetched_is_not_sent_a_trial() {
    let (routes, _) = recording(paths::DESTINATION, destination("pull", "paused"));
    let (_, page) = admin(routes).get("/admin/destinations/5").await;
    assert!(page.contains("message-broker listen warehouse") && !page.contains("Send a trial"), "{page}");
    assert!(page.contains(">paused<") && !page.contains("Rotate …") && !page.contains("/5/pause"), "{page}");
}

#[tokio::test]
async fn a_destination_goes_by_its_name_only() {
    let (routes, _) = recording(paths::DESTINATION, destination("webhook", "enabled"));
    let browser = admin(routes);
    for path in ["/admin/destinations/5/delete", "/admin/destinations/5/disable"] {
        browser.get(path).await;
        let (parts, page) = browser.post(path, &[("confirm", "default")]).await;
        assert_eq!(parts.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
        assert!(page.contains("Type warehouse to confirm"), "{page}");
    }
}

#[tokio::test]
async fn a_trial_shows_the_whole_exchange_and_no_answer_as_markup() {
    let test = json!({
        "peer": "127.0.0.1:443", "request_headers": [["webhook-id", "test-1"]], "request_body": "{\"a\":1}",
        "response_headers": [["server", "x"]],
        "exchange": {
            "at": NOW, "duration_us": 1_234_000, "class": "server_error", "status": 500, "answer": "<b>no</b>",
        },
    });
    let (shows, _) = recording(paths::DESTINATION, destination("webhook", "enabled"));
    let routes = shows.route(paths::DESTINATION_TEST, post(async move || Json(test)));
    let browser = admin(routes);
    browser.get("/admin/destinations/5").await;
    let (_, page) = browser.post("/admin/destinations/5/test", &[]).await;
    for text in ["It failed", "webhook-id: test-1", "POST https://warehouse.example/in", "HTTP 500", "1\u{202f}234 ms"]
    {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(page.contains("&#60;b&#62;no") && !page.contains("<b>no"), "{page}");
}

fn letter(id: i64, destination: Option<i64>) -> Value {
    json!({
        "id": id, "message_id": "01930000-0000-7000-8000-000000000001", "reason": "server_error", "created_at": NOW,
        "client_id": "branch-7", "domain": "default", "topic": "orders", "destination": destination, "attempts": 2,
        "last_error": "<i>500</i>",
    })
}

#[tokio::test]
async fn dead_letters_are_listed_with_where_they_should_have_gone() {
    let (letters, asked) = recording(paths::DEAD_LETTERS, page(&[letter(2, Some(5)), letter(1, Some(9))]));
    let (named, _) = recording(paths::DESTINATIONS, page(&[destination("webhook", "enabled")]));
    let browser = admin(letters.merge(named).merge(domains()));
    let (_, page) = browser.get("/admin/dead-letters?destination=5&reason=server+error").await;
    assert!(page.contains(">warehouse<") && page.contains("number 9, deleted"), "{page}");
    assert!(
        page.contains("name=\"letter-2\"") && page.contains("&#60;i&#62;500") && !page.contains("<i>500"),
        "{page}"
    );
    assert!(page.contains("redrive?all=yes&#38;destination=5&#38;reason=server+error"), "{page}");
    let uri = asked.lock().expect("no panic while held").pop().expect("asked");
    assert!(uri.contains("destination=5") && uri.contains("reason=server_error"), "{uri}");
}

#[tokio::test]
async fn what_is_redriven_is_counted_first_and_only_then_done() {
    let answer = json!({ "found": 3, "done": 3, "more": false });
    let (routes, taken) = taking(paths::DEAD_LETTERS_REDRIVE, StatusCode::OK, answer);
    let (named, _) = recording(paths::DESTINATIONS, page(&[destination("webhook", "enabled")]));
    let browser = admin(routes.merge(named));
    let (_, page) = browser.get("/admin/dead-letters/redrive?all=yes&destination=5").await;
    assert!(page.contains("3 dead letters would be sent again.") && page.contains("default/warehouse"), "{page}");
    assert_eq!(last(&taken), json!({ "ids": [], "matching": { "destination": 5 }, "preview": true }));
    let (_, page) = browser.post("/admin/dead-letters/redrive", &[("all", "yes"), ("destination", "5")]).await;
    assert!(page.contains("They are under way."), "{page}");
    assert_eq!(last(&taken), json!({ "ids": [], "matching": { "destination": 5 }, "preview": false }));
    let before = taken.lock().expect("no panic while held").len();
    let (_, page) = browser.get("/admin/dead-letters/redrive?domain=acme").await;
    assert!(page.contains("No dead letter was ticked"), "{page}");
    assert_eq!(taken.lock().expect("no panic while held").len(), before, "ticking none asks for none");
}

#[tokio::test]
async fn what_is_purged_is_named_first() {
    let answer = json!({ "found": 2, "done": 2, "more": false });
    let (routes, taken) = taking(paths::DEAD_LETTERS_PURGE, StatusCode::OK, answer);
    let (named, _) = recording(paths::DESTINATIONS, page(&[destination("webhook", "enabled")]));
    let browser = admin(routes.merge(named));
    let (_, page) = browser.get("/admin/dead-letters/purge?letter-1=yes&letter-2=yes").await;
    assert!(page.contains("2 dead letters would be removed") && page.contains("value=\"1,2\""), "{page}");
    let (parts, _) = browser.post("/admin/dead-letters/purge", &[("ids", "1,2"), ("confirm", "all")]).await;
    assert_eq!(parts.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(last(&taken)["preview"], true);
    let (_, page) = browser.post("/admin/dead-letters/purge", &[("ids", "1,2"), ("confirm", "dead letters")]).await;
    assert!(page.contains("They are gone for good."), "{page}");
    assert_eq!(last(&taken), json!({ "ids": [1, 2], "matching": {}, "preview": false }));
}
