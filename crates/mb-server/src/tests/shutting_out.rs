//! Who is taken out of service comes back neither by a renewal, nor by a token, nor under another's name.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use mb_api::Peer;
use mb_api::dto::RevokeCertificate;
use mb_api::dto::delivery::LeaseRequest;
use mb_api::problem::ProblemCode;
use mb_core::UserRole;
use mb_core::{ClientName, ClientStatus, Role};
use mb_crypto::ca::SigningRequest;
use mb_store::{CertificateFilter, CertificateStatus, RevokeTarget};
use serde_json::{Value, json};

use super::fixture::Fixture;

fn request() -> String {
    SigningRequest::create("whoever").expect("a request").1
}

/// The names and roles of all valid certificates, sorted.
async fn valid(fixture: &Fixture) -> Vec<(String, Role)> {
    let filter = CertificateFilter { status: Some(CertificateStatus::Valid), ..CertificateFilter::default() };
    let rows = fixture.store.certificates(&filter).await.expect("reads");
    rows.into_iter().map(|row| (row.name, row.role)).collect()
}

#[tokio::test]
async fn a_renewal_is_judged_by_the_store_and_not_by_what_is_remembered_of_it() {
    let fixture = Fixture::new().await;
    let authority = fixture.server.authority();
    let refusal =
        async |held: &mb_core::Identity| authority.renew(held, &request(), "test").await.expect_err("refused").code();
    let (lost, paused) = (fixture.issue("lost", Role::Client).await, fixture.issue("paused", Role::Client).await);
    authority.renew(&lost.identity, &request(), "test").await.expect("renews");
    // Another main server does it: the policy in memory here does not know yet.
    let target = RevokeTarget::Name("lost".into(), vec![Role::Client]);
    fixture.store.revoke(&target, "lost", "other").await.expect("revokes");
    let paused_name = ClientName::parse("paused").expect("a name");
    fixture.store.set_client_status(&paused_name, ClientStatus::Suspended, "other").await.expect("sets");
    assert!(fixture.server.policy().borrow().revoked.is_empty(), "it is not known here");
    assert_eq!(refusal(&lost.identity).await, ProblemCode::CertificateRevoked);
    assert_eq!(refusal(&paused.identity).await, ProblemCode::ClientSuspended);
    assert!(authority.reissue("lost", None, None, "test").await.is_err());
    assert_eq!(valid(&fixture).await, [("paused".into(), Role::Client), ("proxy".into(), Role::Proxy)]);
}

#[tokio::test]
async fn who_is_suspended_or_archived_gets_no_certificate_from_an_administrator_either() {
    let fixture = Fixture::new().await;
    fixture.issue("till", Role::Client).await;
    let admin = fixture.certificate(Role::Admin).await;
    for status in ["suspended", "archived"] {
        admin.put("/admin/clients/till/status", json!({ "status": status })).await.ok(200);
        for path in ["generate", "renew"] {
            let refused = admin.post(&format!("/admin/certificates/{path}"), json!({ "client_id": "till" })).await;
            assert_eq!(refused.problem(), (409, "conflict"), "{path}, {status}");
        }
        let offered = admin.post("/admin/clients/till/enroll", json!({})).await;
        assert_eq!(offered.problem(), (409, "conflict"), "{status}");
    }
}

#[tokio::test]
async fn a_token_is_one_certificate_and_ends_with_its_client() {
    let fixture = Fixture::new().await;
    let admin = fixture.certificate(Role::Admin).await;
    let token = async |name: &str| {
        let offered = admin.post(&format!("/admin/clients/{name}/enroll"), json!({})).await.ok(201);
        offered["token"].as_str().expect("a token").to_owned()
    };
    let anybody = fixture.from("192.0.2.9");
    let ask = json!({ "token": token("till-1").await, "csr": request() });
    let asked = (0..20).map(|_| anybody.post("/pki/enroll", ask.clone()));
    let mut serials: Vec<Value> = Vec::new();
    for answer in futures_util::future::join_all(asked).await {
        serials.push(answer.ok(201)["id"].clone());
    }
    serials.dedup();
    assert_eq!(serials.len(), 1, "{serials:?}");
    let tills = valid(&fixture).await.into_iter().filter(|(name, _)| name == "till-1").count();
    assert_eq!(tills, 1);
    for (name, end) in [("till-2", "revoke"), ("till-3", "archive")] {
        let token = token(name).await;
        let ended = match end {
            "revoke" => admin.post("/admin/certificates/revoke", json!({ "client_id": name })).await,
            _ => admin.put(&format!("/admin/clients/{name}/status"), json!({ "status": "archived" })).await,
        };
        ended.ok(200);
        let refused = anybody.post("/pki/enroll", json!({ "token": token, "csr": request() })).await;
        assert_eq!(refused.problem(), (401, "invalid_token"), "{end}");
    }
}

