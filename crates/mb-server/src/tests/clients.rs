//! Clients: listed, suspended, resumed, archived, limited; in effect when it is answered.

use mb_api::dto::PolicyQuery;
use mb_core::{ClientName, DomainName, Role, UserRole};
use serde_json::json;

use super::fixture::Fixture;

async fn fill(fixture: &Fixture) {
    for (name, domain) in [("b", "eu"), ("a", "default"), ("c", "eu")] {
        let (name, domain) = (ClientName::parse(name).expect("a name"), DomainName::parse(domain).expect("a name"));
        fixture.store.ensure_client(&name, &domain, "test").await.expect("there");
    }
}

#[tokio::test]
async fn clients_are_listed_by_name_page_by_page_and_archived_ones_only_when_asked_for() {
    let fixture = Fixture::new().await;
    fill(&fixture).await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    assert_eq!(admin.pages("/admin/clients?limit=1", "id").await, ["a", "b", "c"].map(|name| json!(name)));
    let archived = admin.put("/admin/clients/b/status", json!({ "status": "archived" })).await;
    assert_eq!((archived.status, &archived.body["status"]), (200, &json!("archived")));
    let names = async |query: &str| admin.get(&format!("/admin/clients?{query}")).await.each("client_id");
    assert_eq!(names("").await, ["a", "c"].map(|name| json!(name)));
    assert_eq!(names("status=archived").await, [json!("b")]);
    assert_eq!(names("domain=eu").await, [json!("c")]);
    assert_eq!(admin.get("/admin/clients/b").await.body["domain"], "eu");
    for unknown in ["/admin/clients/nobody", "/admin/clients/No%20name"] {
        assert_eq!(admin.get(unknown).await.code(), "not_found", "{unknown}");
    }
}

#[tokio::test]
async fn a_suspension_holds_when_it_is_answered_and_ends_with_its_end() {
    let fixture = Fixture::new().await;
    fixture.issue("demo", Role::Client).await;
    let admin = fixture.certificate(Role::Admin).await;
    let name = ClientName::parse("demo").expect("a name");
    let suspended = || fixture.server.policy().borrow().suspended.contains(&name);
    for (status, out) in [("suspended", true), ("active", false), ("archived", true), ("active", false)] {
        let answer = admin.put("/admin/clients/demo/status", json!({ "status": status })).await;
        assert_eq!(answer.status, 200);
        assert_eq!(suspended(), out, "{status}");
    }
    let log = fixture.store.audit_log(None, 1).await.expect("reads");
    assert_eq!((log[0].actor.as_str(), log[0].action.as_str()), ("admin:a-admin", "client.set_status"));
}

#[tokio::test]
async fn the_answer_waits_for_the_proxies() {
    let fixture = Fixture::new().await;
    fixture.issue("demo", Role::Client).await;
    let (proxy, admin) = (fixture.client(Role::Proxy).await, fixture.certificate(Role::Admin).await);
    let held = proxy.policy(PolicyQuery::default()).await.expect("answers").expect("at once");
    let body = json!({ "status": "suspended" });
    let mut suspending = std::pin::pin!(admin.put("/admin/clients/demo/status", body));
    let newer = tokio::select! {
        newer = proxy.policy(PolicyQuery::of(Some(&held))) => newer.expect("answers").expect("a change"),
        answer = &mut suspending => panic!("answered before the proxy knew: {answer:?}"),
    };
    tokio::select! {
        answer = &mut suspending => assert_eq!(answer.status, 200),
        poll = proxy.policy(PolicyQuery::of(Some(&newer))) => panic!("the proxy was not waited for: {poll:?}"),
    }
}

#[tokio::test]
async fn a_rate_limit_is_set_within_its_bounds_and_taken_away() {
    let fixture = Fixture::new().await;
    fill(&fixture).await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let path = "/admin/clients/a/rate-limit";
    for limit in [json!(0), json!(1_000_000), json!(null)] {
        let answer = admin.put(path, json!({ "rate_limit": limit })).await;
        assert_eq!((answer.status, &answer.body["rate_limit"]), (200, &limit));
    }
    let answer = admin.put(path, json!({ "rate_limit": 1_000_001 })).await;
    assert_eq!((answer.code(), &answer.body["errors"][0]["pointer"]), ("validation_failed", &json!("/rate_limit")));
    for (bad, code) in [(json!({ "limit": 1 }), "validation_failed"), (json!("x"), "validation_failed")] {
        assert_eq!(admin.put(path, bad).await.code(), code);
    }
}
