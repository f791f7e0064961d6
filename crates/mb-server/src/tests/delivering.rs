//! Destinations and deliveries as admins, workers and proxies meet them.

use std::collections::BTreeMap;
use std::time::Duration;

use mb_api::client::Client;
use mb_api::dto::KnownForGood;
use mb_api::dto::RegisterResult::{Duplicate, Stored};
use mb_api::dto::delivery::{AttemptReport, Exchange, HeldDelivery, LeaseRequest, LeasedDeliveries, ReportRequest};
use mb_core::{AttemptClass, AttemptId, DomainName, MessageState, NoticeKind, Role};
use mb_store::NoticeFilter;
use serde_json::{Value, json};

use super::asking::Asking;
use super::fixture::{Fixture, NOW, id};

const DESTINATIONS: &str = "/admin/destinations";

pub(super) fn of(number: &Value, what: &str) -> String {
    format!("{DESTINATIONS}/{number}{what}")
}

pub(super) async fn with_domain() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.store.ensure_domain(&DomainName::default(), "test").await.expect("is there");
    fixture
}

/// A webhook that takes everything; its number and its secret.
pub(super) async fn webhook(admin: &Asking<'_>, name: &str) -> (Value, String) {
    let body = json!({ "name": name, "kind": "webhook", "settings": { "url": "https://hooks.example/" } });
    let created = admin.post(DESTINATIONS, body).await.ok(201);
    (created["id"].clone(), created["secret"].as_str().expect("a secret").to_owned())
}

pub(super) async fn lease(worker: &Client) -> LeasedDeliveries {
    let ask = LeaseRequest { worker: "w".into(), limit: 100, except: Vec::new(), wait_seconds: 0, knows: u64::MAX };
    worker.lease_deliveries(&ask).await.expect("leases")
}

/// Reports one attempt for each delivery that was leased.
pub(super) async fn report(worker: &Client, leased: &LeasedDeliveries, class: AttemptClass, round: u8) {
    let attempts = (0_u8..).zip(&leased.deliveries).map(|(n, delivery)| {
        let status = matches!(class, AttemptClass::ServerError).then_some(503);
        let (retry_after, detail, answer) = (None, None, Some("c29ycnk=".to_owned()));
        let exchange = Exchange { at: NOW, duration_us: 3000, class, status, retry_after, detail, answer };
        let (message_id, destination, lease) = (delivery.message_id, delivery.destination, delivery.lease);
        let mut id = [round; 16];
        id[0] = n;
        AttemptReport { id: AttemptId::from_bytes(id), of: HeldDelivery { message_id, destination, lease }, exchange }
    });
    let attempts = attempts.collect();
    let report = ReportRequest { worker: "w".into(), attempts, ..ReportRequest::default() };
    worker.report_deliveries(&report).await.expect("is heard");
}

/// What the API says of the first delivery of a message.
async fn explained(admin: &Asking<'_>, n: u8) -> Value {
    admin.get(&format!("/portal/messages/{}?body=false", id(n))).await.ok(200)["deliveries"][0].clone()
}

#[tokio::test]
async fn a_destination_is_made_changed_and_deleted() {
    let fixture = with_domain().await;
    let admin = fixture.certificate(Role::Admin).await;
    let (number, secret) = webhook(&admin, "hook").await;
    assert!(secret.starts_with("whsec_"));
    let taken = json!({ "name": "hook", "kind": "pull" });
    assert_eq!(admin.post(DESTINATIONS, taken).await.problem(), (409, "conflict"));
    let set = json!({ "topics": ["a.*", "b.**"], "clients": ["demo"], "retry": "fixed:30s*10000", "rate": 10 });
    let row = admin.put(&of(&number, ""), set).await.ok(200);
    assert_eq!((&row["topics"], &row["retry"]), (&json!(["a.*", "b.**"]), &json!("fixed:30s*10000")));
    assert_eq!(
        (&row["url"], &row["concurrency"], &row["rate"]),
        (&json!("https://hooks.example/"), &json!(8), &json!(10))
    );
    for state in ["paused", "disabled", "enabled"] {
        let row = admin.put(&of(&number, "/state"), json!({ "state": state })).await.ok(200);
        assert_eq!(row["state"], state);
    }
    let shown = admin.get(&of(&number, "")).await;
    assert!(!shown.body.to_string().contains("whsec_"), "the secret was shown once");
    assert_eq!(admin.get(DESTINATIONS).await.each("name"), [json!("hook")]);
    assert_eq!(admin.delete(&of(&number, "")).await.status, 204);
    for gone in [admin.get(&of(&number, "")).await, admin.delete(&of(&number, "")).await] {
        assert_eq!(gone.problem(), (404, "not_found"));
    }
    webhook(&admin, "hook").await;
}

