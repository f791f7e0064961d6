//! What an admin sees of workers, of the queue and of the database; and what a second main server of the same store does.

use std::sync::Arc;
use std::time::Duration;

use mb_api::client::Client;
use mb_api::dto::PolicyQuery;
use mb_api::dto::delivery::{Exchange, LeaseRequest, LeasedDeliveries, ProbeReport, ReportRequest};
use mb_api::dto::worker::{PendingUnits, QueueFigures, QueueKind, WorkerStatus};
use mb_core::{AttemptClass, DomainName, JournalBacklog, JournalFaults, Role};
use serde_json::{Value, json};

use super::fixture::{Fixture, NOW, id};

const WORKERS: &str = "/admin/workers/status";

fn status() -> WorkerStatus {
    let pending = vec![PendingUnits { consumer: "worker-gone-1".into(), units: 3 }];
    WorkerStatus {
        version: "1.2.3".into(),
        started_at: NOW,
        is_leaving: false,
        claimed: 1,
        held: 20,
        in_flight: 8,
        registered_per_minute: 600,
        attempts_per_minute: 480,
        failing_seconds: 0,
        queue: QueueFigures { backend: QueueKind::Redis, depth: 5, failing_seconds: 0, pending },
    }
}

async fn beat(worker: &Client, name: &str, status: WorkerStatus) {
    let report = ReportRequest { worker: name.into(), status: Some(status), ..ReportRequest::default() };
    worker.report_deliveries(&report).await.expect("is heard");
}

async fn lease(worker: &Client) -> LeasedDeliveries {
    let ask = LeaseRequest { worker: "w".into(), limit: 100, except: Vec::new(), knows: u64::MAX, wait_seconds: 1 };
    worker.lease_deliveries(&ask).await.expect("leases")
}

#[tokio::test]
async fn a_worker_is_seen_until_it_leaves_and_missed_when_it_is_away() {
    let fixture = Fixture::new().await;
    let (admin, worker) = (fixture.certificate(Role::Admin).await, fixture.client(Role::Worker).await);
    assert!(admin.get(WORKERS).await.each("id").is_empty());
    beat(&worker, "worker-a", status()).await;
    beat(&worker, "worker-b", WorkerStatus { failing_seconds: 7, ..status() }).await;
    let no_redis = QueueFigures { failing_seconds: 9, ..status().queue };
    beat(&worker, "worker-c", WorkerStatus { queue: no_redis, ..status() }).await;
    let rows = admin.get(WORKERS).await;
    assert_eq!(rows.each("id"), [json!("worker-a"), json!("worker-b"), json!("worker-c")]);
    assert_eq!(rows.each("state"), [json!("healthy"), json!("failing"), json!("failing")]);
    let first = &rows.body["data"][0];
    assert_eq!((&first["name"], &first["version"]), (&json!("a-worker"), &json!("1.2.3")));
    for (member, value) in [("claimed", 1), ("held", 20), ("in_flight", 8), ("registered_per_minute", 600)] {
        assert_eq!(first[member], json!(value), "{member}");
    }
    fixture.clock.set(NOW.plus(Duration::from_secs(61)));
    beat(&worker, "worker-b", status()).await;
    beat(&worker, "worker-c", WorkerStatus { is_leaving: true, ..status() }).await;
    let rows = admin.get(WORKERS).await;
    assert_eq!(rows.each("id"), [json!("worker-b"), json!("worker-a")]);
    assert_eq!(rows.each("state"), [json!("healthy"), json!("away")]);
    let long = ReportRequest { worker: "w".repeat(256), status: Some(status()), ..ReportRequest::default() };
    assert!(worker.report_deliveries(&long).await.is_err(), "no such name is kept");
    fixture.clock.set(NOW.plus(Duration::from_hours(25)));
    crate::jobs::sweep::run(&fixture.server.app).await.expect("sweeps");
    assert!(admin.get(WORKERS).await.each("id").is_empty());
}

