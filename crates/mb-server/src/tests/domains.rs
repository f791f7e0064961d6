//! Domains: their rules reach the edge, within bounds.

use mb_core::{DomainName, UserRole};
use serde_json::json;

use super::fixture::Fixture;

#[tokio::test]
async fn a_domain_is_added_once_and_listed() {
    let fixture = Fixture::new().await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let made = admin.post("/admin/domains", json!({ "name": "eu" })).await;
    assert_eq!((made.status, &made.body["id"]), (201, &json!("eu")));
    assert_eq!(made.body["settings"]["body_limit"], 1000);
    let again = admin.post("/admin/domains", json!({ "name": "eu" })).await;
    assert_eq!((again.status, again.code()), (409, "conflict"));
    let settings = json!({ "sender_number": "optional", "body_limit": 5, "rate_limit": 7, "retention_days": 30, "body_retention_days": 7 });
    let made = admin.post("/admin/domains", json!({ "name": "us", "settings": settings })).await;
    assert_eq!(made.body["settings"], settings);
    assert_eq!(admin.get("/admin/domains/us").await.body["settings"], settings);
    assert_eq!(admin.pages("/admin/domains?limit=1", "id").await, ["eu", "us"].map(|id| json!(id)));
    assert_eq!(admin.get("/admin/domains/asia").await.code(), "not_found");
}

#[tokio::test]
async fn rules_reach_the_edge_when_they_are_answered() {
    let fixture = Fixture::new().await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    admin.post("/admin/domains", json!({ "name": "eu" })).await;
    let settings = json!({ "sender_number": "optional", "body_limit": 5, "rate_limit": null, "retention_days": null, "body_retention_days": null });
    assert_eq!(admin.put("/admin/domains/eu", settings).await.status, 200);
    let rules = fixture.server.policy().borrow().body_rules(&DomainName::parse("eu").expect("a name"));
    assert_eq!((rules.max_scalars, rules.sender_required), (5, false));
}

#[tokio::test]
async fn every_broken_bound_is_named_and_nothing_is_added() {
    let fixture = Fixture::new().await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let bad = json!({ "sender_number": "required", "body_limit": 0, "rate_limit": null, "retention_days": 9999 });
    let answer = admin.post("/admin/domains", json!({ "name": "eu", "settings": bad })).await;
    let pointers = answer.body["errors"].as_array().expect("errors").iter().map(|error| error["pointer"].clone());
    assert_eq!(pointers.collect::<Vec<_>>(), [json!("/settings/body_limit"), json!("/settings/retention_days")]);
    assert_eq!(admin.get("/admin/domains/eu").await.status, 404);
    assert_eq!(admin.put("/admin/domains/eu", bad).await.body["errors"][0]["pointer"], "/body_limit");
}
