//! What this proxy knows as revoked and a new policy does not name any more. A certificate that expired leaves the policy
//! by itself; one that a restored database has forgotten must not come back. So it stays refused here until the main
//! server, which is told of it, says that it is settled: merged back after a restore, or expired. A database that was put
//! back and not yet given its new epoch settles nothing, and the main server is told again.

use std::collections::BTreeSet;

use mb_core::Policy;
use mb_core::policy::CertificateRef;

/// Revocations that were dropped from the policy.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    /// The main server is yet to be told, or has not settled them.
    owed: BTreeSet<CertificateRef>,
    /// It has settled them.
    settled: BTreeSet<CertificateRef>,
}

impl Dropped {
    /// Keeps in `next` what `held` refuses and `next` has dropped, until the main server has settled it.
    pub(crate) fn keep(&mut self, held: &Policy, next: &mut Policy) {
        self.settled.retain(|certificate| held.revoked.contains(certificate));
        let dropped = held.revoked.difference(&next.revoked).filter(|certificate| !self.settled.contains(certificate));
        self.owed.extend(dropped.cloned());
        self.owed.retain(|certificate| !next.revoked.contains(certificate));
        next.revoked.extend(self.owed.iter().cloned());
    }

    /// What the main server is to be told.
    pub(crate) fn owed(&self) -> Vec<CertificateRef> {
        self.owed.iter().cloned().collect()
    }

    /// It was told, and all but `open` is settled.
    pub(crate) fn was_told(&mut self, open: &[CertificateRef]) {
        let told = std::mem::take(&mut self.owed);
        let (owed, settled): (BTreeSet<_>, BTreeSet<_>) = told.into_iter().partition(|told| open.contains(told));
        self.owed = owed;
        self.settled.extend(settled);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mb_core::KeyId;
    use mb_core::policy::{MasterPublicKey, RateLimits};

    use super::*;

    fn certificate(serial: u8) -> CertificateRef {
        CertificateRef { issuer: [1; 16], serial: vec![serial] }
    }

    fn policy(version: u64, revoked: &[u8]) -> Policy {
        Policy {
            version,
            ca_pem: String::new(),
            master_key: MasterPublicKey { id: KeyId::from_bytes([0; 16]), x25519: vec![0; 32] },
            revoked: revoked.iter().map(|serial| certificate(*serial)).collect(),
            suspended: BTreeSet::new(),
            domains: BTreeMap::new(),
            limits: RateLimits::default(),
        }
    }

    #[test]
    fn what_a_restore_forgot_stays_refused_until_it_is_merged_back() {
        let (held, mut restored) = (policy(7, &[1, 2]), policy(3, &[1]));
        let mut dropped = Dropped::default();
        dropped.keep(&held, &mut restored);
        assert_eq!(restored.revoked, held.revoked);
        assert_eq!(dropped.owed(), [certificate(2)]);
        // Before the new epoch the main server settles nothing, whatever else it announces.
        dropped.was_told(&[certificate(2)]);
        let mut later = policy(4, &[1]);
        dropped.keep(&restored, &mut later);
        assert_eq!((later.revoked == held.revoked, dropped.owed()), (true, vec![certificate(2)]));
        dropped.was_told(&[]);
        assert_eq!(dropped.owed(), []);
        let mut merged = policy(5, &[1, 2]);
        dropped.keep(&restored, &mut merged);
        assert_eq!((merged.revoked.len(), dropped.owed()), (2, vec![]));
    }

    #[test]
    fn what_expired_is_told_once_and_then_let_go() {
        let mut dropped = Dropped::default();
        let (held, mut next) = (policy(7, &[1]), policy(8, &[]));
        dropped.keep(&held, &mut next);
        assert_eq!(dropped.owed(), [certificate(1)]);
        dropped.was_told(&[]);
        let mut later = policy(9, &[]);
        dropped.keep(&next, &mut later);
        assert_eq!((later.revoked.len(), dropped.owed()), (0, vec![]));
        dropped.keep(&later, &mut policy(10, &[]));
        assert!(dropped.settled.is_empty(), "nothing is remembered for ever");
    }
}
