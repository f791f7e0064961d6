//! Who may ask what, and when a change of that is in effect.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mb_api::dto::CertificateQuery;
use mb_api::dto::delivery::RegisterQuery;
use mb_api::dto::{PolicyQuery, RevokeCertificate};
use mb_api::{ClientError, Peer, ProblemCode};
use mb_core::{ClientName, DomainName, DomainRules, JournalBacklog, JournalFaults, Role};
use mb_store::Heartbeat;

use super::fixture::Fixture;

/// What an attempt is answered with: nothing if it is let in, whatever comes of it then.
fn refusal<T>(outcome: Result<T, ClientError>) -> Option<ProblemCode> {
    outcome.err().and_then(|error| error.code()).filter(|code| *code != ProblemCode::MalformedRequest)
}

#[tokio::test]
async fn every_route_takes_its_own_roles_alone() {
    let fixture = Fixture::new().await;
    let demo = ClientName::parse("demo").expect("valid");
    for role in Role::ALL {
        let client = fixture.client(role).await;
        let expected = |roles: &[Role]| (!roles.contains(&role)).then_some(ProblemCode::WrongRole);
        let outcome = client.register(Bytes::from_static(b"no batch"), &RegisterQuery::default(), None).await;
        assert_eq!(refusal(outcome), expected(&[Role::Worker]), "register as {role}");
        assert_eq!(refusal(client.confirm(Vec::new()).await), expected(&[Role::Proxy]), "confirm as {role}");
        let outcome = client.status(demo.clone(), Vec::new(), None).await;
        assert_eq!(refusal(outcome), expected(&[Role::Proxy]), "status as {role}");
        let followers = [Role::Proxy, Role::Worker, Role::Portal];
        assert_eq!(refusal(client.policy(PolicyQuery::default()).await), expected(&followers), "policy as {role}");
        let outcome = client.certificates(&CertificateQuery::default()).await;
        assert_eq!(refusal(outcome), expected(&[Role::Admin]), "certificates as {role}");
    }
}

#[tokio::test]
async fn without_a_certificate_only_the_public_is_told() {
    let fixture = Fixture::new().await;
    let nobody = fixture.client_of(Peer::default());
    let expected = Some(ProblemCode::NoIdentity);
    assert_eq!(
        refusal(nobody.register(Bytes::from_static(b"no batch"), &RegisterQuery::default(), None).await),
        expected
    );
    assert_eq!(refusal(nobody.confirm(Vec::new()).await), expected);
    assert_eq!(refusal(nobody.policy(PolicyQuery::default()).await), expected);
    assert_eq!(refusal(nobody.certificates(&CertificateQuery::default()).await), expected);
}

/// Asks to revoke what the client `demo` has.
fn of_demo() -> RevokeCertificate {
    let client_id = ClientName::parse("demo");
    RevokeCertificate { client_id, role: None, serial: None, reason: None, successors: false }
}

#[tokio::test]
async fn a_revocation_is_answered_once_the_proxies_have_it() {
    let fixture = Fixture::new().await;
    fixture.issue("demo", Role::Client).await;
    let (proxy, admin) = (fixture.client(Role::Proxy).await, fixture.client(Role::Admin).await);
    let held = proxy.policy(PolicyQuery::default()).await.expect("answers").expect("at once");
    let ask = of_demo();
    let mut revoking = pin!(admin.revoke_certificate(&ask));
    let newer = tokio::select! {
        newer = proxy.policy(PolicyQuery::of(Some(&held))) => newer.expect("answers").expect("a change"),
        answer = &mut revoking => panic!("answered before the proxy knew: {answer:?}"),
    };
    assert_eq!(newer.revoked.len(), 1);
    tokio::select! {
        answer = &mut revoking => assert_eq!(answer.expect("revokes").revoked.len(), 1),
        poll = proxy.policy(PolicyQuery::of(Some(&newer))) => panic!("the proxy was not waited for: {poll:?}"),
    }
}

#[tokio::test]
async fn a_revocation_names_the_proxies_that_may_not_know_it() {
    let fixture = Fixture::new().await;
    fixture.issue("demo", Role::Client).await;
    let admin = fixture.client(Role::Admin).await;
    // They ask another main server.
    let seen = async |name: &str, policy_version: u64| {
        let heartbeat = Heartbeat {
            id: format!("id-{name}"),
            name: name.into(),
            policy_version: Some(policy_version),
            clock_ahead_ms: None,
            faults: JournalFaults::default(),
            backlog: JournalBacklog::default(),
        };
        fixture.store.proxies_seen(&[heartbeat]).await.expect("notes");
    };
    seen("silent", 0).await;
    fixture.clock.set(fixture.clock.now().plus(Duration::from_secs(90)));
    seen("late", 0).await;
    seen("behind", 0).await;
    let ask = of_demo();
    let (answer, ()) = tokio::join!(admin.revoke_certificate(&ask), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        seen("late", u64::from(u32::MAX)).await;
    });
    let answer = answer.expect("revokes");
    assert_eq!((answer.behind, answer.silent), (vec!["behind".to_owned()], vec!["silent".to_owned()]));
    assert_eq!(answer.revoked.len(), 1);
}

#[tokio::test]
async fn a_database_that_is_older_than_what_a_proxy_holds_is_told_of_until_its_new_epoch() {
    let fixture = Fixture::new().await;
    let proxy = fixture.client(Role::Proxy).await;
    let held = proxy.policy(PolicyQuery::default()).await.expect("answers").expect("at once");
    assert!(!fixture.server.is_behind());
    let knew = PolicyQuery { knew: Some(held.version + 1000), ..PolicyQuery::default() };
    proxy.policy(knew).await.expect("answers").expect("at once");
    proxy.policy(PolicyQuery::default()).await.expect("answers").expect("at once");
    assert!(fixture.server.is_behind());
    fixture.store.new_epoch("root").await.expect("mints");
    fixture.server.app.policy.refresh(&fixture.store).await.expect("reads");
    assert!(!fixture.server.is_behind());
}

