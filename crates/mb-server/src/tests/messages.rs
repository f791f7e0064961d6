//! Messages as people see them.

use std::time::Duration;

use mb_api::dto::RegisterResult::{Duplicate, Stored};
use mb_core::{ClientName, Content, DomainName, Header, Role, Topic, UserRole};
use serde_json::json;

use super::asking::Asking;
use super::fixture::{Fixture, NOW, id};

const LIST: &str = "/portal/messages";

fn at(header: Header, n: u64) -> Header {
    Header { queued_at: NOW.minus(Duration::from_mins(n)), ..header }
}

/// Four messages: 1 and 2 of `demo`, 3 of `other` in domain `eu`, 4 a dead letter of `demo`.
async fn fill(fixture: &Fixture) {
    for (name, domain) in [("demo", "default"), ("other", "eu")] {
        let (name, domain) = (ClientName::parse(name).expect("a name"), DomainName::parse(domain).expect("a name"));
        fixture.store.ensure_client(&name, &domain, "test").await.expect("there");
    }
    let header = |n: u8| at(fixture.key.header(id(n)), n.into());
    let other = Header {
        client: ClientName::parse("other").expect("a name"),
        domain: DomainName::parse("eu").expect("a name"),
        topic: Topic::parse("alarm.fire").expect("a topic"),
        ..header(3)
    };
    let seal = |header: &Header, number, body, metadata| {
        let mut envelope = Vec::new();
        let content = Content { sender_number: number, body, metadata };
        fixture.key.sealing.seal(header, &content, &mut envelope).expect("seals");
        envelope
    };
    let envelopes = [
        seal(&header(1), Some("+4915112345678"), "first", Some(r#"{"n":1}"#)),
        seal(&header(2), Some("+491511234"), "second", None),
        seal(&other, None, "third", None),
    ];
    assert_eq!(fixture.register(&envelopes).await, [Stored, Stored, Stored]);
    let late = Header { queued_at: NOW.minus(Duration::from_hours(24 * 31)), ..header(4) };
    fixture.register(&[seal(&late, Some("+4915112345678"), "too old", None)]).await;
}

fn ids(numbers: &[u8]) -> Vec<serde_json::Value> {
    numbers.iter().map(|n| json!(id(*n).to_string())).collect()
}

#[tokio::test]
async fn an_admin_sees_all_a_user_its_clients_and_a_manager_none() {
    let fixture = Fixture::new().await;
    fill(&fixture).await;
    let admin = fixture.certificate(Role::Admin).await;
    assert_eq!(admin.get(LIST).await.each("message_id"), ids(&[1, 2, 3, 4]));
    let other = fixture.signed_in(UserRole::User, Some("other")).await;
    assert_eq!(other.get(LIST).await.each("id"), ids(&[3]));
    let bare = fixture.signed_in(UserRole::User, None).await;
    let manager = fixture.signed_in(UserRole::UserManager, Some("demo")).await;
    for who in [&bare, &manager] {
        assert_eq!(who.get(LIST).await.code(), "forbidden");
        let one = format!("{LIST}/{}", id(1));
        assert_eq!(who.get(&one).await.code(), "forbidden");
    }
    // By filters nothing of others is reached, and by an id it is as if it were not there.
    for filter in ["client_id=demo", "client_id=other", "domain=eu"] {
        assert_eq!(other.get(&format!("{LIST}?{filter}")).await.code(), "forbidden", "{filter}");
    }
    for (n, status) in [(1, 404), (4, 404), (3, 200)] {
        assert_eq!(other.get(&format!("{LIST}/{}", id(n))).await.status, status, "{n}");
    }
    assert_eq!(other.get(&format!("{LIST}/no-id")).await.status, 404);
}

#[tokio::test]
async fn every_filter_is_exact_and_all_hold_at_once() {
    let fixture = Fixture::new().await;
    fill(&fixture).await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let minute = |n: u64| NOW.minus(Duration::from_mins(n)).to_string();
    let (from, to) = (minute(2), minute(1));
    let cases: [(String, &[u8]); 13] = [
        ("status=delivered".into(), &[1, 2, 3]),
        ("status=failed".into(), &[4]),
        ("status=expired".into(), &[]),
        ("topic=alarm.fire".into(), &[3]),
        ("client_id=other".into(), &[3]),
        ("domain=default".into(), &[1, 2, 4]),
        ("sender=%2B4915112345678".into(), &[1]),
        ("sender=%2B491511234567".into(), &[]),
        (format!("from={from}"), &[1, 2]),
        (format!("from={from}&to={to}"), &[2]),
        (format!("q={}", &id(2).to_string()[..]), &[2]),
        (format!("q={}", &id(2).to_string()[..8]), &[1, 2, 3, 4]),
        ("domain=default&topic=alarm.fire".into(), &[]),
    ];
    for (filter, expected) in cases {
        let answer = admin.get(&format!("{LIST}?{filter}")).await;
        assert_eq!(answer.each("id"), ids(expected), "{filter}");
    }
    for (bad, pointer) in
        [("status=lost", "/status"), ("sender=%2B49*", "/sender"), ("limit=251", "/limit"), ("cursor=x", "/cursor")]
    {
        let answer = admin.get(&format!("{LIST}?{bad}")).await;
        assert_eq!((answer.code(), &answer.body["errors"][0]["pointer"]), ("validation_failed", &json!(pointer)));
    }
    let walked = admin.pages(&format!("{LIST}?limit=1"), "id").await;
    assert_eq!(walked, ids(&[1, 2, 3, 4]));
}

#[tokio::test]
async fn a_list_masks_numbers_and_shows_dead_letters_as_failed() {
    let fixture = Fixture::new().await;
    fill(&fixture).await;
    let admin = fixture.certificate(Role::Admin).await;
    let page = admin.get(LIST).await;
    let masked = page.each("sender_number_masked");
    assert_eq!(masked, [json!("+491****5678"), json!("+491****1234"), json!(null), json!("+491****5678")]);
    assert_eq!(page.each("status"), ["delivered", "delivered", "delivered", "failed"].map(|state| json!(state)));
    assert_eq!(page.body["data"][3]["last_error"], "stale");
    assert!(!page.body.to_string().contains("15112345678"));
}

#[tokio::test]
async fn opening_is_recorded_and_looking_is_not() {
    let fixture = Fixture::new().await;
    fill(&fixture).await;
    let user = fixture.signed_in(UserRole::User, Some("demo")).await;
    let one = format!("{LIST}/{}", id(1));
    let opened = async || {
        let log = fixture.store.audit_log(None, 100).await.expect("reads");
        log.into_iter().filter(|row| row.action == "message.open").collect::<Vec<_>>()
    };
    let closed = user.get(&format!("{one}?body=false")).await;
    assert_eq!(closed.body["sender_number_masked"], "+491****5678");
    for member in ["message_body", "sender_number", "metadata"] {
        assert_eq!(closed.body.get(member), None, "{member}");
    }
    assert!(opened().await.is_empty());
    let open = user.get(&one).await;
    assert_eq!(open.body["message_body"], "first");
    assert_eq!(open.body["sender_number"], "+4915112345678");
    assert_eq!(open.body["metadata"], json!({ "n": 1 }));
    assert_eq!(open.body["attempts"], json!([]));
    let log = opened().await;
    assert_eq!((log.len(), log[0].actor.as_str(), &log[0].object), (1, "user-demo@example.org", &id(1).to_string()));
    assert!(!log[0].detail.contains("first") && !log[0].detail.contains("4915112345678"));
    let dead = user.get(&format!("{LIST}/{}", id(4))).await;
    assert_eq!((&dead.body["status"], &dead.body["message_body"]), (&json!("failed"), &json!("too old")));
}

#[tokio::test]
async fn without_a_record_nothing_is_opened() {
    let fixture = Fixture::new().await;
    fill(&fixture).await;
    let admin = fixture.certificate(Role::Admin).await;
    fixture.store.close().await;
    let answer = admin.get(&format!("{LIST}/{}", id(1))).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body.get("message_body"), None);
}

#[tokio::test]
async fn a_message_whose_key_is_gone_says_so_and_hinders_no_other() {
    let fixture = Fixture::new().await;
    fill(&fixture).await;
    let other = fixture.new_key(&fixture.proxy);
    let mut header = fixture.key.header(id(5));
    header.key_id = other.sealing.key_id();
    assert_eq!(fixture.register_with(&[&other.record], &[other.seal(&header, "fifth")]).await, [Stored]);
    assert_eq!(fixture.register_with(&[&other.record], &[other.seal(&header, "fifth")]).await, [Duplicate]);
    fixture
        .execute("DELETE FROM data_keys WHERE key_id = (SELECT key_id FROM messages ORDER BY seq DESC LIMIT 1)")
        .await;
    fixture.server.app.keys.forget_all();
    let admin = fixture.certificate(Role::Admin).await;
    let page = admin.get(LIST).await;
    assert_eq!(page.each("id"), ids(&[5, 1, 2, 3, 4]));
    assert_eq!(page.body["data"][0]["sender_number_masked"], json!(null));
    let one = format!("{LIST}/{}", id(5));
    let answer = admin.get(&one).await;
    assert_eq!((answer.status, answer.code()), (409, "conflict"));
    assert_eq!(admin.get(&format!("{one}?body=false")).await.status, 200);
}

#[tokio::test]
async fn a_scheduled_message_is_queued_until_its_time() {
    let fixture = Fixture::new().await;
    let mut header = fixture.key.header(id(1));
    header.deliver_at = Some(NOW.plus(Duration::from_hours(1)));
    assert_eq!(fixture.register(&[fixture.key.seal(&header, "later")]).await, [Stored]);
    let admin = fixture.certificate(Role::Admin).await;
    let count =
        async |who: &Asking<'_>, state: &str| who.get(&format!("{LIST}?status={state}")).await.each("status").len();
    assert_eq!((count(&admin, "queued").await, count(&admin, "delivered").await), (1, 0));
    fixture.register(&[fixture.key.seal(&fixture.key.header(id(2)), "now")]).await;
    let page = admin.get(&format!("{LIST}?status=queued&limit=1")).await;
    assert_eq!(page.each("id"), ids(&[1]), "what was delivered takes no place of the page");
    assert_eq!(count(&admin, "delivered").await, 1);
    fixture.clock.set(NOW.plus(Duration::from_hours(2)));
    assert_eq!((count(&admin, "queued").await, count(&admin, "delivered").await), (0, 2));
}

#[tokio::test]
async fn a_stream_begins_with_the_newest_of_what_its_watcher_sees() {
    let fixture = Fixture::new().await;
    fill(&fixture).await;
    let other = fixture.signed_in(UserRole::User, Some("other")).await;
    let (status, headers, text) = other.text("/portal/messages/stream?topic=alarm.fire").await;
    assert_eq!((status, headers["content-type"].as_bytes()), (200, &b"text/event-stream"[..]));
    let data = text.strip_prefix("event: page\ndata: ").expect("a page").trim_end();
    let page: serde_json::Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(page["data"].as_array().expect("rows").len(), 1);
    assert_eq!(page["data"][0]["id"], json!(id(3).to_string()));
    assert_eq!(other.get("/portal/messages/stream?client_id=demo").await.code(), "forbidden");
    assert_eq!(other.get("/portal/messages/stream?cursor=x").await.status, 400);
}

#[tokio::test]
async fn an_export_holds_all_that_match_and_is_recorded() {
    let fixture = Fixture::new().await;
    fill(&fixture).await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let (status, headers, text) = admin.text("/admin/messages/export?client_id=demo").await;
    assert_eq!((status, headers["content-type"].as_bytes()), (200, &b"application/x-ndjson"[..]));
    let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.iter().map(|row| row["id"].clone()).collect::<Vec<_>>(), ids(&[1, 2, 4]));
    assert!(!text.contains("15112345678") && text.contains("+491****5678"), "{text}");
    let log = admin.get("/admin/audit?action=messages.export").await;
    assert_eq!(log.body["data"][0]["detail"]["client"], "demo", "{log:?}");
    assert_eq!(admin.get("/admin/messages/export?limit=5").await.status, 400);
}

#[tokio::test]
async fn an_export_of_what_is_no_query_is_refused_and_not_recorded() {
    let fixture = Fixture::new().await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    for query in ["sender=null", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"] {
        let listed = admin.get(&format!("/portal/messages?{query}")).await;
        let export = admin.get(&format!("/admin/messages/export?{query}")).await;
        assert_eq!((export.status, export.code()), (422, listed.code()), "{query}");
    }
    assert!(admin.get("/admin/audit?action=messages.export").await.each("id").is_empty());
}

#[tokio::test]
async fn nobody_sends_without_the_right_to() {
    let fixture = Fixture::new().await;
    fixture.issue("demo", Role::Client).await;
    let body = json!({ "sender_number": "+4915112345678", "message_body": "no" });
    let user = fixture.signed_in(UserRole::User, Some("demo")).await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let certificate = fixture.certificate(Role::Admin).await;
    for who in [&user, &admin, &certificate] {
        assert_eq!(who.post("/portal/messages", body.clone()).await.problem(), (403, "forbidden"));
    }
    assert!(admin.get("/admin/audit?action=message.send").await.each("id").is_empty());
}