#[tokio::test]
async fn settings_that_break_a_rule_are_refused_and_named() {
    let fixture = with_domain().await;
    let admin = fixture.certificate(Role::Admin).await;
    let url = |url: &str| json!({ "url": url });
    let ok = "https://h/";
    for (settings, member) in [
        (json!({}), "/settings/url"),
        (url("ftp://h/"), "/settings/url"),
        (url("https://user:pass@h/"), "/settings/url"),
        (url("https://h/#part"), "/settings/url"),
        (url("https://h:99999/"), "/settings/url"),
        (url("https://h:0/"), "/settings/url"),
        (url(&format!("https://h/{}", "a".repeat(2000))), "/settings/url"),
        (json!({ "url": ok, "concurrency": 0 }), "/settings/concurrency"),
        (json!({ "url": ok, "concurrency": 257 }), "/settings/concurrency"),
        (json!({ "url": ok, "rate": 1_000_001 }), "/settings/rate"),
        (json!({ "url": ok, "ca": "no certificate" }), "/settings/ca"),
        (json!({ "url": ok, "client_certificate": "none" }), "/settings/client_certificate"),
        (json!({ "url": ok, "client_key": "of nothing" }), "/settings/client_key"),
        (json!({ "url": ok, "topics": vec!["a"; 101] }), "/settings/topics"),
    ] {
        let answer = admin.post(DESTINATIONS, json!({ "name": "hook", "kind": "webhook", "settings": settings })).await;
        assert_eq!(answer.problem(), (422, "validation_failed"), "{settings}");
        assert_eq!(answer.body["errors"][0]["pointer"], member, "{settings}");
    }
    for (name, kind, settings) in [
        ("Hook", "webhook", url(ok)),
        ("nul", "webhook", url(ok)),
        ("hook", "carrier-pigeon", url(ok)),
        ("hook", "webhook", json!({ "url": ok, "topics": ["a..b"] })),
        ("hook", "webhook", json!({ "url": ok, "retry": "fixed:0s*3" })),
        ("hook", "webhook", json!({ "url": ok, "retry": "1s," })),
        ("hook", "webhook", json!({ "url": ok, "surprise": 1 })),
        ("hook", "pull", url(ok)),
    ] {
        let answer = admin.post(DESTINATIONS, json!({ "name": name, "kind": kind, "settings": settings })).await;
        assert!(matches!(answer.status, 400 | 422), "{name} {kind} {settings}: {answer:?}");
    }
    let stranger = json!({ "name": "hook", "domain": "nowhere", "kind": "pull" });
    assert_eq!(admin.post(DESTINATIONS, stranger).await.problem(), (409, "conflict"));
    assert_eq!(admin.get(DESTINATIONS).await.each("name"), Vec::<Value>::new());
}

#[tokio::test]
async fn a_secret_overlaps_with_the_next_one_for_a_day() {
    let fixture = with_domain().await;
    let admin = fixture.certificate(Role::Admin).await;
    let worker = fixture.client(Role::Worker).await;
    let (number, first) = webhook(&admin, "hook").await;
    let second = admin.post(&of(&number, "/rotate-secret"), Value::Null).await.ok(200);
    let second = second["secret"].as_str().expect("a secret").to_owned();
    let secrets = async |n: u8| {
        fixture.register(&[fixture.key.message(n)]).await;
        let leased = lease(&worker).await;
        let of = |target: &mb_api::dto::delivery::Target| {
            target.secrets.iter().map(|secret| secret.secret().expose().clone()).collect::<Vec<_>>()
        };
        (of(&leased.targets[0]), leased.targets[0].version)
    };
    let (both, version) = secrets(1).await;
    assert_eq!(both, [second.clone(), first]);
    fixture.clock.set(NOW.plus(Duration::from_hours(24).saturating_sub(Duration::from_secs(1))));
    assert_eq!(secrets(2).await, (both, version));
    fixture.clock.set(NOW.plus(Duration::from_hours(24)));
    let (last, later) = secrets(3).await;
    assert_eq!(last, std::slice::from_ref(&second));
    assert!(later > version, "so that workers take it up");
    // Two within a day: both before are good; a third would end one of them.
    let mut all = vec![second];
    for _ in 0..2 {
        let next = admin.post(&of(&number, "/rotate-secret"), Value::Null).await.ok(200);
        all.insert(0, next["secret"].as_str().expect("a secret").to_owned());
    }
    let (three, last) = secrets(4).await;
    assert_eq!(three, all);
    assert!(last > later);
    assert_eq!(admin.post(&of(&number, "/rotate-secret"), Value::Null).await.problem(), (409, "conflict"));
}

