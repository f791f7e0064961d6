//! A restore makes no revoked certificate good again, however its holder has renewed it meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use mb_core::policy::CertificateRef;
use mb_core::{JournalBacklog, JournalFaults, KeyId, Role};
use mb_store::{Heartbeat, KeyReport, Merged, Recorded, RevokedCertificate, Store};

use crate::fixture::{Fixture, NOW};
use crate::issuing::{certificate, order, renew, valid};

fn known(serial: u8) -> CertificateRef {
    CertificateRef { issuer: [3; 16], serial: vec![serial; 16] }
}

pub(crate) async fn revocations_are_merged_back_after_a_new_epoch_alone(fixture: Fixture) {
    let store = &fixture.store;
    let known = [known(1), known(2)];
    let merged = |count| Merged { count, open: Vec::new() };
    // Before the epoch nothing is changed, and whoever told of it learns that it is still open.
    let open = Merged { count: 0, open: known.to_vec() };
    assert_eq!(store.merge_revocations(&known, "proxy:a").await.expect("asks"), open);
    let version = store.policy_version().await.expect("reads");
    store.new_epoch("restore").await.expect("mints");
    let told = store.policy_version().await.expect("reads");
    assert!(told > version + 1000, "the edge is told, and by a version that was never handed out: {version}, {told}");
    assert_eq!(store.merge_revocations(&known, "proxy:a").await.expect("merges"), merged(2));
    assert_eq!(store.merge_revocations(&known, "proxy:b").await.expect("merges"), merged(0));
    assert_eq!(store.policy_version().await.expect("reads"), told + 1);
    let parts = store.policy_parts().await.expect("reads");
    assert!(known.iter().all(|certificate| parts.revoked.contains(certificate)));
    fixture.clock.set(fixture.clock.now().plus(Duration::from_hours(8 * 24)));
    // What is known as revoked is settled at any time.
    assert_eq!(store.merge_revocations(&known, "proxy:a").await.expect("asks"), merged(0));
    let later = [self::known(1), self::known(3)];
    let open = Merged { count: 0, open: vec![self::known(3)] };
    assert_eq!(store.merge_revocations(&later, "proxy:a").await.expect("asks"), open);
}

pub(crate) async fn what_was_renewed_over_a_revoked_certificate_goes_with_it(fixture: Fixture) {
    let store = &fixture.store;
    order(store, &certificate("till", 1)).await;
    order(store, &certificate("other", 9)).await;
    store.new_epoch("restore").await.expect("mints");
    for (held, next) in [(1, 2), (2, 3), (1, 4), (9, 10)] {
        assert_eq!(renew(store, held, &certificate("till", next)).await, Recorded::Done);
    }
    let told = [CertificateRef { issuer: [3; 16], serial: vec![1, 1] }];
    assert_eq!(store.merge_revocations(&told, "proxy:a").await.expect("merges").count, 4);
    assert_eq!(valid(store).await, [vec![1, 9], vec![1, 10]]);
    assert_eq!(store.merge_revocations(&told, "proxy:b").await.expect("merges").count, 0);
}

pub(crate) async fn a_signed_list_is_taken_back_at_any_time(fixture: Fixture) {
    let store = &fixture.store;
    order(store, &certificate("till", 1)).await;
    assert_eq!(renew(store, 1, &certificate("till", 2)).await, Recorded::Done);
    let revoked_at = NOW.plus(Duration::from_mins(1));
    fixture.clock.set(NOW.plus(Duration::from_mins(2)));
    assert_eq!(renew(store, 1, &certificate("till", 3)).await, Recorded::Done);
    let listed = |serial: u8| RevokedCertificate {
        issuer: [3; 16],
        serial: vec![1, serial],
        at: revoked_at,
        reason: "superseded".into(),
    };
    let version = store.policy_version().await.expect("reads");
    // No epoch has begun. The second one was there when the first was revoked, which so left it good.
    assert_eq!(store.revoke_listed(&[listed(1), listed(7)], "system").await.expect("revokes"), 3);
    assert_eq!(valid(store).await, [vec![1, 2]]);
    assert_eq!(store.policy_version().await.expect("reads"), version + 1);
    let rows = store.revoked_certificates(NOW).await.expect("reads");
    assert!(rows.contains(&listed(1)) && rows.contains(&listed(7)), "{rows:?}");
    assert_eq!(store.revoke_listed(&[listed(1), listed(7)], "system").await.expect("asks"), 0);
    assert_eq!(store.policy_version().await.expect("reads"), version + 1);
}

