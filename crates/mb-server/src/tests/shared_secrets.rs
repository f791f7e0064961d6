//! Main servers of one store share their secrets.

use mb_crypto::ca::Ca;
use mb_crypto::jwt::JwtSecret;
use mb_crypto::master::MasterKeys;

use super::fixture::{Fixture, NOW};
use crate::shared_secrets::{check_authority, check_jwt, search_key};

#[tokio::test]
async fn a_main_server_with_another_encryption_key_is_told_both_ids() {
    let fixture = Fixture::new().await;
    let other = MasterKeys::generate().expect("a key");
    let error = search_key(&fixture.store, &other).await.expect_err("refused").to_string();
    let stored = fixture.server.app.master.active().id();
    assert!(error.contains(&stored.to_string()) && error.contains(&other.active().id().to_string()), "{error}");
    search_key(&fixture.store, &fixture.server.app.master).await.expect("its own");
}

#[tokio::test]
async fn a_main_server_with_another_authority_is_refused() {
    let fixture = Fixture::new().await;
    let other = Ca::create("test CA", NOW).expect("a CA");
    let error = check_authority(&fixture.store, &other).await.expect_err("refused").to_string();
    assert!(error.contains("certs/ca.key"), "{error}");
}

#[tokio::test]
async fn a_jwt_secret_may_change_and_is_not_to_be_read_in_the_store() {
    let fixture = Fixture::new().await;
    let stored = async || fixture.store.setting("jwt_check").await.expect("reads").expect("there");
    let (before, other) = (stored().await, JwtSecret::generate());
    check_jwt(&fixture.store, &fixture.server.app.search, &other).await.expect("taken");
    let after = stored().await;
    assert_ne!(after, before);
    check_jwt(&fixture.store, &fixture.server.app.search, &other).await.expect("taken");
    assert_eq!(stored().await, after);
    assert!(!String::from_utf8_lossy(&after).contains(other.to_text().expose().as_str()));
}