#[tokio::test]
async fn a_message_says_why_it_is_where_it_is() {
    let fixture = with_domain().await;
    let admin = fixture.certificate(Role::Admin).await;
    let worker = fixture.client(Role::Worker).await;
    let (number, _) = webhook(&admin, "hook").await;
    assert_eq!(fixture.register(&[fixture.key.message(1)]).await, [Stored]);
    let row = explained(&admin, 1).await;
    assert_eq!((&row["name"], &row["explanation"]), (&json!("hook"), &json!("it waits for its turn")));
    let leased = lease(&worker).await;
    let row = explained(&admin, 1).await;
    assert_eq!((&row["lease_holder"], &row["explanation"]), (&json!("w"), &json!("somebody works on it")));
    assert_eq!(row["leased_until"], json!(NOW.plus(Duration::from_mins(1))));
    report(&worker, &leased, AttemptClass::ServerError, 1).await;
    let row = explained(&admin, 1).await;
    assert_eq!(row["explanation"], "it waits for its next attempt");
    assert_eq!((&row["breaker"], &row["last_error"]), (&json!("closed"), &json!("server_error 503")));
    assert!(row["next_attempt_at"].as_str() > Some(NOW.to_string().as_str()), "{row}");
    for round in 2..=10 {
        fixture.register(&[fixture.key.message(round)]).await;
        let leased = lease(&worker).await;
        report(&worker, &leased, AttemptClass::Timeout, round).await;
    }
    let row = explained(&admin, 1).await;
    assert_eq!(row["breaker"], "open");
    assert_eq!(row["explanation"], "the destination's circuit breaker is open after failures");
    assert_eq!(row["next_attempt_at"], json!(NOW.plus(Duration::from_secs(30))), "not before it lets anything pass");
    for (state, words) in [
        ("paused", "the destination is paused"),
        ("disabled", "the destination is disabled: it is about to be given up"),
    ] {
        admin.put(&of(&number, "/state"), json!({ "state": state })).await.ok(200);
        let row = explained(&admin, 1).await;
        assert_eq!((&row["explanation"], &row["next_attempt_at"]), (&json!(words), &Value::Null));
    }
    let shown = admin.get(&format!("/portal/messages/{}", id(1))).await.ok(200);
    let attempt = &shown["attempts"][0];
    assert_eq!((&attempt["class"], &attempt["status"]), (&json!("server_error"), &json!(503)));
    assert_eq!((&attempt["duration_ms"], &attempt["answer"]), (&json!(3), &json!("sorry")));
    let kept = fixture.execute_text("SELECT answer FROM attempts WHERE answer IS NOT NULL").await;
    assert!(kept.iter().all(|sealed| !sealed.windows(5).any(|window| window == b"sorry")), "it is kept sealed");
    let unopened = admin.get(&format!("/portal/messages/{}?body=false", id(1))).await.ok(200);
    assert_eq!(unopened["attempts"][0]["answer"], Value::Null, "an answer is as private as the message");
}

#[tokio::test]
async fn a_destination_that_failed_for_five_days_is_disabled_with_a_notice() {
    let fixture = with_domain().await;
    let admin = fixture.certificate(Role::Admin).await;
    let worker = fixture.client(Role::Worker).await;
    let (number, _) = webhook(&admin, "hook").await;
    let fail = async |n: u8| {
        fixture.register(&[fixture.key.message(n)]).await;
        report(&worker, &lease(&worker).await, AttemptClass::ClientError, n).await;
        admin.get(&of(&number, "")).await.ok(200)
    };
    assert_eq!(fail(1).await["state"], "enabled");
    fixture.clock.set(NOW.plus(Duration::from_hours(120)));
    let row = fail(2).await;
    assert_eq!((&row["state"], &row["state_reason"]), (&json!("disabled"), &json!("failing")));
    let open = fixture.store.notice_page(NoticeFilter::Open, None, 9).await.expect("reads");
    let found = open.iter().map(|notice| (notice.kind, notice.key.as_str()));
    assert_eq!(found.collect::<Vec<_>>(), [(NoticeKind::DestinationDisabled, "default/hook")]);
    // What comes for it now is given up at once, and says so.
    fixture.register(&[fixture.key.message(3)]).await;
    let row = admin.get(&format!("/portal/messages/{}?body=false", id(3))).await.ok(200);
    assert_eq!((&row["status"], &row["last_error"]), (&json!("failed"), &json!("destination_disabled")));
    assert!(row["failed_at"].is_string(), "{row}");
}

