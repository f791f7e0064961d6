//! The audit log: listed, chained, signed; whatever is done to it shows.

use std::time::Duration;

use mb_core::{Role, UserRole};
use serde_json::{Value, json};

use super::asking::Asking;
use super::fixture::{Fixture, NOW};
use crate::Notary;
use crate::audit::chain::{self, Urgency};

const VERIFY: &str = "/admin/audit/verify";

impl Fixture {
    async fn notary(&self) -> Notary {
        let issued = self.issue("server", Role::Server).await;
        Notary::from_pem(&issued.certificate_pem, &issued.private_key_pem).expect("a main server")
    }

    async fn record(&self, object: &str) {
        self.store.audit("ann@example.org", "test.record", object, json!({ "n": 1 })).await.expect("records");
    }
}

/// Ten rows and more, chained; a checkpoint of the first part and one of the end.
async fn chained(fixture: &Fixture) -> Asking<'_> {
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let mut notary = fixture.notary().await;
    for round in 0..2 {
        for n in 0..5 {
            fixture.record(&format!("{round}.{n}")).await;
        }
        chain::extend(&fixture.server.app).await.expect("chains");
        notary.sign(&fixture.server.app, Urgency::Now).await.expect("signs");
    }
    admin
}

/// What is wrong, as (kind, position).
async fn faults(admin: &Asking<'_>) -> Vec<(String, u64)> {
    let report = admin.get(VERIFY).await;
    assert_eq!(report.status, 200, "{report:?}");
    let faults = report.body["faults"].as_array().expect("faults").clone();
    assert_eq!(report.body["intact"], json!(faults.is_empty()));
    let place = |fault: &Value| {
        (fault["kind"].as_str().expect("a word").to_owned(), fault["position"].as_u64().expect("a place"))
    };
    faults.iter().map(place).collect()
}

fn kinds(faults: &[(String, u64)]) -> Vec<&str> {
    faults.iter().map(|(kind, _)| kind.as_str()).collect()
}

#[tokio::test]
async fn the_log_is_listed_with_its_places_and_searched() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    fixture.clock.set(NOW.plus(Duration::from_secs(9)));
    fixture.record("last").await;
    let page = admin.get("/admin/audit?limit=2").await;
    assert_eq!(page.each("object"), [json!("last"), json!("1.4")]);
    assert_eq!(page.body["data"][0]["position"], json!(null));
    assert!(page.body["data"][1]["position"].as_u64().is_some_and(|place| place > 10));
    assert_eq!(page.body["data"][1]["hash"].as_str().map(str::len), Some(64));
    assert_eq!(page.body["data"][1]["detail"], json!({ "n": 1 }));
    let objects = async |query: &str| admin.pages(&format!("/admin/audit?limit=3&{query}"), "object").await;
    assert_eq!(objects("object=0.3").await, [json!("0.3")]);
    assert_eq!(objects("actor=ann%40example.org").await.len(), 11);
    assert_eq!(objects("action=test.").await.len(), 11);
    assert_eq!(objects(&format!("from={}", NOW.plus(Duration::from_secs(1)))).await, [json!("last")]);
    assert_eq!(objects("actor=nobody").await.len(), 0);
    assert_eq!(admin.get("/admin/audit?who=x").await.code(), "validation_failed");
}

#[tokio::test]
async fn an_untouched_log_is_intact_and_says_how_far_it_is_signed() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    assert_eq!(faults(&admin).await, []);
    fixture.record("chained, not signed").await;
    chain::extend(&fixture.server.app).await.expect("chains");
    fixture.record("not chained").await;
    let report = admin.get(VERIFY).await.body;
    let signed = report["signed_position"].as_u64().expect("signed");
    assert_eq!(report["last_position"], json!(signed + 1));
    assert_eq!((&report["checkpoints"], &report["unchained"], &report["next"]), (&json!(2), &json!(1), &json!(null)));
    assert_eq!(admin.get(&format!("{VERIFY}?cursor=x")).await.code(), "validation_failed");
}

#[tokio::test]
async fn a_changed_row_is_found_whatever_was_changed() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    for (column, value) in [
        ("actor", "'bob@example.org'"),
        ("action", "'test.other'"),
        ("object", "'x'"),
        ("detail", "'{}'"),
        ("at", "at + 1"),
        ("hash", "zeroblob(32)"),
        ("hash", "'text'"),
        ("prev_hash", "NULL"),
    ] {
        fixture.execute("CREATE TABLE kept AS SELECT * FROM audit_log WHERE position = 5").await;
        fixture.execute(&format!("UPDATE audit_log SET {column} = {value} WHERE position = 5")).await;
        let found = faults(&admin).await;
        assert!(found.iter().any(|(kind, place)| kind == "changed" && *place == 5), "{column}: {found:?}");
        let back = format!("UPDATE audit_log SET {column} = (SELECT {column} FROM kept) WHERE position = 5");
        fixture.execute(&back).await;
        fixture.execute("DROP TABLE kept").await;
        assert_eq!(faults(&admin).await, [], "{column}");
    }
}

