//! Retention: days that are set, runs that somebody asks for, turns that the leader takes, a log that is cut.

use std::time::Duration;

use mb_core::{MessageId, Role};
use mb_store::{DeadLetterFilter, Removal, Retired};
use serde_json::{Value, json};

use super::asking::Asking;
use super::fixture::{Fixture, NOW, id};
use crate::Notary;
use crate::audit::chain::{Keeper, Urgency};
use crate::audit::pruning;
use crate::notices;
use crate::retention::keeping;

const DAY: Duration = Duration::from_hours(24);
const RETENTION: &str = "/admin/retention";

impl Fixture {
    /// A message that is accepted and registered on this day.
    async fn message_on(&self, day: u32, n: u8) -> MessageId {
        self.clock.set(NOW.plus(DAY * day));
        let mut header = self.key.header(id(n));
        header.queued_at = self.clock.now();
        self.register(&[self.key.seal(&header, "hello")]).await;
        id(n)
    }

    /// Whether it is known, and whether its content is there.
    async fn kept(&self, n: u8) -> (bool, bool) {
        let message = self.store.message(id(n)).await.expect("reads");
        (message.is_some(), message.is_some_and(|message| !message.sealed.is_empty()))
    }

    async fn turn(&self) {
        keeping::turn(&self.server.app).await.expect("turns");
    }
}

/// A whole run, summed up.
async fn run(admin: &Asking<'_>, dry_run: bool) -> [u64; 4] {
    let (mut sum, mut cursor) = ([0; 4], Value::Null);
    loop {
        let ask = if cursor.is_null() {
            json!({ "dry_run": dry_run })
        } else {
            json!({ "dry_run": dry_run, "cursor": cursor })
        };
        let done = admin.post(&format!("{RETENTION}/run"), ask).await.ok(200);
        for (sum, name) in sum.iter_mut().zip(["bodies", "messages", "dead_letters", "audit_rows"]) {
            *sum += done[name].as_u64().expect("a count");
        }
        cursor = done["next"].clone();
        if cursor.is_null() {
            return sum;
        }
    }
}

#[tokio::test]
async fn days_are_set_within_bounds_and_shown_with_those_of_domains() {
    let fixture = Fixture::new().await;
    let admin = fixture.certificate(Role::Admin).await;
    let shown = admin.get(RETENTION).await.ok(200);
    assert_eq!(shown["settings"], json!({ "body_days": 30, "metadata_days": 180, "audit_days": 400 }));
    for (settings, member) in [
        (json!({ "body_days": 0, "metadata_days": 180, "audit_days": 400 }), "/body_days"),
        (json!({ "body_days": 1, "metadata_days": 29, "audit_days": 400 }), "/metadata_days"),
        (json!({ "body_days": 1, "metadata_days": 30, "audit_days": 3651 }), "/audit_days"),
        (json!({ "body_days": 181, "metadata_days": 180, "audit_days": 400 }), "/body_days"),
    ] {
        let answer = admin.put(RETENTION, settings).await;
        assert_eq!(
            (answer.problem(), &answer.body["errors"][0]["pointer"]),
            ((422, "validation_failed"), &json!(member))
        );
    }
    let domain = json!({ "name": "eu", "settings":
        { "sender_number": "required", "body_limit": 9, "rate_limit": null, "retention_days": 60, "body_retention_days": 3 } });
    admin.post("/admin/domains", domain).await.ok(201);
    let set = json!({ "body_days": 10, "metadata_days": 40, "audit_days": 90 });
    let shown = admin.put(RETENTION, set.clone()).await.ok(200);
    assert_eq!(shown, json!({ "settings": set, "domains": [{ "id": "eu", "body_days": 3, "metadata_days": 60 }] }));
    let cursor = json!({ "cursor": "nowhere" });
    assert_eq!(admin.post(&format!("{RETENTION}/run"), cursor).await.code(), "validation_failed");
}

#[tokio::test]
async fn a_run_removes_what_a_dry_run_counts() {
    let fixture = Fixture::new().await;
    let admin = fixture.certificate(Role::Admin).await;
    for (day, n) in [(0, 1), (100, 2), (170, 3)] {
        fixture.message_on(day, n).await;
    }
    fixture.clock.set(NOW.plus(DAY * 181));
    assert_eq!(run(&admin, true).await, [2, 1, 0, 0], "the one that goes has a content, too");
    assert_eq!(fixture.kept(1).await, (true, true));
    assert_eq!(run(&admin, false).await, [1, 1, 0, 0]);
    let kept = [fixture.kept(1).await, fixture.kept(2).await, fixture.kept(3).await];
    assert_eq!(kept, [(false, false), (true, false), (true, true)]);
    assert_eq!(run(&admin, false).await, [0; 4]);
    let shown = format!("/portal/messages/{}", id(2));
    let answer = admin.get(&shown).await;
    assert_eq!(answer.problem(), (409, "conflict"), "its content is no more, which is no fault");
    assert!(admin.get("/admin/notices").await.each("kind").is_empty());
    assert_eq!(admin.get(&format!("{shown}?body=false")).await.ok(200)["status"], "delivered");
    let log = admin.get("/admin/audit?action=retention.run").await;
    assert_eq!(log.each("action").len(), 2, "one row for each run that removes");
}

