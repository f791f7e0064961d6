//! Whether a certificate may be issued is decided where it is recorded.

use std::time::Duration;

use mb_core::{ClientStatus, Role};
use mb_store::{CertificateFilter, CertificateRow, CertificateStatus, Ground, Recorded, RevokeTarget, Store};

use crate::fixture::{Fixture, NOW, client, domain};

/// A client's certificate, told apart by its number.
pub(crate) fn certificate(name: &str, serial: u8) -> CertificateRow {
    CertificateRow {
        issuer: [3; 16],
        serial: vec![1, serial],
        fingerprint: format!("{serial:064x}"),
        name: name.into(),
        role: Role::Client,
        domain: Some(domain("eu")),
        not_before: NOW,
        not_after: NOW.plus(Duration::from_hours(24)),
        certificate_pem: "-----BEGIN CERTIFICATE-----".into(),
        revocation: None,
    }
}

/// Records it as an administrator's order.
pub(crate) async fn order(store: &Store, row: &CertificateRow) {
    let recorded = store.record_certificate(row, Ground::Order, "ca").await.expect("records");
    assert_eq!(recorded, Recorded::Done, "{row:?}");
}

pub(crate) async fn renew(store: &Store, held: u8, row: &CertificateRow) -> Recorded {
    let ground = Ground::Renewal { issuer: &[3; 16], serial: &[1, held] };
    store.record_certificate(row, ground, "holder").await.expect("answers")
}

pub(crate) async fn valid(store: &Store) -> Vec<Vec<u8>> {
    let filter = CertificateFilter { status: Some(CertificateStatus::Valid), ..CertificateFilter::default() };
    store.certificates(&filter).await.expect("reads").into_iter().map(|row| row.serial).collect()
}

fn tills() -> RevokeTarget {
    RevokeTarget::Name("till".into(), vec![Role::Client, Role::Consumer])
}

pub(crate) async fn a_certificate_follows_only_one_that_is_not_revoked(fixture: Fixture) {
    let store = &fixture.store;
    order(store, &certificate("till", 1)).await;
    assert_eq!(renew(store, 1, &certificate("till", 2)).await, Recorded::Done);
    let followed = store.successors(&[1, 1]).await.expect("reads");
    assert_eq!(followed.into_iter().map(|row| row.serial).collect::<Vec<_>>(), [vec![1, 2]]);
    store.revoke(&RevokeTarget::Serial(vec![1, 1]), "lost", "ca").await.expect("revokes");
    assert_eq!(renew(store, 1, &certificate("till", 3)).await, Recorded::Revoked);
    assert_eq!(valid(store).await, [vec![1, 2]], "what was refused is not recorded");
}

pub(crate) async fn who_may_not_act_gets_no_certificate(fixture: Fixture) {
    let store = &fixture.store;
    store.ensure_client(&client("till"), &domain("eu"), "ca").await.expect("creates");
    order(store, &certificate("till", 1)).await;
    for status in [ClientStatus::Suspended, ClientStatus::Archived] {
        store.set_client_status(&client("till"), status, "root").await.expect("sets");
        assert_eq!(renew(store, 1, &certificate("till", 2)).await, Recorded::Inactive(status));
        let ordered = store.record_certificate(&certificate("till", 3), Ground::Order, "ca").await.expect("answers");
        assert_eq!(ordered, Recorded::Inactive(status));
    }
    assert_eq!(valid(store).await, [vec![1, 1]]);
    store.set_client_status(&client("till"), ClientStatus::Active, "root").await.expect("sets");
    assert_eq!(renew(store, 1, &certificate("till", 4)).await, Recorded::Done);
}

pub(crate) async fn who_renews_in_a_loop_is_stopped_and_nobody_else_of_that_name(fixture: Fixture) {
    let store = &fixture.store;
    for serial in 1..=60 {
        order(store, &certificate("till", serial)).await;
    }
    for n in 0..10 {
        assert_eq!(renew(store, 1, &certificate("till", 100 + n)).await, Recorded::Done);
    }
    assert_eq!(renew(store, 1, &certificate("till", 110)).await, Recorded::TooMany(10));
    let ground = Ground::Reissue { issuer: &[3; 16], serial: &[1, 1] };
    let ordered = store.record_certificate(&certificate("till", 111), ground, "ca").await.expect("answers");
    assert_eq!(ordered, Recorded::Done, "an administrator's order");
    assert_eq!(renew(store, 2, &certificate("till", 112)).await, Recorded::Done, "another holder");
    store.revoke(&RevokeTarget::Serial(vec![1, 100]), "", "ca").await.expect("revokes");
    store.revoke(&RevokeTarget::Serial(vec![1, 101]), "", "ca").await.expect("revokes");
    assert_eq!(renew(store, 1, &certificate("till", 110)).await, Recorded::Done);
    store.revoke(&RevokeTarget::Serial(vec![1, 1]), "", "ca").await.expect("revokes");
    let ordered = store.record_certificate(&certificate("till", 113), ground, "ca").await.expect("answers");
    assert_eq!(ordered, Recorded::Revoked);
}

pub(crate) async fn a_revocation_leaves_nothing_good_whoever_renews_meanwhile(fixture: Fixture) {
    let (one, two) = (&fixture.store, &fixture.second().await);
    for round in 0..5_u8 {
        order(one, &certificate("till", 40 * round)).await;
        let renewals = (1..30_u8).map(|n| {
            let store = if n % 2 == 0 { one } else { two };
            async move { renew(store, 40 * round, &certificate("till", 40 * round + n)).await }
        });
        let renewals = async {
            let mut granted = 0;
            for renewal in renewals {
                granted += u32::from(renewal.await == Recorded::Done);
            }
            granted
        };
        let revoking = async {
            while one.successors(&[1, 40 * round]).await.expect("reads").len() < 3 {
                tokio::task::yield_now().await;
            }
            two.revoke(&tills(), "lost", "ca").await.expect("revokes").len()
        };
        let (granted, revoked) = tokio::join!(renewals, revoking);
        assert!(granted >= 3 && revoked >= 4, "both were at work: {granted} granted, {revoked} revoked");
        assert_eq!(valid(one).await, Vec::<Vec<u8>>::new(), "round {round}");
    }
}

pub(crate) async fn a_name_is_revoked_in_the_roles_that_are_meant(fixture: Fixture) {
    let store = &fixture.store;
    let mut proxy = certificate("proxy", 2);
    (proxy.role, proxy.domain) = (Role::Proxy, None);
    order(store, &certificate("proxy", 1)).await;
    order(store, &proxy).await;
    let clients = RevokeTarget::Name("proxy".into(), vec![Role::Client]);
    let revoked = store.revoke(&clients, "", "ca").await.expect("revokes");
    assert_eq!(revoked.iter().map(|row| row.role).collect::<Vec<_>>(), [Role::Client]);
    assert_eq!(valid(store).await, [vec![1, 2]]);
}
