//! The audit log: listed, chained, signed; whatever is done to it shows.

mod unchained;

use std::time::Duration;

use mb_core::{Role, UserRole};
use serde_json::{Value, json};

use super::asking::Asking;
use super::errors::Errors;
use super::fixture::{Fixture, NOW};
use crate::Notary;
use crate::audit::chain::{self, Keeper, Urgency};

const VERIFY: &str = "/admin/audit/verify";

impl Fixture {
    async fn notary(&self) -> Notary {
        let issued = self.issue("server", Role::Server).await;
        Notary::from_pem(&issued.certificate_pem, &issued.private_key_pem).expect("a main server")
    }

    async fn keeper(&self) -> Keeper {
        Keeper::new(self.notary().await)
    }

    async fn keep(&self, keeper: &mut Keeper, urgency: Urgency) {
        keeper.keep(&self.server.app, urgency).await.expect("keeps");
    }

    fn head_text(&self) -> String {
        std::fs::read_to_string(self.head_file()).expect("a head")
    }

    async fn record(&self, object: &str) {
        self.store.audit("ann@example.org", "test.record", object, json!({ "n": 1 })).await.expect("records");
    }
}

/// Ten rows and more, chained; a checkpoint of the first part and one of the end.
async fn chained(fixture: &Fixture) -> Asking<'_> {
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let mut keeper = fixture.keeper().await;
    for round in 0..2 {
        for n in 0..5 {
            fixture.record(&format!("{round}.{n}")).await;
        }
        fixture.keep(&mut keeper, Urgency::Now).await;
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
    assert_eq!(faults(&admin).await, [("missing".to_owned(), last), ("cut_off".to_owned(), last)]);
    // Rows that come later take the places of those that were cut, and are others.
    for object in ["new", "newer", "newest"] {
        fixture.record(object).await;
    }
    chain::extend(&fixture.server.app).await.expect("chains");
    assert_eq!(faults(&admin).await, [("bad_checkpoint".to_owned(), last), ("cut_off".to_owned(), last)]);
}

#[tokio::test]
async fn a_chain_made_anew_by_whoever_holds_the_database_is_found_by_its_checkpoints() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    fixture.execute("UPDATE audit_log SET object = 'forged' WHERE position = 2").await;
    fixture.execute("UPDATE audit_log SET position = NULL, prev_hash = NULL, hash = NULL").await;
    chain::extend(&fixture.server.app).await.expect("chains");
    assert_eq!(kinds(&faults(&admin).await), ["bad_checkpoint", "bad_checkpoint", "cut_off"]);
    fixture.execute("UPDATE audit_checkpoints SET hash = (SELECT hash FROM audit_log WHERE id = audit_id)").await;
    assert_eq!(kinds(&faults(&admin).await), ["bad_signature", "bad_signature", "cut_off"]);
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
    let (mut keeper, store) = (fixture.keeper().await, &fixture.store);
    let count = async || store.checkpoints(0, 100).await.expect("reads").len();
    for (seconds, expected) in [(0, 1), (30, 1), (59, 1), (60, 2), (61, 2)] {
        fixture.clock.set(NOW.plus(Duration::from_secs(seconds)));
        fixture.record("x").await;
        fixture.keep(&mut keeper, Urgency::Collect).await;
        assert_eq!(count().await, expected, "{seconds}");
    }
    fixture.keep(&mut keeper, Urgency::Now).await;
    fixture.keep(&mut keeper, Urgency::Now).await;
    assert_eq!(count().await, 3, "what is signed is not signed again");
}

#[tokio::test]
async fn a_log_cut_off_with_its_checkpoints_is_found_by_its_head() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    let last = admin.get(VERIFY).await.body["last_position"].as_u64().expect("a place");
    let cut = [
        format!("DELETE FROM audit_log WHERE position > {}", last - 2),
        "DELETE FROM audit_checkpoints WHERE id > 1".to_owned(),
    ];
    for statement in &cut {
        fixture.execute(statement).await;
    }
    assert_eq!(faults(&admin).await, [("cut_off".to_owned(), last)]);
    fixture.execute("DELETE FROM audit_checkpoints").await;
    fixture.execute("DELETE FROM audit_log").await;
    assert_eq!(faults(&admin).await, [("cut_off".to_owned(), last)], "all of it");
    // Whoever chains on does not make it good, however long the new log grows.
    let (head, mut keeper) = (fixture.head_text(), fixture.keeper().await);
    for n in 0..30 {
        fixture.record(&n.to_string()).await;
    }
    fixture.keep(&mut keeper, Urgency::Now).await;
    assert_eq!(faults(&admin).await, [("cut_off".to_owned(), last)]);
    assert_eq!(fixture.head_text(), head);
}

#[tokio::test]
async fn a_log_that_was_cut_off_is_said_once_and_not_with_every_pass() {
    let fixture = Fixture::new().await;
    chained(&fixture).await;
    fixture.execute("DELETE FROM audit_checkpoints").await;
    let mut keeper = fixture.keeper().await;
    let errors = Errors::default();
    let guard = tracing::subscriber::set_default(errors.clone());
    for n in 0..5 {
        fixture.record(&n.to_string()).await;
        fixture.keep(&mut keeper, Urgency::Collect).await;
    }
    drop(guard);
    assert_eq!(errors.count(), 1);
}