#[tokio::test]
async fn the_leader_goes_on_where_it_was_and_finds_what_stayed_behind() {
    let fixture = Fixture::new().await;
    for n in 1..=3 {
        fixture.message_on(0, n).await;
    }
    fixture
        .execute("UPDATE messages SET status = 'processing', delivered_at = NULL WHERE substr(message_id, 16) = x'02'")
        .await;
    fixture.clock.set(NOW.plus(DAY * 31));
    fixture.turn().await;
    let contents = async || [fixture.kept(1).await.1, fixture.kept(2).await.1, fixture.kept(3).await.1];
    assert_eq!(contents().await, [false, true, false], "what is open stays");
    fixture.execute("UPDATE messages SET status = 'failed' WHERE status = 'processing'").await;
    fixture.turn().await;
    assert_eq!(contents().await, [false, true, false], "it was gone past");
    fixture.clock.set(NOW.plus(DAY * 39));
    fixture.turn().await;
    assert_eq!(contents().await, [false; 3], "a round later it is found");
    let shown = mb_runtime::metrics::Metrics::encode(std::slice::from_ref(&fixture.metrics));
    assert!(shown.contains("mb_server_retired_total{what=\"bodies\"} 3"), "{shown}");
    assert_eq!(fixture.server.retention_behind(), None);
}

#[tokio::test]
async fn an_idempotency_key_is_free_again_when_its_message_is_gone() {
    let fixture = Fixture::new().await;
    let admin = fixture.certificate(Role::Admin).await;
    let mut key = *id(1).as_bytes();
    key[6] = 0x80;
    let key = MessageId::from_bytes(key);
    let sealed = |day: u32, body: &str| {
        let mut header = fixture.key.header(key);
        header.queued_at = NOW.plus(DAY * day);
        fixture.key.seal(&header, body)
    };
    fixture.register(&[sealed(0, "first")]).await;
    fixture.clock.set(NOW.plus(DAY * 179));
    run(&admin, false).await;
    let repeat = fixture.register(&[sealed(179, "second")]).await;
    assert_eq!(repeat, [mb_api::dto::RegisterResult::Duplicate], "its content is gone, it is not");
    fixture.clock.set(NOW.plus(DAY * 181));
    run(&admin, false).await;
    let again = fixture.register(&[sealed(181, "third")]).await;
    assert_eq!(again, [mb_api::dto::RegisterResult::Stored]);
    let letters = fixture.store.dead_letter_page(&DeadLetterFilter::default(), None, 9).await.expect("reads");
    assert!(letters.is_empty(), "{letters:?}");
}

#[tokio::test]
async fn what_is_too_old_for_days_is_told_of() {
    let fixture = Fixture::new().await;
    let admin = fixture.certificate(Role::Admin).await;
    let app = &fixture.server.app;
    fixture.message_on(0, 1).await;
    fixture.clock.set(NOW.plus(DAY * 35));
    app.retention.note_overdue(&mb_core::DomainName::default(), Retired::Bodies, DAY * 5);
    notices::retention(app).await.expect("looks");
    let open = admin.get("/admin/notices").await;
    assert_eq!(
        (open.each("kind"), open.body["data"][0]["detail"]["days"].clone()),
        (vec![json!("retention_behind")], json!(5))
    );
    fixture.turn().await;
    notices::retention(app).await.expect("looks");
    assert!(admin.get("/admin/notices").await.each("kind").is_empty());
}

/// A log of five checkpoints, each ten days after the one before.
async fn signed(fixture: &Fixture) -> Keeper {
    let issued = fixture.issue("server", Role::Server).await;
    let mut keeper =
        Keeper::new(Notary::from_pem(&issued.certificate_pem, &issued.private_key_pem).expect("a main server"));
    for round in 0..5_u32 {
        fixture.clock.set(NOW.plus(DAY * (round * 10)));
        for n in 0..3 {
            fixture.store.audit("ann", "test.record", &format!("{round}.{n}"), json!({})).await.expect("records");
        }
        keeper.keep(&fixture.server.app, Urgency::Now).await.expect("keeps");
    }
    keeper
}

async fn verified(admin: &Asking<'_>) -> (bool, u64, Value) {
    let report = admin.get("/admin/audit/verify").await.ok(200);
    (report["intact"] == true, report["rows"].as_u64().expect("a count"), report["faults"].clone())
}