#[tokio::test]
async fn dead_letters_are_previewed_redriven_and_purged_by_filter() {
    let fixture = with_domain().await;
    let admin = fixture.certificate(Role::Admin).await;
    let worker = fixture.client(Role::Worker).await;
    let (number, _) = webhook(&admin, "hook").await;
    fixture.register(&[fixture.key.message(1), fixture.key.message(2)]).await;
    report(&worker, &lease(&worker).await, AttemptClass::Gone, 1).await;
    let list = async || admin.get(&format!("/admin/dead-letters?destination={number}")).await;
    let letters = list().await;
    assert_eq!((letters.each("reason"), letters.each("last_error")), (vec![json!("gone"); 2], vec![json!("gone"); 2]));
    admin.put(&of(&number, "/state"), json!({ "state": "enabled" })).await.ok(200);
    let ask = |preview: bool| json!({ "matching": { "destination": number, "reason": "gone" }, "preview": preview });
    let redrive = async |preview| admin.post("/admin/dead-letters/redrive", ask(preview)).await.ok(200);
    assert_eq!(redrive(true).await, json!({ "found": 2, "done": 0, "expired": 0, "more": false }));
    assert_eq!(list().await.each("id").len(), 2, "a preview changes nothing");
    assert_eq!(redrive(false).await, json!({ "found": 2, "done": 2, "expired": 0, "more": false }));
    let again = lease(&worker).await;
    assert_eq!((again.deliveries.len(), list().await.each("id").len()), (2, 0));
    report(&worker, &again, AttemptClass::Gone, 2).await;
    let purged = admin.post("/admin/dead-letters/purge", ask(false)).await.ok(200);
    assert_eq!(purged, json!({ "found": 2, "done": 2, "expired": 0, "more": false }));
    assert_eq!(fixture.store.open_dead_letters().await.expect("counts"), 0);
}

#[tokio::test]
async fn a_new_destination_gets_what_came_before_after_a_dry_run() {
    let fixture = with_domain().await;
    let admin = fixture.certificate(Role::Admin).await;
    let worker = fixture.client(Role::Worker).await;
    fixture.register(&[fixture.key.message(1), fixture.key.message(2)]).await;
    let (number, _) = webhook(&admin, "late").await;
    let replay = async |body: Value| admin.post(&of(&number, "/replay"), body).await;
    let since = NOW.minus(Duration::from_mins(1));
    let dry =
        replay(json!({ "since": since, "until": NOW.plus(Duration::from_mins(1)), "dry_run": true })).await.ok(200);
    assert_eq!(dry, json!({ "sent": 2, "next": null }));
    assert!(lease(&worker).await.is_empty());
    let other = json!({ "since": since, "until": NOW.plus(Duration::from_mins(1)), "topics": "other" });
    assert_eq!(replay(other).await.ok(200)["sent"], 0);
    let sent = replay(json!({ "since": since, "until": NOW.plus(Duration::from_mins(1)) })).await.ok(200);
    assert_eq!((&sent["sent"], lease(&worker).await.deliveries.len()), (&json!(2), 2));
    assert_eq!(replay(json!({ "since": "yesterday" })).await.status, 422);
}

#[tokio::test]
async fn an_expunged_message_stays_out_of_a_store_that_has_forgotten_it() {
    let fixture = with_domain().await;
    let admin = fixture.certificate(Role::Admin).await;
    let envelopes = [fixture.key.message(1), fixture.key.message(2)];
    assert_eq!(fixture.register(&envelopes).await, [Stored, Stored]);
    let expunge = async |n: u8| admin.post(&format!("/admin/messages/{}/expunge", id(n)), Value::Null).await;
    assert_eq!(expunge(1).await.status, 204);
    assert_eq!(expunge(9).await.problem(), (404, "not_found"));
    let policy = fixture.server.app.policy.current();
    assert_eq!(policy.expunged.keys().copied().collect::<Vec<_>>(), [id(1)], "every proxy is told");
    assert_eq!(fixture.register(&envelopes).await, [Duplicate, Duplicate]);
    fixture.execute("DELETE FROM messages").await;
    assert_eq!(fixture.register(&envelopes).await, [Duplicate, Stored]);
    // A backup from before it was expunged is put back; a proxy remembers.
    fixture.execute("DELETE FROM messages; DELETE FROM tombstones").await;
    fixture.store.new_epoch("restore").await.expect("mints");
    assert_eq!(fixture.register(&envelopes).await, [Stored, Stored]);
    let proxy = fixture.client(Role::Proxy).await;
    let known = KnownForGood { expunged: BTreeMap::from([(id(1), NOW)]), ..KnownForGood::default() };
    proxy.merge_back(&known).await.expect("is heard");
    let row = fixture.store.message(id(1)).await.expect("reads").expect("is there");
    assert_eq!((row.sealed.len(), row.status), (0, MessageState::Delivered));
    assert!(fixture.server.app.policy.current().expunged.contains_key(&id(1)));
    fixture.execute("DELETE FROM messages").await;
    assert_eq!(fixture.register(&envelopes).await, [Duplicate, Stored]);
}
