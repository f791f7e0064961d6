//! Enrolment tokens: whose they are, and until when.

use std::time::Duration;

use mb_core::{ClientStatus, Role};
use mb_store::{
    CertificateFilter, CertificateRow, EnrolmentTerms, Ground, NewEnrolment, Recorded, RevokeTarget, Store,
};

use crate::fixture::{Fixture, client, domain};
use crate::issuing::certificate;

fn token(digest: u8, name: &str, fixture: &Fixture) -> NewEnrolment {
    let terms =
        EnrolmentTerms { name: name.into(), role: Role::Client, domain: Some(domain("eu")), validity_days: Some(30) };
    let expires_at = fixture.clock.now().plus(Duration::from_mins(10));
    NewEnrolment { digest: [digest; 32], terms, expires_at }
}

/// What comes of recording a certificate for the token, asked for with a key.
async fn enrol(store: &Store, token: u8, key: u8, row: &CertificateRow) -> Recorded {
    let ground = Ground::Token { digest: &[token; 32], key: &[key; 32] };
    store.record_certificate(row, ground, "enrolment").await.expect("answers")
}

pub(crate) async fn a_token_is_good_for_one_certificate(fixture: Fixture) {
    let (store, second) = (&fixture.store, &fixture.second().await);
    store.create_enrolment(&token(1, "till-1", &fixture), "root").await.expect("writes");
    assert_eq!(enrol(store, 2, 1, &certificate("till-1", 1)).await, Recorded::NoToken);
    // Equal requests, each with a certificate of its own, at two main servers at once.
    let ask = async |store: &Store, serial: u8| enrol(store, 1, 7, &certificate("till-1", serial)).await;
    let (a, b) = tokio::join!(ask(store, 1), ask(second, 2));
    let (c, d) = tokio::join!(ask(store, 3), ask(second, 4));
    let rows = store.certificates(&CertificateFilter::default()).await.expect("reads");
    let [only] = &rows[..] else { panic!("one certificate: {rows:?}") };
    let done = [&a, &b, &c, &d].into_iter().filter(|recorded| **recorded == Recorded::Done).count();
    let before = Recorded::Before(Box::new(only.clone()));
    let repeats = [&a, &b, &c, &d].into_iter().filter(|recorded| **recorded == before).count();
    assert_eq!((done, repeats), (1, 3), "{a:?} {b:?} {c:?} {d:?}");
    assert_eq!(enrol(store, 1, 8, &certificate("till-1", 5)).await, Recorded::NoToken, "another key");
    // A repeat is answered also when the client was taken out meanwhile: it gets nothing that it had not.
    store.ensure_client(&client("till-1"), &domain("eu"), "ca").await.expect("creates");
    store.set_client_status(&client("till-1"), ClientStatus::Archived, "root").await.expect("sets");
    assert_eq!(ask(store, 6).await, before);
}

pub(crate) async fn a_token_ends_with_its_time(fixture: Fixture) {
    let store = &fixture.store;
    let new = token(1, "till-1", &fixture);
    store.create_enrolment(&new, "root").await.expect("writes");
    let found = store.enrolment(&[1; 32]).await.expect("reads").expect("is good");
    assert_eq!((found.terms, found.key, found.issued), (new.terms, None, None));
    fixture.clock.set(new.expires_at);
    assert_eq!(store.enrolment(&[1; 32]).await.expect("reads"), None);
    assert_eq!(enrol(store, 1, 1, &certificate("till-1", 1)).await, Recorded::NoToken);
    assert_eq!(store.purge_expired(10).await.expect("purges"), 1);
}

pub(crate) async fn a_token_is_void_when_its_client_is_taken_out(fixture: Fixture) {
    let store = &fixture.store;
    for (digest, name) in [(1, "till-1"), (2, "till-2"), (3, "till-3"), (4, "till-4")] {
        store.ensure_client(&client(name), &domain("eu"), "ca").await.expect("creates");
        store.create_enrolment(&token(digest, name, &fixture), "root").await.expect("writes");
    }
    let roles = vec![Role::Client, Role::Consumer];
    let revoked = store.revoke(&RevokeTarget::Name("till-1".into(), roles), "lost", "root").await.expect("revokes");
    assert!(revoked.is_empty(), "it had a token alone");
    store.set_client_status(&client("till-2"), ClientStatus::Archived, "root").await.expect("sets");
    store.set_client_status(&client("till-3"), ClientStatus::Suspended, "root").await.expect("sets");
    let suspended = Recorded::Inactive(ClientStatus::Suspended);
    for (digest, expected) in [(1, Recorded::NoToken), (2, Recorded::NoToken), (3, suspended), (4, Recorded::Done)] {
        let row = certificate(&format!("till-{digest}"), digest);
        assert_eq!(enrol(store, digest, 9, &row).await, expected, "{digest}");
    }
    // A suspension passes.
    store.set_client_status(&client("till-3"), ClientStatus::Active, "root").await.expect("sets");
    assert_eq!(enrol(store, 3, 9, &certificate("till-3", 3)).await, Recorded::Done);
}

pub(crate) async fn a_new_token_voids_an_unused_one_of_that_name(fixture: Fixture) {
    let store = &fixture.store;
    for (digest, name) in [(1, "till-1"), (2, "till-2"), (3, "till-1")] {
        store.create_enrolment(&token(digest, name, &fixture), "root").await.expect("writes");
    }
    for (digest, good) in [(1, false), (2, true), (3, true)] {
        assert_eq!(store.enrolment(&[digest; 32]).await.expect("reads").is_some(), good, "{digest}");
    }
}
