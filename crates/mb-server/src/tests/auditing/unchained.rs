//! Rows before they are chained, and the work of whoever leads: what is done to them while nobody looks shows too.

use std::time::Duration;

use mb_core::UserRole;
use mb_runtime::lifecycle::{Criticality, Lifecycle};
use mb_store::StoreError;
use serde_json::json;
use tokio::sync::watch;

use super::super::asking::Asking;
use super::super::fixture::{Fixture, NOW};
use super::{chained, faults, kinds};
use crate::Leadership;
use crate::audit::chain::{Keeper, Urgency};
use crate::jobs::leader;

impl Fixture {
    async fn follow(&self, keeper: &mut Keeper) {
        keeper.follow(&self.server.app).await.expect("follows");
    }

    async fn unchained(&self) -> usize {
        self.store.unchained_audit(100).await.expect("reads").len()
    }

    fn pass(&self, by: Duration) {
        self.clock.set(self.clock.now().plus(by));
    }

    async fn watch(&self, leads: &watch::Receiver<bool>) -> Result<Leadership, StoreError> {
        leader::watch(&self.server.app, leads).await?;
        Ok(self.server.leadership())
    }
}

/// The open notices' keys.
async fn told(admin: &Asking<'_>) -> Vec<serde_json::Value> {
    admin.get("/admin/notices").await.each("about")
}

#[tokio::test]
async fn whoever_follows_chains_what_the_leader_leaves_within_a_second() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    let mut keeper = fixture.keeper().await;
    fixture.follow(&mut keeper).await;
    fixture.record("while nobody leads").await;
    let tick = Duration::from_millis(250);
    let begun = fixture.clock.now();
    while fixture.unchained().await > 0 {
        fixture.pass(tick);
        fixture.follow(&mut keeper).await;
        assert!(fixture.clock.now().since(begun) <= 3 * tick, "a second is over soon");
    }
    assert!(fixture.clock.now().since(begun) >= 2 * tick, "a leader that lives gets its turn");
    assert_eq!(faults(&admin).await, []);
}

#[tokio::test]
async fn a_row_that_is_removed_before_it_is_chained_is_found() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    let mut keeper = fixture.keeper().await;
    fixture.keep(&mut keeper, Urgency::Now).await;
    let place = admin.get(super::VERIFY).await.body["last_position"].as_u64().expect("a place");
    for object in ["first", "hidden", "last"] {
        fixture.record(object).await;
    }
    fixture.execute("DELETE FROM audit_log WHERE object = 'hidden'").await;
    for _ in 0..3 {
        fixture.keep(&mut keeper, Urgency::Now).await;
    }
    assert_eq!(faults(&admin).await, [("missing".to_owned(), place + 3)], "once, and for good");
    let row = &admin.get("/admin/audit?action=audit.lost").await.body["data"][0];
    assert_eq!(row["detail"]["was"]["object"], json!("hidden"), "{row}");
    assert_eq!(told(&admin).await, [json!("unchained")]);
}

#[tokio::test]
async fn a_row_that_is_changed_before_it_is_chained_is_found() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    let mut keeper = fixture.keeper().await;
    fixture.record("genuine").await;
    fixture.execute("UPDATE audit_log SET actor = 'mallory' WHERE object = 'genuine'").await;
    fixture.keep(&mut keeper, Urgency::Now).await;
    fixture.keep(&mut keeper, Urgency::Now).await;
    assert_eq!(kinds(&faults(&admin).await), ["changed"]);
    let row = &admin.get("/admin/audit?action=audit.changed").await.body["data"][0];
    assert_eq!(row["detail"]["was"]["actor"], json!("ann@example.org"), "{row}");
}

#[tokio::test]
async fn a_row_that_is_removed_while_no_process_knew_of_it_leaves_a_gap() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    let mut keeper = fixture.keeper().await;
    fixture.keep(&mut keeper, Urgency::Now).await;
    for object in ["hidden", "hidden", "last"] {
        fixture.record(object).await;
    }
    // As after a crash.
    fixture.store.recorded_audit();
    fixture.execute("DELETE FROM audit_log WHERE object = 'hidden'").await;
    fixture.keep(&mut keeper, Urgency::Now).await;
    fixture.keep(&mut keeper, Urgency::Now).await;
    assert_eq!(kinds(&faults(&admin).await), ["missing"]);
    let row = &admin.get("/admin/audit?action=audit.lost").await.body["data"][0];
    assert_eq!(row["detail"]["rows"], json!(2), "{row}");
}

#[tokio::test]
async fn a_head_that_is_gone_is_recorded_and_told_of_and_a_first_one_is_not() {
    let fixture = Fixture::new().await;
    let admin = chained(&fixture).await;
    let mut keeper = fixture.keeper().await;
    fixture.keep(&mut keeper, Urgency::Now).await;
    let made = async || admin.get("/admin/audit?action=audit.head_made").await.each("object");
    assert_eq!((made().await.len(), told(&admin).await.len()), (0, 0));
    for times in 1..=2 {
        std::fs::remove_file(fixture.head_file()).expect("removes");
        fixture.keep(&mut keeper, Urgency::Collect).await;
        fixture.follow(&mut keeper).await;
        assert_eq!(made().await, vec![json!("test"); times]);
    }
    assert_eq!(told(&admin).await, [json!("head of test")]);
    crate::notices::audit(&fixture.server.app).await.expect("checks");
    assert_eq!(told(&admin).await, [json!("head of test")], "only a person resolves it");
    assert_eq!(faults(&admin).await, []);
}