#[tokio::test]
async fn a_name_that_is_revoked_has_no_token_in_any_role() {
    let fixture = Fixture::new().await;
    let admin = fixture.certificate(Role::Admin).await;
    let token = async |name: &str, role: &str| {
        let offered = admin.post(&format!("/admin/clients/{name}/enroll"), json!({ "role": role })).await.ok(201);
        offered["token"].as_str().expect("a token").to_owned()
    };
    let anybody = fixture.from("192.0.2.9");
    let enrol = async |token: &str| anybody.post("/pki/enroll", json!({ "token": token, "csr": request() })).await;
    let revoke = async |name: &str| admin.post("/admin/certificates/revoke", json!({ "client_id": name })).await;
    // A worker whose certificates are revoked already, a client that is to monitor, and a name that has a token alone.
    fixture.issue("w9", Role::Worker).await;
    revoke("w9").await.ok(200);
    fixture.issue("both", Role::Client).await;
    for (name, role, certificates) in [("w9", "worker", 0), ("both", "monitoring", 1), ("w8", "worker", 0)] {
        let token = token(name, role).await;
        let answer = revoke(name).await.ok(200);
        let revoked = answer["revoked"].as_array().map(Vec::len);
        assert_eq!((revoked, &answer["tokens"]), (Some(certificates), &json!(1)), "{name}");
        assert_eq!(enrol(&token).await.problem(), (401, "invalid_token"), "{name}");
    }
    assert_eq!(revoke("nobody").await.problem(), (404, "not_found"));
    let token = token("both", "monitoring").await;
    let client = json!({ "client_id": "both", "role": "client" });
    assert_eq!(admin.post("/admin/certificates/revoke", client).await.ok(200)["tokens"], 0);
    enrol(&token).await.ok(201);
}

#[tokio::test]
async fn who_is_taken_out_as_the_body_arrives_brings_nothing_to_an_end() {
    let fixture = Fixture::new().await;
    let operator = fixture.certificate(Role::Admin).await;
    fixture.signed_in(UserRole::Admin, None).await;
    let refusals = [("status", 401), ("role", 401), ("delete", 401), ("nothing", 201)];
    for (end, expected) in refusals {
        fixture.issue(end, Role::Client).await;
        let admin = fixture.signed_in(UserRole::Admin, Some(end)).await;
        let users = operator.get("/admin/users").await.ok(200);
        let rows = users["data"].as_array().expect("a list");
        let email = format!("admin-{end}@example.org");
        let id = rows.iter().find(|row| row["email"] == email.as_str()).expect("listed")["id"].to_string();
        let path = format!("/admin/users/{}", id.trim_matches('"'));
        let taken_out = async {
            match end {
                "status" => drop(operator.put(&format!("{path}/status"), json!({ "is_active": false })).await.ok(200)),
                "role" => drop(operator.put(&format!("{path}/role"), json!({ "role": "user" })).await.ok(200)),
                "delete" => assert_eq!(operator.delete(&path).await.status, 204),
                _ => {}
            }
        };
        let ask = json!({ "client_id": format!("ev-{end}"), "role": "admin" });
        let answer = admin.post_slowly("/admin/certificates/generate", ask, taken_out).await;
        assert_eq!(answer.status, expected, "{end}: {answer:?}");
    }
    let made = valid(&fixture).await.into_iter().filter(|(name, _)| name.starts_with("ev-")).collect::<Vec<_>>();
    assert_eq!(made, [("ev-nothing".into(), Role::Admin)]);
}

#[tokio::test]
async fn an_export_ends_with_the_right_to_it() {
    let fixture = Fixture::new().await;
    let envelopes = (0..=255).map(|n| fixture.key.message(n)).collect::<Vec<_>>();
    fixture.register(&envelopes).await;
    let operator = fixture.certificate(Role::Admin).await;
    fixture.issue("leaves", Role::Client).await;
    let admin = fixture.signed_in(UserRole::Admin, Some("leaves")).await;
    let mut export = admin.begun("/admin/messages/export").await;
    let first = export.frame().await.expect("a page").expect("read").into_data().expect("data");
    assert_eq!(String::from_utf8_lossy(&first).lines().count(), 250);
    fixture.signed_in(UserRole::Admin, None).await;
    let users = operator.get("/admin/users").await.ok(200);
    let rows = users["data"].as_array().expect("a list");
    let id = rows.iter().find(|row| row["email"] == "admin-leaves@example.org").expect("listed")["id"].to_string();
    let path = format!("/admin/users/{}/status", id.trim_matches('"'));
    operator.put(&path, json!({ "is_active": false })).await.ok(200);
    assert!(export.frame().await.expect("an end").is_err(), "no more rows");
}

