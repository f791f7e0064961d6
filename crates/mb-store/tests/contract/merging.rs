//! A restore makes no revoked certificate good again.

use std::time::Duration;

use mb_core::policy::CertificateRef;

use crate::fixture::Fixture;

fn known(serial: u8) -> CertificateRef {
    CertificateRef { issuer: [3; 16], serial: vec![serial; 16] }
}

pub(crate) async fn revocations_are_merged_back_after_a_new_epoch_alone(fixture: Fixture) {
    let store = &fixture.store;
    let known = [known(1), known(2)];
    assert_eq!(store.merge_revocations(&known, "proxy:a").await.expect("asks"), None);
    store.new_epoch("restore").await.expect("mints");
    let version = store.policy_version().await.expect("reads");
    assert_eq!(store.merge_revocations(&known, "proxy:a").await.expect("merges"), Some(2));
    assert_eq!(store.merge_revocations(&known, "proxy:b").await.expect("merges"), Some(0));
    assert_eq!(store.policy_version().await.expect("reads"), version + 1);
    let parts = store.policy_parts().await.expect("reads");
    assert!(known.iter().all(|certificate| parts.revoked.contains(certificate)));
    fixture.clock.set(fixture.clock.now().plus(Duration::from_hours(8 * 24)));
    assert_eq!(store.merge_revocations(&known, "proxy:a").await.expect("asks"), None);
}
