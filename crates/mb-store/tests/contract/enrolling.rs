//! Enrolment tokens: whose they are, and until when.

use std::time::Duration;

use mb_core::Role;
use mb_store::{Claim, EnrolmentTerms, NewEnrolment};

use crate::fixture::{Fixture, domain};

fn token(digest: u8, name: &str, fixture: &Fixture) -> NewEnrolment {
    let terms =
        EnrolmentTerms { name: name.into(), role: Role::Client, domain: Some(domain("eu")), validity_days: Some(30) };
    let expires_at = fixture.clock.now().plus(Duration::from_mins(10));
    NewEnrolment { digest: [digest; 32], terms, expires_at }
}

pub(crate) async fn a_token_is_the_first_requests_for_good(fixture: Fixture) {
    let store = &fixture.store;
    let new = token(1, "till-1", &fixture);
    store.create_enrolment(&new, "root").await.expect("writes");
    let claim =
        async |token: u8, request: u8| store.claim_enrolment(&[token; 32], &[request; 32]).await.expect("reads");
    let granted = |issued: Option<&str>| Claim::Granted { terms: new.terms.clone(), issued: issued.map(str::to_owned) };
    assert_eq!(claim(2, 1).await, Claim::Unknown);
    assert_eq!(claim(1, 1).await, granted(None));
    assert_eq!(claim(1, 2).await, Claim::Taken);
    assert_eq!(claim(1, 1).await, granted(None), "as after a crash before the certificate");
    store.note_enrolment(&[1; 32], "abc").await.expect("writes");
    assert_eq!(claim(1, 1).await, granted(Some("abc")));
    fixture.clock.set(new.expires_at);
    assert_eq!(claim(1, 1).await, Claim::Unknown);
    assert_eq!(store.purge_expired(10).await.expect("purges"), 1);
}

pub(crate) async fn a_new_token_voids_an_unused_one_of_that_name(fixture: Fixture) {
    let store = &fixture.store;
    for (digest, name) in [(1, "till-1"), (2, "till-2"), (3, "till-1")] {
        store.create_enrolment(&token(digest, name, &fixture), "root").await.expect("writes");
    }
    for (digest, good) in [(1, false), (2, true), (3, true)] {
        let claim = store.claim_enrolment(&[digest; 32], &[9; 32]).await.expect("reads");
        assert_eq!(matches!(claim, Claim::Granted { .. }), good, "{digest}");
    }
}