/// A proxy says that it holds this version of the policy.
async fn heard(store: &Store, id: u8, policy_version: u64) {
    let heartbeat = Heartbeat {
        id: mb_core::hex::encode(&[id; 8]),
        name: "proxy".into(),
        policy_version: Some(policy_version),
        clock_ahead_ms: None,
        faults: JournalFaults::default(),
        backlog: JournalBacklog::default(),
    };
    store.proxies_seen(&[heartbeat]).await.expect("notes");
}

pub(crate) async fn after_a_restore_nobody_renews_until_every_proxy_has_told(fixture: Fixture) {
    let store = &fixture.store;
    order(store, &certificate("till", 1)).await;
    for id in [1, 2] {
        let report = KeyReport {
            reporter: KeyId::from_bytes([id; 16]),
            role: Role::Proxy,
            name: format!("proxy-{id}"),
            master_keys: BTreeSet::new(),
            reported_at: NOW,
        };
        store.report_keys(&report).await.expect("notes");
    }
    let before = store.policy_version().await.expect("reads");
    assert_eq!(renew(store, 9, &certificate("till", 8)).await, Recorded::Unknown, "it was never restored");
    store.new_epoch("restore").await.expect("mints");
    let epoch = store.policy_version().await.expect("reads");
    let awaited = |names: &[&str]| Recorded::Awaited(names.iter().map(|name| (*name).to_owned()).collect());
    let both = awaited(&["proxy-1", "proxy-2"]);
    assert_eq!(renew(store, 1, &certificate("till", 2)).await, both);
    assert_eq!(renew(store, 9, &certificate("till", 2)).await, both, "one from after the backup");
    heard(store, 1, epoch).await;
    heard(store, 2, before).await;
    assert_eq!(renew(store, 1, &certificate("till", 2)).await, awaited(&["proxy-2"]));
    heard(store, 2, epoch + 1).await;
    assert_eq!(renew(store, 1, &certificate("till", 2)).await, Recorded::Done);
    assert_eq!(renew(store, 9, &certificate("till", 3)).await, Recorded::Done);
}

pub(crate) async fn a_proxy_that_stays_away_holds_up_renewals_for_a_week_at_most(fixture: Fixture) {
    let store = &fixture.store;
    let mut long = certificate("till", 1);
    long.not_after = NOW.plus(Duration::from_hours(100 * 24));
    order(store, &long).await;
    let report = KeyReport {
        reporter: KeyId::from_bytes([1; 16]),
        role: Role::Proxy,
        name: "gone".into(),
        master_keys: BTreeSet::new(),
        reported_at: NOW,
    };
    store.report_keys(&report).await.expect("notes");
    store.new_epoch("restore").await.expect("mints");
    let next = &certificate("till", 2);
    assert_eq!(renew(store, 1, next).await, Recorded::Awaited(vec!["gone".into()]));
    assert!(store.forget_key_report(KeyId::from_bytes([1; 16]), "root").await.expect("forgets"));
    assert_eq!(renew(store, 1, next).await, Recorded::Done, "somebody said that it is gone");
    store.report_keys(&report).await.expect("notes");
    fixture.clock.set(NOW.plus(Duration::from_hours(8 * 24)));
    assert_eq!(renew(store, 1, &certificate("till", 3)).await, Recorded::Done);
}
