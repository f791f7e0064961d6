//! One certificate authority takes another's place: both are trusted meanwhile, and what was signed stays proven.

use mb_api::dto::RegisterResult;
use mb_api::problem::ProblemCode;
use mb_core::Role;
use mb_core::policy::Refusal;
use mb_crypto::TrustAnchors;
use mb_crypto::ca::{Ca, SigningRequest};

use super::fixture::{Fixture, NOW, id, new_key};
use crate::authority::{Authorities, Which};

/// The bundle of both, and the authority that issues next.
fn successor(fixture: &Fixture) -> (String, Ca) {
    let next = Ca::create("next CA", NOW).expect("a CA");
    let old = fixture.server.authority().ca_pem();
    let bundle = format!("{old}\n{}", next.certificate_pem());
    let next = Ca::load(&bundle, next.private_key_pem().expose()).expect("the key says which one issues");
    (bundle, next)
}

#[tokio::test]
async fn both_are_trusted_the_next_one_issues_and_the_edge_is_told() {
    let fixture = Fixture::new().await;
    let (bundle, next) = successor(&fixture);
    let (issuing, version) = (next.issuer_id(), fixture.server.app.policy.current().version);
    let old = fixture.issue("till-1", Role::Client).await;
    assert!(fixture.server.adopt_ca(next.into()).await.expect("adopts"));
    let issued = fixture.issue("till-2", Role::Client).await;
    assert_eq!((issued.identity.issuer, old.identity.issuer == issuing), (issuing, false));
    let policy = fixture.server.app.policy.current();
    assert_eq!((&policy.ca_pem, policy.version > version), (&bundle, true));
    let anchors = TrustAnchors::from_pem(&policy.ca_pem).expect("two CAs");
    for pem in [&old.certificate_pem, &issued.certificate_pem] {
        let chain = mb_crypto::pem::certificates(pem).expect("a certificate");
        anchors.verify(&chain, NOW).expect("trusted");
    }
    // A proxy that still has its old certificate goes on, and one with a new certificate begins.
    let proxy = fixture.issue("proxy", Role::Proxy).await;
    let renewed = new_key(&fixture.server.app.master.public(), &proxy, NOW);
    let envelopes = [fixture.key.message(1), renewed.seal(&renewed.header(id(2)), "new")];
    let results = fixture.register_with(&[&fixture.key.record, &renewed.record], &envelopes).await;
    assert_eq!(results, [RegisterResult::Stored, RegisterResult::Stored]);
}

#[tokio::test]
async fn what_was_signed_under_a_retired_authority_opens_and_nothing_new_is_taken() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.register(&[fixture.key.message(1)]).await, [RegisterResult::Stored]);
    let old = fixture.server.authority().ca_pem();
    let next = Ca::create("next CA", NOW).expect("a CA");
    fixture.server.adopt_ca(Authorities { retired: old.clone(), ..next.into() }).await.expect("adopts");
    fixture.server.app.keys.forget_all();
    let admin = fixture.certificate(Role::Admin).await;
    let path = format!("/portal/messages/{}", id(1));
    assert_eq!(admin.get(&path).await.body["message_body"], "hello");
    assert!(!fixture.server.app.policy.current().ca_pem.contains(old.trim()), "the edge trusts it no more");
    // Without it even the past is not believed.
    let next = Ca::create("another CA", NOW).expect("a CA");
    fixture.server.adopt_ca(next.into()).await.expect("adopts");
    fixture.server.app.keys.forget_all();
    let admin = fixture.certificate(Role::Admin).await;
    assert_eq!(admin.get(&path).await.status, 409);
}

