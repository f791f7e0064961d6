//! What the main server notices by itself.

use std::time::Duration;

use mb_api::dto::PolicyQuery;
use mb_core::{ClientName, ClientStatus, JournalFaults, Role, UserRole};
use mb_store::NoticeFilter;
use serde_json::{Value, json};

use super::asking::Asking;
use super::fixture::{Fixture, NOW};
use crate::audit::chain;
use crate::authority::{Order, Which};
use crate::notices;

const DAY: Duration = Duration::from_hours(24);

impl Fixture {
    async fn issue_for(&self, name: &str, days: u32) {
        let validity = Some(DAY * days);
        let order = Order { name: name.into(), role: Role::Client, domain: None, sans: Vec::new(), validity };
        self.server.authority().issue(order, "test").await.expect("issues");
    }

    async fn watch_certificates(&self) {
        notices::certificates::run(&self.server.app).await.expect("looks");
    }
}

/// What the open notices say, as (name, days).
async fn expiring(admin: &Asking<'_>) -> Vec<(Value, Value)> {
    let details = admin.get("/admin/notices").await.each("detail");
    let mut found: Vec<_> = details.iter().map(|detail| (detail["name"].clone(), detail["days"].clone())).collect();
    found.sort_by_key(|(name, _)| name.to_string());
    found
}

#[tokio::test]
async fn a_certificate_is_told_of_at_every_step_until_it_is_renewed() {
    let fixture = Fixture::new().await;
    fixture.issue_for("demo", 40).await;
    fixture.issue_for("lasting", 400).await;
    for (day, expected) in
        [(0, None), (9, None), (10, Some(30)), (26, Some(14)), (33, Some(7)), (39, Some(1)), (41, Some(0))]
    {
        fixture.clock.set(NOW.plus(DAY * day).plus(Duration::from_secs(1)));
        fixture.watch_certificates().await;
        fixture.watch_certificates().await;
        let rows = fixture.store.notice_page(NoticeFilter::Open, None, 10).await.expect("reads");
        let days: Vec<Value> = rows
            .iter()
            .map(|row| serde_json::from_str::<Value>(&row.detail).expect("JSON"))
            .filter(|detail| detail["name"] == "demo")
            .map(|detail| detail["days"].clone())
            .collect();
        assert_eq!(days, expected.map(|days: u32| json!(days)).into_iter().collect::<Vec<_>>(), "day {day}");
        assert!(rows.iter().all(|row| row.count == 1), "looking again raises nothing again");
    }
    fixture.issue_for("demo", 400).await;
    fixture.watch_certificates().await;
    let rows = fixture.store.notice_page(NoticeFilter::Open, None, 10).await.expect("reads");
    assert!(rows.iter().all(|row| !row.key.starts_with("demo ")), "{rows:?}");
}

#[tokio::test]
async fn list_metric_notice_and_health_agree_at_every_step() {
    let fixture = Fixture::new().await;
    let admin = fixture.certificate(Role::Admin).await;
    for (name, days) in [("one", 1), ("seven", 7), ("fourteen", 14), ("thirty", 30), ("lasting", 31)] {
        fixture.issue_for(name, days).await;
    }
    // Renewed, so nobody needs to know.
    fixture.issue_for("renewed", 2).await;
    fixture.issue_for("renewed", 400).await;
    fixture.watch_certificates().await;
    crate::expiry::measure(&fixture.server.app).await.expect("looks");
    let steps = [("one", 1), ("seven", 7), ("fourteen", 14), ("thirty", 30)];
    let listed = admin.get("/admin/certificates/expiring?days=30").await;
    let of = |name: &str, member: &str| {
        let rows = listed.body["data"].as_array().expect("rows").iter();
        rows.filter(|row| row["client_id"] == name).map(|row| row[member].clone()).collect::<Vec<_>>()
    };
    let names: Vec<_> = steps.iter().map(|(name, _)| json!(name)).collect();
    assert_eq!(listed.each("client_id"), names, "the first to expire first");
    let mut noticed = expiring(&admin).await;
    noticed.sort_by_key(|(_, days)| days.as_u64());
    for (at, (name, days)) in steps.into_iter().enumerate() {
        assert_eq!(of(name, "expires_within_days"), [json!(days)]);
        assert_eq!(noticed[at], (json!(name), json!(days)));
        assert_eq!(fixture.server.expiring().get(&days), Some(&1));
        let shown = mb_runtime::metrics::Metrics::encode(std::slice::from_ref(&fixture.metrics));
        assert!(shown.contains(&format!("mb_server_certificates_expiring{{days=\"{days}\"}} 1")), "{shown}");
    }
    let all = admin.get("/admin/certificates/list?limit=250").await;
    let lasting = all.body["data"].as_array().expect("rows").iter().find(|row| row["client_id"] == "lasting");
    assert_eq!(lasting.expect("listed").get("expires_within_days"), None);
    assert_eq!(admin.get("/admin/certificates/expiring?days=7").await.each("client_id"), names[..2]);
    assert_eq!(admin.get("/admin/certificates/expiring?days=0").await.status, 422);
    // Page by page.
    let first = admin.get("/admin/certificates/expiring?limit=3").await;
    assert_eq!(first.each("client_id"), names[..3]);
    let next = first.body["next"].as_str().expect("there is more");
    let last = admin.get(&format!("/admin/certificates/expiring?limit=3&cursor={next}")).await;
    assert_eq!((last.each("client_id"), &last.body["next"]), (names[3..].to_vec(), &Value::Null));
}

