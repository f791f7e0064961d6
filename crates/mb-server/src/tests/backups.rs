//! `/admin/backups`: jobs that are begun, looked at and told of.

use mb_core::{Role, UserRole};
use serde_json::{Value, json};

use super::asking::Asking;
use super::fixture::Fixture;

/// The job once it is over.
async fn ended(asking: &Asking<'_>, begun: &Value) -> Value {
    let path = format!("/admin/backups/jobs/{}", begun["id"].as_str().expect("an id"));
    loop {
        let job = asking.get(&path).await.body;
        if job["state"] != "running" {
            return job;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_begun_looked_at_listed_and_proven() {
    let fixture = Fixture::new().await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let begun = admin.post("/admin/backups", json!({})).await;
    assert_eq!((begun.status, begun.body["kind"].as_str()), (202, Some("create")), "{begun:?}");
    let second = admin.post("/admin/backups", json!({})).await;
    assert_eq!((second.status, second.body["code"].as_str()), (409, Some("conflict")), "one at a time");
    let job = ended(&admin, &begun.body).await;
    assert_eq!(job["state"], "done", "{job}");
    let name = job["backup"]["name"].as_str().expect("a name").to_owned();
    let listed = admin.get("/admin/backups").await.body;
    assert_eq!((&listed["data"][0]["name"], &listed["data"][0]["state"]), (&json!(name), &json!("good")), "{listed}");
    assert_eq!(listed["data"][0]["verified_at"], Value::Null);

    let begun = admin.post("/admin/backups/verify", json!({ "backup": name })).await;
    let job = ended(&admin, &begun.body).await;
    assert_eq!(job["state"], "done", "{job}");
    assert!(job["verified"]["rows"].as_u64() > Some(0), "{job}");
    assert!(admin.get("/admin/backups").await.body["data"][0]["verified_at"].is_string());
    let manifest = format!("/admin/backups/file?backup={name}&file=manifest");
    assert!(admin.get(&manifest).await.body.is_object());
    let past = admin.get(&format!("{manifest}&offset=1000000")).await;
    assert_eq!((past.status, past.body), (200, Value::Null), "nothing is behind its end");
    for other in ["../secrets", "/etc", "backup_20200101_000000"] {
        let path = format!("/admin/backups/file?backup={other}&file=database");
        assert_eq!(admin.get(&path).await.status, 404, "{other}");
    }
    let actions = admin.pages("/admin/audit", "action").await;
    assert!(actions.contains(&json!("backup.download")), "{actions:?}");
    assert!(actions.contains(&json!("backup.create")) && actions.contains(&json!("backup.verify")), "{actions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_of_the_machine_are_for_those_who_administer_it() {
    let fixture = Fixture::new().await;
    let (admin, operator) = (fixture.signed_in(UserRole::Admin, None).await, fixture.certificate(Role::Admin).await);
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let to = json!({ "to": elsewhere.path() });
    assert_eq!(admin.post("/admin/backups", to.clone()).await.status, 403);
    assert_eq!(admin.post("/admin/backups/verify", json!({ "backup": elsewhere.path() })).await.status, 403);
    assert_eq!(operator.post("/admin/backups", json!({ "to": "relative" })).await.status, 422);
    assert_eq!(operator.post("/admin/backups/verify", json!({ "backup": "backup_20200101_000000" })).await.status, 404);
    let begun = operator.post("/admin/backups", to).await;
    let job = ended(&operator, &begun.body).await;
    let path = job["backup"]["path"].as_str().unwrap_or_else(|| panic!("{job}")).to_owned();
    assert!(std::path::Path::new(&path).starts_with(elsewhere.path()));
    std::fs::write(std::path::Path::new(&path).join("database.age"), "nothing").expect("written");
    let begun = operator.post("/admin/backups/verify", json!({ "backup": path })).await;
    let job = ended(&operator, &begun.body).await;
    assert_eq!(job["state"], "failed", "{job}");
    assert!(job["error"].as_str().is_some_and(|error| error.contains("the manifest says")), "{job}");
    let notices = operator.pages("/admin/notices", "kind").await;
    assert_eq!(notices, [json!("backup_failed")]);
}