#[tokio::test]
async fn removed_checkpoints_are_found() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    fixture.execute("DELETE FROM audit_checkpoints WHERE id = 1").await;
    assert_eq!(kinds(&faults(&admin).await), ["cut_off"]);
    fixture.execute("DELETE FROM audit_checkpoints").await;
    assert_eq!(kinds(&faults(&admin).await), ["cut_off"]);
}

#[tokio::test]
async fn a_head_that_is_gone_or_made_up_is_found_and_one_that_is_gone_is_made_anew() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    let (genuine, mut keeper) = (fixture.head_text(), fixture.keeper().await);
    for made_up in [genuine.replace("mb-audit-head-1 1", "mb-audit-head-1 2"), String::new()] {
        std::fs::write(fixture.head_file(), made_up).expect("writes");
        fixture.keep(&mut keeper, Urgency::Now).await;
        assert_eq!(kinds(&faults(&admin).await), ["no_head"]);
    }
    std::fs::remove_file(fixture.head_file()).expect("removes");
    assert_eq!(kinds(&faults(&admin).await), ["no_head"]);
    fixture.keep(&mut keeper, Urgency::Now).await;
    assert_eq!(kinds(&faults(&admin).await), Vec::<&str>::new());
}

#[tokio::test]
async fn the_head_moves_on_with_the_log_and_an_older_one_is_no_fault() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    let (older, mut keeper) = (fixture.head_text(), fixture.keeper().await);
    fixture.record("next").await;
    fixture.keep(&mut keeper, Urgency::Collect).await;
    assert_ne!(fixture.head_text(), older);
    std::fs::write(fixture.head_file(), &older).expect("writes");
    assert_eq!(faults(&admin).await, []);
}

#[tokio::test]
async fn rows_that_nobody_signs_are_found() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    let end = admin.get(VERIFY).await.body["last_position"].as_u64().expect("a place");
    for (seconds, expected) in [(0, vec![]), (120, vec![]), (121, vec![("unsigned".to_owned(), end + 1)])] {
        fixture.clock.set(NOW.plus(Duration::from_secs(seconds)));
        fixture.record("unsigned").await;
        chain::extend(&fixture.server.app).await.expect("chains");
        assert_eq!(faults(&admin).await, expected, "{seconds}");
    }
}

#[tokio::test]
async fn a_log_that_was_never_signed_is_found_once_it_should_be() {
    let fixture = Fixture::new().await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    chain::extend(&fixture.server.app).await.expect("chains");
    fixture.server.app.audit.runs(NOW);
    for (seconds, expected) in [(119, vec![]), (121, vec!["unsigned"])] {
        fixture.clock.set(NOW.plus(Duration::from_secs(seconds)));
        assert_eq!(kinds(&faults(&admin).await), expected, "{seconds}");
    }
}

#[tokio::test]
async fn a_row_that_stays_without_a_place_is_a_fault_whoever_leads() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    fixture.record("not chained").await;
    fixture.clock.set(NOW.plus(Duration::from_mins(1)));
    assert_eq!(faults(&admin).await, [], "nobody runs, and the last one that did left it at the end");
    fixture.server.app.audit.runs(fixture.clock.now());
    assert_eq!(faults(&admin).await, [], "not yet");
    fixture.clock.set(NOW.plus(Duration::from_secs(91)));
    assert_eq!(kinds(&faults(&admin).await), ["unchained"], "although this one never led");
}

#[tokio::test]
async fn a_row_without_a_place_that_others_followed_is_a_fault_on_a_stopped_system_too() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    fixture.record("not chained").await;
    fixture.clock.set(NOW.plus(Duration::from_secs(31)));
    fixture.record("later").await;
    assert_eq!(kinds(&faults(&admin).await), ["unchained"]);
}

#[tokio::test]
async fn a_renewed_certificate_signs_from_the_next_pass_on() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    let mut keeper = fixture.keeper().await;
    let renewed = fixture.issue("server", Role::Server).await;
    let notary = Notary::from_pem(&renewed.certificate_pem, &renewed.private_key_pem).expect("a main server");
    fixture.server.adopt(notary);
    fixture.record("later").await;
    fixture.keep(&mut keeper, Urgency::Now).await;
    let newest = fixture.store.last_checkpoint().await.expect("reads").expect("signed");
    assert_eq!(newest.certificate_pem, renewed.certificate_pem);
    assert_eq!(faults(&admin).await, []);
}

#[tokio::test]
async fn signing_off_leaves_nothing_unchained_or_unsigned() {
    let fixture = Fixture::new().await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    fixture.record("by a command").await;
    let notary = fixture.notary().await;
    fixture.server.sign_off(notary).await.expect("signs");
    let report = admin.get(VERIFY).await.body;
    assert_eq!((&report["unchained"], &report["intact"]), (&json!(0), &json!(true)));
    assert_eq!(report["signed_position"], report["last_position"]);
    assert!(report["last_position"].as_u64().is_some_and(|place| place > 0));
}