#[tokio::test]
async fn the_queue_is_what_proxies_and_workers_say_and_what_waits_for_destinations() {
    let fixture = Fixture::new().await;
    let admin = fixture.certificate(Role::Admin).await;
    fixture.store.ensure_domain(&DomainName::default(), "test").await.expect("is there");
    let empty = admin.get("/admin/queue").await.ok(200);
    assert_eq!((&empty["waiting"], &empty["oldest_at"], &empty["queue"]), (&json!(0), &Value::Null, &Value::Null));
    let proxy = fixture.client(Role::Proxy).await;
    for (instance, waiting, minutes) in [(1, 4, 2), (2, 6, 5)] {
        let oldest = Some(NOW.minus(Duration::from_mins(minutes)));
        let ask = PolicyQuery { instance: Some(instance), ..PolicyQuery::default() };
        let faults = JournalFaults { stale: 1, ..JournalFaults::default() };
        let ask = ask.with_faults(faults).with_backlog(JournalBacklog { waiting, oldest });
        proxy.policy(ask).await.expect("answers");
    }
    fixture.server.app.policy.follow(&fixture.store).await;
    beat(&fixture.client(Role::Worker).await, "worker-a", status()).await;
    let hook = json!({ "name": "hook", "kind": "webhook", "settings": { "url": "https://hooks.example/" } });
    admin.post("/admin/destinations", hook).await.ok(201);
    let envelopes = [1, 2, 3].map(|n| fixture.key.message(n));
    fixture.register(&envelopes).await;
    let shown = admin.get("/admin/queue").await.ok(200);
    assert_eq!((&shown["waiting"], shown["proxies"].as_array().map(Vec::len)), (&json!(10), Some(2)));
    assert_eq!(shown["oldest_at"], json!(NOW.minus(Duration::from_mins(5))));
    assert_eq!(shown["set_aside"], json!({ "damaged": 0, "stale": 2, "refused": 0 }));
    let queue = &shown["queue"];
    assert_eq!(
        (&queue["backend"], &queue["depth"], &queue["reported_by"]),
        (&json!("redis"), &json!(5), &json!("worker-a"))
    );
    assert_eq!(queue["pending"], json!([{ "consumer": "worker-gone-1", "units": 3 }]));
    let lanes = &shown["destinations"][0];
    assert_eq!(
        (&lanes["name"], &lanes["fresh"]["waiting"], &lanes["fresh"]["leased"]),
        (&json!("hook"), &json!(3), &json!(0))
    );
    assert_eq!(lanes["tried"], json!({ "waiting": 0, "leased": 0, "due_at": null }));
    fixture.clock.set(NOW.plus(Duration::from_secs(61)));
    let shown = admin.get("/admin/queue").await.ok(200);
    assert_eq!(
        (&shown["waiting"], &shown["set_aside"]["stale"]),
        (&json!(0), &json!(2)),
        "who is away is not waited for"
    );
}

#[tokio::test]
async fn the_database_is_described() {
    let fixture = Fixture::new().await;
    let admin = fixture.certificate(Role::Admin).await;
    fixture.register(&[fixture.key.message(1)]).await;
    let shown = admin.get("/admin/database").await.ok(200);
    assert_eq!(shown["backend"], "sqlite");
    assert!(shown["version"].as_str().is_some_and(|version| version.starts_with("3.")), "{shown}");
    let tables = shown["tables"].as_array().expect("tables");
    let table = |name: &str| tables.iter().find(|table| table["name"] == name).expect("is there");
    assert_eq!(table("messages")["rows"], 1);
    assert!(table("messages")["bytes"].as_u64().is_some_and(|bytes| bytes >= 4096), "{shown}");
    let migrations = shown["migrations"].as_array().expect("migrations");
    assert!(migrations.len() > 8 && migrations.iter().all(|migration| migration["is_applied"] == true));
    assert!(shown["bytes"].as_u64() > shown["wal_bytes"].as_u64(), "{shown}");
    let pools = shown["pools"].as_array().expect("pools");
    assert_eq!(pools.iter().map(|pool| pool["name"].clone()).collect::<Vec<_>>(), [json!("write"), json!("read")]);
    assert_eq!((&pools[0]["max"], &pools[1]["max"]), (&json!(1), &json!(4)));
}