#[tokio::test]
async fn a_log_that_was_cut_verifies_and_one_that_somebody_else_cut_does_not() {
    let fixture = Fixture::new().await;
    let mut keeper = signed(&fixture).await;
    let admin = fixture.certificate(Role::Admin).await;
    keeper.keep(&fixture.server.app, Urgency::Now).await.expect("keeps");
    let app = &fixture.server.app;
    let (_, all, _) = verified(&admin).await;
    let before = NOW.plus(DAY * 25);
    let counted = pruning::step(app, before, Removal::Count, "test").await.expect("counts").0;
    assert!(counted >= 9, "{counted}");
    assert_eq!(pruning::step(app, before, Removal::Remove, "test").await.expect("cuts"), (0, true));
    // A main server that is killed here has only said where the log begins.
    let (intact, rows, faults) = verified(&admin).await;
    assert!(intact && rows < all, "{faults}");
    let mut removed = 0;
    loop {
        let (rows, more) = pruning::step(app, before, Removal::Remove, "test").await.expect("prunes");
        removed += rows;
        if !more {
            break;
        }
    }
    assert_eq!(removed, counted);
    assert!(pruning::is_clean(app).await.expect("looks"));
    keeper.keep(app, Urgency::Now).await.expect("goes on");
    let (intact, _, faults) = verified(&admin).await;
    assert!(intact, "{faults}");
    fixture.execute("CREATE TABLE kept AS SELECT * FROM audit_log").await;
    fixture.execute("CREATE TABLE start AS SELECT * FROM settings WHERE name = 'audit_start'").await;
    for (damage, mend) in [
        (
            "DELETE FROM audit_log WHERE position = (SELECT MIN(position) FROM audit_log)",
            "INSERT OR IGNORE INTO audit_log SELECT * FROM kept",
        ),
        ("DELETE FROM settings WHERE name = 'audit_start'", "INSERT INTO settings SELECT * FROM start"),
        (
            "UPDATE settings SET value = CAST(replace(value, ' ', '  ') AS BLOB) WHERE name = 'audit_start'",
            "UPDATE settings SET value = (SELECT value FROM start) WHERE name = 'audit_start'",
        ),
        ("DELETE FROM audit_checkpoints WHERE position = (SELECT MIN(position) FROM audit_checkpoints)", "SELECT 1"),
    ] {
        fixture.execute(damage).await;
        assert!(!verified(&admin).await.0, "{damage}");
        fixture.execute(mend).await;
    }
}

#[tokio::test]
async fn what_does_not_verify_is_not_cut_off() {
    let fixture = Fixture::new().await;
    let _keeper = signed(&fixture).await;
    fixture.execute("UPDATE audit_log SET actor = 'nobody' WHERE position = 2").await;
    let step = pruning::step(&fixture.server.app, NOW.plus(DAY * 25), Removal::Remove, "test").await;
    assert_eq!(step.expect("looks"), (0, false), "it is evidence");
}

#[tokio::test]
async fn a_checkpoint_whose_time_was_moved_back_takes_nothing_with_it() {
    let fixture = Fixture::new().await;
    let _keeper = signed(&fixture).await;
    let app = &fixture.server.app;
    let oldest = async || fixture.store.audit_chain(0, 1).await.expect("reads")[0].position;
    fixture.execute(&format!("UPDATE audit_checkpoints SET at = at - {}", (DAY * 400).as_micros())).await;
    let step = pruning::step(app, NOW.minus(DAY), Removal::Remove, "test").await.expect("looks");
    assert_eq!((step, oldest().await), ((0, false), 1), "nothing of it is that old");
    let notices = fixture.store.open_notices(mb_core::NoticeKind::AuditBroken, "", 9).await.expect("reads");
    assert_eq!(notices, ["oldest"]);
    assert!(fixture.store.audit_start().await.expect("reads").is_none());
}

#[tokio::test]
async fn the_leader_cuts_the_log_once_it_is_old_enough() {
    let fixture = Fixture::new().await;
    let admin = fixture.certificate(Role::Admin).await;
    let _keeper = signed(&fixture).await;
    let days = json!({ "body_days": 30, "metadata_days": 180, "audit_days": 30 });
    admin.put(RETENTION, days).await.ok(200);
    let oldest = async || fixture.store.audit_chain(0, 1).await.expect("reads")[0].position;
    fixture.clock.set(NOW.plus(DAY * 30));
    fixture.turn().await;
    assert_eq!(oldest().await, 1, "less than a day's rows are due");
    fixture.clock.set(NOW.plus(DAY * 31).plus(Duration::from_secs(1)));
    fixture.turn().await;
    assert!(oldest().await > 1);
    let (intact, _, faults) = verified(&admin).await;
    assert!(intact, "{faults}");
}