#[tokio::test]
async fn who_holds_a_certificate_of_an_authority_that_was_taken_out_may_do_nothing_and_renews_nothing() {
    let fixture = Fixture::new().await;
    let old = fixture.issue("till", Role::Client).await.identity;
    let admin = fixture.certificate(Role::Admin).await;
    let (bundle, next) = successor(&fixture);
    fixture.server.adopt_ca(next.into()).await.expect("adopts");
    admin.get("/admin/users").await.ok(200);
    let (_, alone) = bundle.split_once("-----END CERTIFICATE-----").expect("two");
    let key = Ca::create("third CA", NOW).expect("a CA");
    let third = format!("{alone}\n{}", key.certificate_pem());
    let third = Ca::load(&third, key.private_key_pem().expose()).expect("one without the first");
    fixture.server.adopt_ca(third.into()).await.expect("adopts");
    // Over a connection that was open before.
    assert_eq!(admin.get("/admin/users").await.problem(), (403, "certificate_revoked"));
    let policy = fixture.server.app.policy.current();
    assert_eq!(policy.shuts_out(&old), Some(Refusal::Untrusted), "its connections are closed");
    let request = SigningRequest::create("till").expect("a request").1;
    let renewed = fixture.server.authority().renew(&old, &request, "test").await.expect_err("refused");
    assert_eq!(renewed.code(), ProblemCode::CertificateRevoked);
}

#[tokio::test]
async fn each_authority_signs_a_list_of_what_it_has_issued() {
    let fixture = Fixture::new().await;
    let before = fixture.issue("till-1", Role::Client).await;
    let (bundle, next) = successor(&fixture);
    let old = Ca::load(&bundle, fixture.ca_key.expose()).expect("the one before");
    fixture.server.adopt_ca(Authorities { previous: Some(old), ..next.into() }).await.expect("adopts");
    let after = fixture.issue("till-2", Role::Client).await;
    let authority = fixture.server.authority();
    for name in ["till-1", "till-2"] {
        authority.revoke(&Which::Name(name.into(), None), "", "test").await.expect("revokes");
    }
    let pem = authority.revocation_list().await.expect("signs").pem;
    let lists = mb_crypto::pem::revocation_lists(std::str::from_utf8(&pem).expect("text")).expect("lists");
    let holds = |list: &[u8], serial: &[u8]| list.windows(serial.len()).any(|window| window == serial);
    let found = |serial: &[u8]| lists.iter().map(|list| holds(list, serial)).collect::<Vec<_>>();
    assert_eq!(found(&after.identity.serial), [true, false], "the one that issues comes first");
    assert_eq!(found(&before.identity.serial), [false, true]);
    let (_, alone) = successor(&fixture);
    fixture.server.adopt_ca(alone.into()).await.expect("adopts");
    let pem = authority.revocation_list().await.expect("signs").pem;
    assert_eq!(
        mb_crypto::pem::revocation_lists(std::str::from_utf8(&pem).expect("text")).expect("lists").len(),
        1,
        "nobody else signs any more"
    );
}

#[tokio::test]
async fn a_list_is_signed_when_something_changes_and_daily_and_not_for_everybody_who_asks() {
    let fixture = Fixture::new().await;
    let (authority, anybody) = (fixture.server.authority(), fixture.client_of(mb_api::Peer::default()));
    for name in ["till-1", "till-2"] {
        fixture.issue(name, Role::Client).await;
    }
    authority.revoke(&Which::Name("till-1".into(), None), "", "test").await.expect("revokes");
    let first = anybody.revocation_list().await.expect("answers");
    fixture.clock.set(fixture.clock.now().plus(std::time::Duration::from_hours(23)));
    assert_eq!(anybody.revocation_list().await.expect("answers"), first, "it is kept");
    authority.revoke(&Which::Name("till-2".into(), None), "", "test").await.expect("revokes");
    let second = anybody.revocation_list().await.expect("answers");
    assert_ne!(second, first);
    fixture.clock.set(fixture.clock.now().plus(std::time::Duration::from_hours(24)));
    assert_ne!(anybody.revocation_list().await.expect("answers"), second, "a day is over");
    // What has ended long ago is on no list any more.
    let lists = mb_crypto::pem::revocation_list(&second).expect("a list").len();
    fixture.clock.set(fixture.clock.now().plus(std::time::Duration::from_hours(24 * 400)));
    let empty = anybody.revocation_list().await.expect("answers");
    assert!(mb_crypto::pem::revocation_list(&empty).expect("a list").len() < lists);
}