#[tokio::test]
async fn a_removed_row_is_found() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    fixture.execute("DELETE FROM audit_log WHERE position IN (1, 4, 5)").await;
    assert_eq!(faults(&admin).await, [("missing".to_owned(), 1), ("missing".to_owned(), 4)]);
}

#[tokio::test]
async fn a_row_taken_out_with_the_gap_closed_is_found() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    fixture.execute("DELETE FROM audit_log WHERE position = 4").await;
    fixture.execute("UPDATE audit_log SET position = -position WHERE position > 4").await;
    fixture.execute("UPDATE audit_log SET position = -position - 1 WHERE position < 0").await;
    let found = faults(&admin).await;
    assert_eq!(found[0], ("broken".to_owned(), 4));
    assert!(kinds(&found).contains(&"bad_checkpoint"), "{found:?}");
}

#[tokio::test]
async fn rows_that_changed_places_are_found() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    for (from, to) in [(3, -1), (4, 3), (-1, 4)] {
        fixture.execute(&format!("UPDATE audit_log SET position = {to} WHERE position = {from}")).await;
    }
    assert_eq!(kinds(&faults(&admin).await), ["broken"; 3]);
}

#[tokio::test]
async fn an_inserted_row_is_found() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    fixture.execute("UPDATE audit_log SET position = -position WHERE position > 4").await;
    fixture.execute("UPDATE audit_log SET position = -position + 1 WHERE position < 0").await;
    fixture
        .execute(
            "INSERT INTO audit_log (at, actor, action, object, detail, position, prev_hash, hash) \
             SELECT at, actor, action, 'inserted', detail, 5, hash, zeroblob(32) FROM audit_log WHERE position = 4",
        )
        .await;
    let found = faults(&admin).await;
    assert!(found.contains(&("changed".to_owned(), 5)), "{found:?}");
}

#[tokio::test]
async fn a_cut_tail_is_found_by_its_checkpoint() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    let last = admin.get(VERIFY).await.body["last_position"].as_u64().expect("a place");
    fixture.execute(&format!("DELETE FROM audit_log WHERE position > {}", last - 2)).await;
    assert_eq!(faults(&admin).await, [("missing".to_owned(), last)]);
    // Rows that come later take the places of those that were cut, and are others.
    for object in ["new", "newer", "newest"] {
        fixture.record(object).await;
    }
    chain::extend(&fixture.server.app).await.expect("chains");
    assert_eq!(faults(&admin).await, [("bad_checkpoint".to_owned(), last)]);
}

#[tokio::test]
async fn a_chain_made_anew_by_whoever_holds_the_database_is_found_by_its_checkpoints() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    fixture.execute("UPDATE audit_log SET object = 'forged' WHERE position = 2").await;
    fixture.execute("UPDATE audit_log SET position = NULL, prev_hash = NULL, hash = NULL").await;
    chain::extend(&fixture.server.app).await.expect("chains");
    assert_eq!(kinds(&faults(&admin).await), ["bad_checkpoint"; 2]);
    fixture.execute("UPDATE audit_checkpoints SET hash = (SELECT hash FROM audit_log WHERE id = audit_id)").await;
    assert_eq!(kinds(&faults(&admin).await), ["bad_signature"; 2]);
}

#[tokio::test]
async fn a_signature_of_anybody_else_is_no_checkpoint() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    let worker = fixture.issue("worker", Role::Worker).await;
    assert!(Notary::from_pem(&worker.certificate_pem, &worker.private_key_pem).is_err());
    let pem = worker.certificate_pem.replace('\'', "");
    fixture.execute(&format!("UPDATE audit_checkpoints SET certificate = '{pem}'")).await;
    assert_eq!(kinds(&faults(&admin).await), ["bad_signature"; 2]);
}

#[tokio::test]
async fn what_a_minute_brought_is_signed_together() {
    let fixture = Fixture::new().await;
    let mut notary = fixture.notary().await;
    let (app, store) = (&fixture.server.app, &fixture.store);
    let count = async || store.checkpoints(0, 100).await.expect("reads").len();
    for (seconds, expected) in [(0, 1), (30, 1), (59, 1), (60, 2), (61, 2)] {
        fixture.clock.set(NOW.plus(Duration::from_secs(seconds)));
        fixture.record("x").await;
        chain::extend(app).await.expect("chains");
        notary.sign(app, Urgency::Collect).await.expect("signs");
        assert_eq!(count().await, expected, "{seconds}");
    }
    notary.sign(app, Urgency::Now).await.expect("signs");
    notary.sign(app, Urgency::Now).await.expect("signs");
    assert_eq!(count().await, 3, "what is signed is not signed again");
}