#[tokio::test]
async fn that_nobody_leads_is_told_of_after_a_while_until_somebody_does() {
    let fixture = Fixture::new().await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let lease = Duration::from_secs(30);
    let (sender, leads) = watch::channel(false);
    assert!(fixture.store.try_lead("jobs", "other", lease).await.expect("asks"));
    assert_eq!(fixture.watch(&leads).await.expect("looks"), Leadership::Elsewhere);
    fixture.execute("UPDATE leases SET holder = 'ghost', lease_until = lease_until + 31536000000000").await;
    let since = fixture.clock.now();
    for minutes in [0, 0, 1] {
        assert!(told(&admin).await.is_empty());
        fixture.pass(Duration::from_mins(minutes));
        assert_eq!(fixture.watch(&leads).await.expect("looks"), Leadership::Nobody(since));
    }
    assert_eq!(told(&admin).await, [json!("all")]);
    assert_eq!(admin.get("/admin/notices").await.each("kind"), [json!("no_leader")]);
    sender.send(true).expect("watched");
    assert_eq!(fixture.watch(&leads).await.expect("looks"), Leadership::Here);
    assert!(told(&admin).await.is_empty());
}

#[tokio::test]
async fn who_holds_the_lease_and_signs_nothing_does_not_lead() {
    let fixture = Fixture::new().await;
    chained(&fixture).await;
    let lease = Duration::from_secs(30);
    let (_sender, leads) = watch::channel(false);
    fixture.record("never signed").await;
    crate::audit::chain::extend(&fixture.server.app).await.expect("chains");
    for (seconds, expected) in
        [(119, Leadership::Elsewhere), (121, Leadership::Nobody(NOW.plus(Duration::from_secs(121))))]
    {
        fixture.clock.set(NOW.plus(Duration::from_secs(seconds)));
        assert!(fixture.store.try_lead("jobs", "ghost", lease).await.expect("asks"));
        assert_eq!(fixture.watch(&leads).await.expect("looks"), expected, "{seconds}");
    }
}

#[tokio::test]
async fn who_holds_the_lease_and_signs_as_nobody_of_us_does_not_lead() {
    let fixture = Fixture::new().await;
    chained(&fixture).await;
    let (_sender, leads) = watch::channel(false);
    assert!(fixture.store.try_lead("jobs", "ghost", Duration::from_secs(30)).await.expect("asks"));
    assert_eq!(fixture.watch(&leads).await.expect("looks"), Leadership::Elsewhere);
    fixture.record("signed by a ghost").await;
    crate::audit::chain::extend(&fixture.server.app).await.expect("chains");
    fixture
        .execute(
            "INSERT INTO audit_checkpoints (at, position, audit_id, hash, signature, certificate) \
             SELECT c.at, a.position, a.id, a.hash, c.signature, c.certificate FROM audit_log AS a, audit_checkpoints AS c \
             WHERE a.position = (SELECT MAX(position) FROM audit_log) AND c.id = 1",
        )
        .await;
    assert_eq!(fixture.watch(&leads).await.expect("looks"), Leadership::Nobody(NOW));
    // Whoever really leads signs what that one did not.
    let mut keeper = fixture.keeper().await;
    fixture.keep(&mut keeper, Urgency::Now).await;
    assert_eq!(fixture.watch(&leads).await.expect("looks"), Leadership::Elsewhere);
}

#[tokio::test]
async fn what_is_done_during_a_stop_is_chained_and_signed_before_its_end() {
    let fixture = Fixture::new().await;
    let app = &fixture.server.app;
    let (lifecycle, notary) = (Lifecycle::new(), fixture.notary().await);
    crate::jobs::start(app, &lifecycle, notary);
    let (soft, work) = (lifecycle.soft(), std::sync::Arc::clone(app));
    lifecycle.spawn("request", Criticality::Ordinary, async move {
        soft.cancelled().await;
        // As a password that is being hashed when the signal comes.
        tokio::time::sleep(Duration::from_millis(700)).await;
        work.store.audit("ann@example.org", "test.record", "late", json!({})).await.expect("records");
    });
    let refused =
        fixture.from("192.0.2.1").post(mb_api::paths::AUTH_REFRESH, json!({ "refresh_token": "mbr_0" })).await;
    assert_eq!(refused.status, 401);
    fixture.from("192.0.2.1").post(mb_api::paths::AUTH_REFRESH, json!({ "refresh_token": "mbr_1" })).await;
    lifecycle.drain().await.expect("an orderly stop");
    assert_eq!(fixture.unchained().await, 0);
    let rows = fixture.store.audit_log(None, 100).await.expect("reads");
    assert_eq!(
        rows.iter().filter(|row| row.action == "session.refuse").count(),
        2,
        "the second was only counted: {rows:?}"
    );
    let (head, signed) = (fixture.store.audit_head().await, fixture.store.last_checkpoint().await);
    let (head, signed) = (head.expect("reads"), signed.expect("reads").expect("signed"));
    assert_eq!(head.position, signed.position);
    assert!(fixture.store.leads("jobs", Duration::from_secs(30)).await.expect("reads").is_none(), "the lease is free");
}

#[tokio::test]
async fn who_is_started_again_on_the_same_directory_leads_at_once() {
    let fixture = Fixture::new().await;
    let killed = format!("{}/main-server-1", fixture.server.app.reporter);
    assert!(fixture.store.try_lead("jobs", &killed, Duration::from_secs(30)).await.expect("asks"));
    let lifecycle = Lifecycle::new();
    let mut lead = leader::start(&fixture.server.app, &lifecycle);
    tokio::time::timeout(Duration::from_secs(20), lead.gained()).await.expect("the clock stands: no lease ends");
}