#[tokio::test]
async fn a_trial_without_a_worker_is_refused_at_once() {
    let fixture = Fixture::new().await;
    let admin = fixture.certificate(Role::Admin).await;
    fixture.store.ensure_domain(&DomainName::default(), "test").await.expect("is there");
    let hook = json!({ "name": "hook", "kind": "webhook", "settings": { "url": "https://hooks.example/" } });
    let hook = admin.post("/admin/destinations", hook).await.ok(201)["id"].clone();
    let begun = std::time::Instant::now();
    let refused = admin.post(&format!("/admin/destinations/{hook}/test"), Value::Null).await;
    assert_eq!(refused.problem(), (503, "unavailable"));
    assert!(
        refused.body["detail"].as_str().is_some_and(|detail| detail.contains("no worker is running")),
        "{refused:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_is_made_by_a_worker_that_speaks_to_another_main_server() {
    let fixture = Fixture::new().await;
    let second = fixture.second().await;
    let (admin, worker) = (fixture.certificate(Role::Admin).await, second.client_of(fixture.peer(Role::Worker).await));
    fixture.store.ensure_domain(&DomainName::default(), "test").await.expect("is there");
    beat(&worker, "w", status()).await;
    let hook = json!({ "name": "hook", "kind": "webhook", "settings": { "url": "https://hooks.example/" } });
    let hook = admin.post("/admin/destinations", hook).await.ok(201)["id"].clone();
    let path = format!("/admin/destinations/{hook}/test");
    let asked = admin.post(&path, Value::Null);
    let made = async {
        let probe = loop {
            // As the second main server's own job does.
            second.app.delivering.follow(&fixture.store).await.expect("looks");
            let leased = lease(&worker).await;
            if let Some(probe) = leased.probes.into_iter().next() {
                assert_eq!(leased.targets.len(), 1, "where to");
                break probe;
            }
        };
        assert!(lease_at_once(&worker).await.probes.is_empty(), "one worker makes it");
        let answer = Some("aG1wZg==".to_owned());
        let (status, retry_after, detail) = (Some(200), None, None);
        let exchange =
            Exchange { at: NOW, duration_us: 7, class: AttemptClass::Taken, status, retry_after, detail, answer };
        let (request_headers, response_headers) = (Vec::new(), vec![("x-mood".to_owned(), "fair".to_owned())]);
        let report = ProbeReport { id: probe.id, exchange, peer: None, request_headers, response_headers };
        let report = ReportRequest { worker: "w".into(), probes: vec![report], ..ReportRequest::default() };
        worker.report_deliveries(&report).await.expect("is heard");
    };
    let (shown, ()) = tokio::join!(asked, made);
    let shown = shown.ok(200);
    assert_eq!(
        (&shown["exchange"]["answer"], &shown["response_headers"]),
        (&json!("hmpf"), &json!([["x-mood", "fair"]]))
    );
    let left = fixture.execute_text("SELECT id FROM probes").await;
    assert!(left.is_empty(), "nothing is kept of it");
}

async fn lease_at_once(worker: &Client) -> LeasedDeliveries {
    let ask = LeaseRequest { worker: "w".into(), limit: 100, except: Vec::new(), knows: u64::MAX, wait_seconds: 0 };
    worker.lease_deliveries(&ask).await.expect("leases")
}

#[tokio::test]
async fn a_destination_that_another_main_server_made_just_now_is_served() {
    let fixture = Fixture::new().await;
    let second = fixture.second().await;
    let admin = fixture.certificate(Role::Admin).await;
    fixture.store.ensure_domain(&DomainName::default(), "test").await.expect("is there");
    let hook = json!({ "name": "hook", "kind": "webhook", "settings": { "url": "https://hooks.example/" } });
    admin.post("/admin/destinations", hook).await.ok(201);
    fixture.register(&[fixture.key.message(1)]).await;
    // Nothing has told the second one: it has looked last before there was one.
    let worker = second.client_of(fixture.peer(Role::Worker).await);
    let leased = lease_at_once(&worker).await;
    assert_eq!(leased.deliveries.iter().map(|delivery| delivery.message_id).collect::<Vec<_>>(), [id(1)]);
    assert_eq!(leased.targets.iter().map(|target| target.url.as_str()).collect::<Vec<_>>(), ["https://hooks.example/"]);
}

impl Fixture {
    async fn peer(&self, role: Role) -> mb_api::Peer {
        mb_api::Peer::in_process(Arc::new(self.issue(&format!("the-{role}"), role).await.identity))
    }
}
