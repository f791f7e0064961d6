//! An archive brings every row into any database, and nothing of what lives for a moment only.

use mb_core::{Clock, UserRole};
use mb_store::{Contents, Store, StoreError};
use tokio::sync::mpsc;

use crate::fixture::{Fixture, NOW, batch, client, data_key, dead, dead_letter, domain, id, message};
use crate::people::user;
use crate::signing_in::{digest, session};

async fn filled(store: &Store) {
    let mut first = batch((0..3000).map(message).collect());
    first.keys.push(data_key(9, "record"));
    store.register(first).await.expect("registers");
    store.register(dead(vec![dead_letter(9000, "no envelope")])).await.expect("registers");
    store.ensure_client(&client("till"), &domain("shop"), "test").await.expect("inserts");
    let owner = user(store, "owner@example.com", UserRole::Admin).await;
    store.begin_session(&session(&owner, 1)).await.expect("begins");
}

async fn export(store: &Store) -> (Contents, Vec<Vec<u8>>) {
    let (pieces, mut received) = mpsc::channel(2);
    let gather = async {
        let mut all = Vec::new();
        while let Some(piece) = received.recv().await {
            all.push(piece);
        }
        all
    };
    let (contents, all) = tokio::join!(store.export(pieces), gather);
    (contents.expect("exports"), all)
}

async fn import(store: &Store, pieces: Vec<Vec<u8>>) -> Result<Contents, StoreError> {
    let (sender, received) = mpsc::channel(1);
    let send = async move {
        for piece in pieces {
            if sender.send(piece).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(store.import(received, "test"), send).0
}

pub(crate) async fn an_archive_brings_every_row_and_no_sign_in(fixture: Fixture) {
    filled(&fixture.store).await;
    let (contents, pieces) = export(&fixture.store).await;
    assert_eq!(contents, fixture.store.contents().await.expect("counts"));
    assert_eq!(contents.0["messages"], 3000);
    let (epoch, policy) =
        (fixture.store.epoch().await.expect("reads"), fixture.store.policy_version().await.expect("reads"));
    let before = fixture.store.message(id(7)).await.expect("reads");

    let directory = tempfile::tempdir().expect("a temporary directory");
    let elsewhere = directory.path().join("other.db").display().to_string();
    let elsewhere = Store::open(&elsewhere, Clock::manual(NOW)).await.expect("opens");
    elsewhere.migrate().await.expect("migrates");
    // What was there goes.
    fixture.store.register(batch((5000..5010).map(message).collect())).await.expect("registers");
    for store in [&elsewhere, &fixture.store] {
        let restored = import(store, pieces.clone()).await.expect("imports");
        assert_eq!(restored, contents);
        assert_eq!(store.message(id(7)).await.expect("reads"), before);
        let ids = [id(0), id(2999), id(9000), id(5000)];
        assert_eq!(store.lacking(&ids).await.expect("reads").1, [id(5000)]);
        assert!(store.portal_session(&digest(1)).await.expect("reads").is_none(), "nobody stays signed in");
        assert!(store.user_by_email("owner@example.com").await.expect("reads").is_some());
        assert_ne!(store.epoch().await.expect("reads"), epoch, "proxies offer again what they keep");
        assert!(store.policy_version().await.expect("reads") > policy + 1000);
        assert!(!store.is_half_restored().await.expect("reads"));
        store.register(batch(vec![message(5000)])).await.expect("registers");
        user(store, "next@example.com", UserRole::User).await;
    }
}

pub(crate) async fn half_an_archive_makes_no_store(fixture: Fixture) {
    filled(&fixture.store).await;
    let (_, pieces) = export(&fixture.store).await;
    let whole = pieces.concat();
    for cut in [0, 5, 100, whole.len() / 2, whole.len() - 1] {
        let error = import(&fixture.store, vec![whole[..cut].to_vec()]).await.expect_err("is cut off");
        assert!(matches!(error, StoreError::Damaged(_)), "{cut}: {error}");
        assert!(fixture.store.is_half_restored().await.expect("reads"), "{cut}");
    }
    // One byte at a time is the same stream.
    let crumbs = whole.chunks(7).map(<[u8]>::to_vec).collect();
    import(&fixture.store, crumbs).await.expect("a repeat makes it whole");
    assert!(!fixture.store.is_half_restored().await.expect("reads"));
    let mut newer = whole.clone();
    newer[15] = 200;
    let error = import(&fixture.store, vec![newer]).await.expect_err("is newer");
    assert!(matches!(error, StoreError::SchemaNewer { found: 200, .. }), "{error}");
}

pub(crate) async fn an_archive_is_of_one_moment(fixture: Fixture) {
    filled(&fixture.store).await;
    let (pieces, mut received) = mpsc::channel(1);
    let store = fixture.store.clone();
    let meanwhile = async {
        let first = received.recv().await.expect("a piece");
        store.register(batch((20_000..20_100).map(message).collect())).await.expect("writers go on");
        let mut all = vec![first];
        while let Some(piece) = received.recv().await {
            all.push(piece);
        }
        all
    };
    let (contents, all) = tokio::join!(fixture.store.export(pieces), meanwhile);
    assert_eq!(contents.expect("exports").0["messages"], 3000);
    let restored = import(&fixture.store, all).await.expect("imports");
    assert_eq!(restored.0["messages"], 3000);
    assert_eq!(fixture.store.lacking(&[id(20_000)]).await.expect("reads").1, [id(20_000)]);
}