#[tokio::test]
async fn proxies_are_told_at_once_how_many_share_the_limits() {
    let fixture = Fixture::new().await;
    let first = fixture.client(Role::Proxy).await;
    let held = first.policy(PolicyQuery::default()).await.expect("answers").expect("at once");
    assert_eq!(held.limits.proxies, 1);
    let second = fixture.client_of(Peer::in_process(Arc::new(fixture.proxy.identity.clone())));
    let (told, joined) =
        tokio::join!(first.policy(PolicyQuery::of(Some(&held))), second.policy(PolicyQuery::default()));
    assert_eq!(joined.expect("answers").expect("at once").limits.proxies, 2);
    let told = told.expect("answers").expect("news");
    assert_eq!((told.limits.proxies, told.version), (2, held.version));
}

#[tokio::test]
async fn what_domains_and_clients_are_held_to_is_in_the_policy() {
    let fixture = Fixture::new().await;
    fixture.issue("demo", Role::Client).await;
    let (demo, domain) = (ClientName::parse("demo").expect("valid"), DomainName::default());
    let rules = DomainRules { body_limit: 5, rate_limit: Some(7), ..DomainRules::default() };
    fixture.store.set_domain_rules(&domain, &rules, "test").await.expect("set").expect("there");
    fixture.store.set_client_rate_limit(&demo, Some(0), "test").await.expect("set").expect("there");
    fixture.server.app.policy.refresh(&fixture.store).await.expect("refreshes");
    let policy = fixture.server.policy().borrow().clone();
    assert_eq!(policy.body_rules(&domain), rules.body_rules());
    assert_eq!(policy.limits.domains.get(&domain), Some(&7));
    assert_eq!(policy.limits.clients.get(&demo), Some(&0));
}

#[tokio::test]
async fn nobody_waits_for_a_proxy_that_is_revoked_itself() {
    let fixture = Fixture::new().await;
    let proxy = fixture.client_of(Peer::in_process(Arc::new(fixture.proxy.identity.clone())));
    let admin = fixture.client(Role::Admin).await;
    proxy.policy(PolicyQuery::default()).await.expect("answers");
    let ask = RevokeCertificate {
        client_id: ClientName::parse("proxy"),
        role: None,
        serial: None,
        reason: None,
        successors: false,
    };
    let began = tokio::time::Instant::now();
    admin.revoke_certificate(&ask).await.expect("revokes");
    assert!(began.elapsed() < std::time::Duration::from_secs(2));
    assert_eq!(refusal(proxy.confirm(Vec::new()).await), Some(ProblemCode::CertificateRevoked));
}

#[tokio::test]
async fn the_list_of_certificates_comes_page_by_page() {
    let fixture = Fixture::new().await;
    let admin = fixture.client(Role::Admin).await;
    for name in ["a", "b", "c"] {
        fixture.issue(name, Role::Client).await;
    }
    let (mut names, mut cursor) = (Vec::new(), None);
    loop {
        let page = admin
            .certificates(&CertificateQuery { limit: Some(2), cursor, ..CertificateQuery::default() })
            .await
            .expect("answers");
        assert!(page.data.len() <= 2);
        names.extend(page.data.into_iter().map(|row| row.client_id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(names, ["proxy", "a-admin", "a", "b", "c"]);
}

#[tokio::test]
async fn every_serving_certificate_carries_the_systems_own_names() {
    let fixture = Fixture::new().await;
    let names = |pem: &str| mb_crypto::identity::alternative_names(pem).expect("a certificate");
    for role in Role::ALL {
        let issued = fixture.issue(&format!("any-{role}"), role).await;
        let carried = names(&issued.certificate_pem);
        let count = |name: &str| carried.iter().filter(|carried| *carried == name).count();
        let expected = usize::from(role.serves());
        assert_eq!((count("broker.example"), count("localhost")), (expected, expected), "{role}: {carried:?}");
    }
    // A proxy that is renewed over the one from before they were its names gets them, too.
    let held = fixture.issue("proxy-2", Role::Proxy).await.identity;
    let (_, request) = mb_crypto::ca::SigningRequest::create("proxy-2").expect("a request");
    let renewed = fixture.server.authority().renew(&held, &request, "test").await.expect("renewed");
    assert!(names(&renewed.certificate_pem).contains(&"broker.example".to_owned()));
}

#[tokio::test]
async fn a_new_epoch_is_an_admins_and_signs_everybody_out() {
    let fixture = Fixture::new().await;
    let admin = fixture.signed_in(mb_core::UserRole::Admin, None).await;
    let epoch = async |who: &super::asking::Asking<'_>| {
        who.refusal(http::Method::POST, mb_api::paths::NEW_EPOCH, Some(serde_json::json!({}))).await
    };
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Admin) {
        assert_eq!(epoch(&fixture.certificate(role).await).await, (403, "wrong_role".to_owned()), "{role}");
    }
    let manager = fixture.signed_in(mb_core::UserRole::UserManager, None).await;
    assert_eq!(epoch(&manager).await, (403, "forbidden".to_owned()));
    assert_eq!(admin.post(mb_api::paths::NEW_EPOCH, serde_json::json!({})).await.status, 200);
    assert_eq!(epoch(&admin).await, (401, "invalid_token".to_owned()));
    let certificate = fixture.certificate(Role::Admin).await;
    assert_eq!(certificate.post(mb_api::paths::NEW_EPOCH, serde_json::json!({})).await.status, 200);
}
