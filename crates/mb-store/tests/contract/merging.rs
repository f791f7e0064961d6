//! A restore makes no revoked certificate good again.

use std::time::Duration;

use mb_core::policy::CertificateRef;
use mb_store::Merged;

use crate::fixture::Fixture;

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