#[tokio::test]
async fn the_names_of_components_are_nobody_elses() {
    let fixture = Fixture::new().await;
    let admin = fixture.certificate(Role::Admin).await;
    let before = valid(&fixture).await;
    for name in ["server", "proxy", "worker", "portal", "admin", "monitoring", "ca"] {
        for (path, ask) in [
            ("/admin/certificates/generate".to_owned(), json!({ "client_id": name })),
            ("/admin/certificates/generate".to_owned(), json!({ "client_id": name, "role": "consumer" })),
            ("/admin/certificates/sign".to_owned(), json!({ "client_id": name, "csr": request() })),
            (format!("/admin/clients/{name}/enroll"), json!({})),
        ] {
            let refused = admin.post(&path, ask).await;
            assert_eq!(refused.problem(), (422, "validation_failed"), "{name}: {path}");
        }
    }
    assert_eq!(valid(&fixture).await, before);
}

#[tokio::test]
async fn what_is_done_by_name_is_done_to_one_holder() {
    let fixture = Fixture::new().await;
    for role in [Role::Client, Role::Admin] {
        fixture.issue("ops", role).await;
    }
    let admin = fixture.certificate(Role::Admin).await;
    for path in ["/admin/certificates/revoke", "/admin/certificates/renew"] {
        let refused = admin.post(path, json!({ "client_id": "ops" })).await;
        assert_eq!(refused.problem(), (409, "conflict"), "{path}");
    }
    let renewed =
        admin.post("/admin/certificates/renew", json!({ "client_id": "ops", "role": "client" })).await.ok(201);
    let held = valid(&fixture).await.into_iter().filter(|(name, _)| name == "ops").map(|(_, role)| role);
    assert_eq!(held.collect::<Vec<_>>().iter().filter(|role| **role == Role::Client).count(), 2, "{renewed}");
    let revoked =
        admin.post("/admin/certificates/revoke", json!({ "client_id": "ops", "role": "client" })).await.ok(200);
    assert_eq!(revoked["revoked"].as_array().expect("a list").len(), 2);
    assert!(valid(&fixture).await.contains(&("ops".into(), Role::Admin)));
}

#[tokio::test]
async fn what_was_renewed_over_a_revoked_certificate_is_told_of_or_goes_with_it() {
    let fixture = Fixture::new().await;
    let first = fixture.issue("till", Role::Client).await.identity;
    let authority = fixture.server.authority();
    let second = authority.renew(&first, &request(), "till").await.expect("renews").identity;
    let third = authority.renew(&second, &request(), "till").await.expect("renews").identity;
    let admin = fixture.client(Role::Admin).await;
    let serial = |identity: &mb_core::Identity| mb_core::hex::encode(&identity.serial);
    let ask = |successors| RevokeCertificate {
        client_id: None,
        role: None,
        serial: Some(serial(&first)),
        reason: None,
        successors,
    };
    let answer = admin.revoke_certificate(&ask(false)).await.expect("revokes");
    assert_eq!((answer.revoked, answer.successors), (vec![serial(&first)], vec![serial(&second)]));
    let answer = admin.revoke_certificate(&ask(true)).await.expect("revokes");
    assert_eq!((answer.revoked, answer.successors), (vec![serial(&second), serial(&third)], Vec::new()));
}

#[tokio::test]
async fn a_worker_that_is_revoked_as_it_waits_is_told_so_and_given_nothing() {
    let fixture = Fixture::new().await;
    let issued = fixture.issue("worker-2", Role::Worker).await;
    let worker = fixture.client_of(Peer::in_process(Arc::new(issued.identity)));
    let admin = fixture.certificate(Role::Admin).await;
    let ask = LeaseRequest { worker: "w".into(), limit: 10, except: Vec::new(), knows: u64::MAX, wait_seconds: 20 };
    let begun = tokio::time::Instant::now();
    let (waited, revoked) = tokio::join!(worker.lease_deliveries(&ask), async {
        tokio::task::yield_now().await;
        admin.post("/admin/certificates/revoke", json!({ "client_id": "worker-2" })).await
    });
    revoked.ok(200);
    let refused = waited.expect_err("refused");
    assert_eq!(refused.code(), Some(ProblemCode::CertificateRevoked));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_consumer_has_a_bounded_number_of_questions_open_and_keeps_nobody_out() {
    let fixture = Fixture::new().await;
    let reader = fixture.certificate(Role::Consumer).await;
    let admin = fixture.certificate(Role::Admin).await;
    admin.post("/admin/destinations", json!({ "name": "inbox", "kind": "pull" })).await.ok(201);
    let ask = || reader.post("/api/v1/pull/inbox", json!({ "max": 1, "wait_seconds": 30 }));
    let mut open = futures_util::stream::FuturesUnordered::new();
    for _ in 0..65 {
        open.push(ask());
    }
    let first = futures_util::StreamExt::next(&mut open).await.expect("one is answered");
    assert_eq!(first.problem(), (429, "rate_limited"));
    let answered = async {
        while let Some(answer) = futures_util::StreamExt::next(&mut open).await {
            assert_eq!(answer.problem(), (403, "certificate_revoked"));
        }
    };
    let revoking = admin.post("/admin/certificates/revoke", json!({ "client_id": "a-consumer" }));
    let ((), revoked) = tokio::join!(answered, revoking);
    revoked.ok(200);
}