#[tokio::test]
async fn the_authoritys_own_end_is_told_of_a_year_before() {
    let fixture = Fixture::new().await;
    let ends = fixture.server.authority().ca_not_after();
    for (days, expected) in [(366, None), (365, Some(365)), (60, Some(90)), (1, Some(1))] {
        fixture.clock.set(ends.minus(DAY * days));
        fixture.watch_certificates().await;
        let rows = fixture.store.notice_page(NoticeFilter::Open, None, 10).await.expect("reads");
        let detail = rows.iter().map(|row| serde_json::from_str::<Value>(&row.detail).expect("JSON"));
        let told: Vec<_> =
            detail.filter(|detail| detail["role"] == "ca").map(|detail| detail["days"].clone()).collect();
        assert_eq!(told, expected.map(|days: u32| json!(days)).into_iter().collect::<Vec<_>>(), "{days} days before");
    }
}

#[tokio::test]
async fn nobody_is_told_of_what_was_revoked_or_archived() {
    let fixture = Fixture::new().await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    for name in ["archived", "revoked", "used"] {
        fixture.issue_for(name, 5).await;
    }
    let archived = ClientName::parse("archived").expect("a name");
    fixture.store.set_client_status(&archived, ClientStatus::Archived, "test").await.expect("archives");
    let revoked = Which::Name("revoked".into());
    fixture.server.authority().revoke(&revoked, "", "test").await.expect("revokes");
    fixture.watch_certificates().await;
    assert_eq!(expiring(&admin).await, [(json!("used"), json!(7))]);
}

#[tokio::test]
async fn new_dead_letters_are_told_of_and_old_ones_are_not() {
    let fixture = Fixture::new().await;
    // A certificate, for tokens do not last as long as this test.
    let admin = fixture.certificate(Role::Admin).await;
    let mut told = notices::Told::default();
    let app = &fixture.server.app;
    let (early, late) = (fixture.key.message(1), fixture.key.message(2));
    fixture.clock.set(NOW.plus(DAY * 29));
    notices::dead_letters(app, &mut told).await.expect("looks");
    assert!(admin.get("/admin/notices").await.each("kind").is_empty());
    for (n, envelope) in [early, late].into_iter().enumerate() {
        fixture.clock.set(NOW.plus(DAY * 31));
        fixture.register(&[envelope]).await;
        fixture.clock.set(NOW.plus(DAY * 29));
        notices::dead_letters(app, &mut told).await.expect("looks");
        notices::dead_letters(app, &mut told).await.expect("looks");
        let open = admin.get("/admin/notices").await;
        assert_eq!((open.each("kind"), open.each("count")), (vec![json!("dead_letters")], vec![json!(n + 1)]));
    }
}

#[tokio::test]
async fn a_broken_audit_log_is_told_of() {
    let fixture = Fixture::new().await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    chain::extend(&fixture.server.app).await.expect("chains");
    notices::audit(&fixture.server.app).await.expect("checks");
    assert!(admin.get("/admin/notices").await.each("kind").is_empty());
    fixture.execute("UPDATE audit_log SET actor = 'nobody' WHERE position = 1").await;
    notices::audit(&fixture.server.app).await.expect("checks");
    let open = admin.get("/admin/notices").await;
    assert_eq!((open.each("kind"), open.each("level")), (vec![json!("audit_broken")], vec![json!("error")]));
    assert_eq!(open.body["data"][0]["detail"]["position"], 1);
}

#[tokio::test]
async fn a_journals_faults_are_told_of_once_per_proxy_and_rise() {
    let fixture = Fixture::new().await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let proxy = fixture.client(Role::Proxy).await;
    let says = async |instance, faults| {
        let ask = PolicyQuery { instance: Some(instance), ..PolicyQuery::default() };
        proxy.policy(ask.with_faults(faults)).await.expect("answers");
        fixture.server.app.policy.follow(&fixture.store).await;
    };
    let all = async || admin.get("/admin/notices?resolved=true").await.each("detail").len();
    let open = async || admin.get("/admin/notices").await;
    let stale = JournalFaults { stale: 2, ..JournalFaults::default() };
    says(1, JournalFaults::default()).await;
    assert_eq!(all().await, 0);
    says(1, stale).await;
    says(1, stale).await;
    says(2, stale).await;
    assert_eq!((all().await, open().await.each("level")), (2, vec![json!("warning"), json!("warning")]));
    says(1, JournalFaults { damaged: 1, ..stale }).await;
    let rows = open().await;
    assert_eq!((rows.each("kind"), rows.each("count")), (vec![json!("journal_damaged"); 2], vec![json!(1); 2]));
    assert_eq!(rows.body["data"][0]["detail"], json!({ "proxy": "a-proxy", "damaged": 1, "stale": 2, "refused": 0 }));
    assert_eq!((all().await, rows.each("level")[0].clone()), (3, json!("error")));
    let proxies = admin.get("/admin/proxies/status").await;
    assert_eq!((proxies.each("id").len(), proxies.each("is_live")), (2, vec![json!(true); 2]));
    assert_eq!(proxies.body["data"][0]["damaged"], 1, "{proxies:?}");
    fixture.clock.set(NOW.plus(Duration::from_secs(61)));
    assert_eq!(admin.get("/admin/proxies/status").await.each("is_live"), vec![json!(false); 2]);
    let resolve = format!("/admin/notices/{}/resolve", rows.body["data"][0]["id"]);
    assert_eq!(admin.post(&resolve, json!(null)).await.status, 204);
    says(1, stale).await;
    assert_eq!((all().await, open().await.each("kind").len()), (3, 1), "what falls is no news, also once resolved");
    says(2, JournalFaults::default()).await;
    assert!(open().await.each("kind").is_empty(), "it was dealt with");
}
