//! Queue and workers, the database, backups, retention.

use std::sync::{Arc, Mutex};

use axum::extract::Query;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, LOCATION};
use mb_api::paths;
use serde_json::{Value, json};

use super::fixture::{Browser, NOW, knows, recording};

fn admin(server: Router) -> Browser {
    let browser = Browser::with(knows("admin").merge(server));
    browser.set_cookie("__Host-session", "good");
    browser
}

fn worker(id: &str, state: &str) -> Value {
    json!({
        "id": id, "name": "worker", "version": "1.0.0", "state": state, "seen_at": NOW, "started_at": NOW, "claimed": 3,
        "held": 2, "in_flight": 1, "registered_per_minute": 1234, "attempts_per_minute": 5, "failing_seconds": 0,
        "queue_failing_seconds": if state == "failing" { 90 } else { 0 },
    })
}

#[tokio::test]
async fn what_waits_is_shown_with_who_carries_it() {
    let lane = |waiting: u64| json!({ "waiting": waiting, "leased": 1, "due_at": NOW.minus(std::time::Duration::from_secs(61)) });
    let queue = json!({
        "waiting": 5000, "oldest_at": NOW.minus(std::time::Duration::from_secs(125)), "proxies": [], "dead_letters": 7,
        "set_aside": { "damaged": 0, "stale": 2, "refused": 0 },
        "queue": { "backend": "redis", "depth": 42, "failing_seconds": 0, "reported_by": "w", "reported_at": NOW,
                   "pending": [{ "consumer": "w-1", "units": 3 }] },
        "destinations": [{ "id": 5, "domain": "default", "name": "warehouse", "kind": "webhook", "state": "enabled",
                           "fresh": lane(1000), "tried": lane(3) }],
    });
    let (queue, _) = recording(paths::QUEUE, queue);
    let workers = json!({ "data": [worker("w-1", "healthy"), worker("w-2", "failing")], "next": null });
    let (workers, _) = recording(paths::WORKERS_STATUS, workers);
    let (_, page) = admin(queue.merge(workers)).get("/admin/queue").await;
    for text in [
        "5\u{202f}000",
        "2 min 5 s",
        "42 <small>Redis",
        "2 stale",
        "1\u{202f}000+",
        "1 min 1 s",
        "no queue for 1 min 30 s",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
}

#[tokio::test]
async fn migrations_that_wait_are_not_called_current() {
    let report = json!({
        "backend": "mariadb", "version": "10.11", "bytes": 3_221_225_472_u64, "wal_bytes": null, "free_bytes": null,
        "tables": [{ "name": "small", "rows": 1, "bytes": null }, { "name": "large", "rows": 9, "bytes": 2048 }],
        "migrations": [{ "version": 1, "description": "flow", "is_applied": true },
                       { "version": 2, "description": "people", "is_applied": false }],
        "pools": [{ "name": "general", "in_use": 5, "idle": 1, "max": 10 }],
    });
    let (routes, _) = recording(paths::DATABASE, report);
    let (_, page) = admin(routes).get("/admin/database").await;
    assert!(page.contains("1 migrations wait") && page.contains("3.0 GiB") && page.contains("MariaDB"), "{page}");
    assert!(page.find("large") < page.find("small") && page.contains("aria-label=\"50 %\""), "{page}");
}

fn job(state: &str) -> Value {
    json!({
        "id": "06".repeat(16), "kind": "create", "state": state, "started_at": NOW, "ended_at": null, "step": "database",
        "bytes": 2048, "backup": null, "verified": null, "error": (state == "failed").then_some("the disk is full"),
    })
}

#[tokio::test]
async fn a_backup_that_is_being_made_shows_how_far_it_is_with_scripts_or_without() {
    let begins = Router::new().route(
        paths::BACKUPS,
        get(async || Json(json!({ "dir": "/b", "data": [] })))
            .post(async || (StatusCode::ACCEPTED, Json(job("running")))),
    );
    let browser = admin(begins.route(paths::BACKUPS_JOB, get(async || Json(job("running")))));
    let (_, page) = browser.get("/admin/backups").await;
    assert!(page.contains("There is no backup yet."), "{page}");
    let (parts, _) = browser.post("/admin/backups", &[]).await;
    let place = parts.headers[LOCATION].to_str().expect("text").to_owned();
    assert_eq!(
        (parts.status, place.as_str()),
        (StatusCode::SEE_OTHER, &*format!("/admin/backups/jobs/{}", "06".repeat(16)))
    );
    let (_, page) = browser.get(&place).await;
    assert!(page.contains("Backing up") && page.contains("2.0 KiB") && page.contains("Look again"), "{page}");
    assert!(page.contains("hx-trigger=\"every 2s\""), "{page}");
    let (_, page) = admin(Router::new().route(paths::BACKUPS_JOB, get(async || Json(job("failed"))))).get(&place).await;
    assert!(page.contains("the disk is full") && !page.contains("hx-get"), "{page}");
}

#[tokio::test]
async fn a_backups_file_is_passed_on_whole_whatever_its_size() {
    let piece = usize::try_from(mb_api::dto::BACKUP_PIECE).expect("it fits");
    let whole = vec![7_u8; piece + 11];
    let content = whole.clone();
    let serve = async move |Query(query): Query<Vec<(String, String)>>| {
        let offset =
            query.iter().find(|(name, _)| name == "offset").and_then(|(_, text)| text.parse().ok()).unwrap_or(0);
        content[offset..content.len().min(offset + piece)].to_vec()
    };
    let browser = admin(Router::new().route(paths::BACKUPS_FILE, get(serve)));
    let (parts, body) = browser.get("/admin/backups/backup_20261125_020000/database.age").await;
    assert_eq!(body.len(), whole.len());
    let saved = parts.headers[CONTENT_DISPOSITION].to_str().expect("text");
    assert!(saved.contains("backup_20261125_020000-database.age"), "{saved}");
    for path in ["/admin/backups/backup_20261125_020000/passwd", "/admin/backups/..%2F..%2Fetc/manifest.json"] {
        assert_eq!(browser.get(path).await.0.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn what_was_kept_long_enough_is_counted_then_named_then_removed() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let handler = async move |Json(body): Json<Value>| {
        log.lock().expect("no panic while held").push(body);
        Json(json!({ "bodies": 1, "messages": 2000, "dead_letters": 0, "audit_rows": 0, "next": null }))
    };
    let terms = json!({ "settings": { "body_days": 30, "metadata_days": 90, "audit_days": 365 }, "domains": [] });
    let routes = Router::new()
        .route(paths::RETENTION_RUN, post(handler))
        .route(paths::RETENTION, get(async move || Json(terms)));
    let browser = admin(routes);
    let (_, page) = browser.get("/admin/retention").await;
    assert!(page.contains("value=\"365\"") && page.contains("Count what would go"), "{page}");
    let (_, page) = browser.post("/admin/retention/run", &[]).await;
    assert!(page.contains("Remove it now?") && page.contains("2\u{202f}000"), "{page}");
    let sure = [("sure", "yes"), ("messages", "2000"), ("bodies", "1")];
    let (parts, page) = browser.post("/admin/retention/run", &[&sure[..], &[("confirm", "yes")]].concat()).await;
    assert_eq!(parts.status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
    let (_, page) = browser.post("/admin/retention/run", &[&sure[..], &[("confirm", "retention")]].concat()).await;
    assert!(page.contains("It is gone for good.") && page.contains("2\u{202f}000"), "{page}");
    let dry = asked.lock().expect("no panic while held").iter().map(|body| body["dry_run"] == true).collect::<Vec<_>>();
    assert_eq!(dry, [true, false]);
    let (parts, page) =
        browser.post("/admin/retention", &[("body_days", "x"), ("metadata_days", "90"), ("audit_days", "365")]).await;
    assert!(parts.status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("id=\"body_days-error\""), "{page}");
}
