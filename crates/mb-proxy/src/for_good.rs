//! What this proxy knows for good and a new policy does not name any more: revoked certificates and expunged messages. What
//! is over leaves the policy by itself; what a restored database has forgotten must not come back. So it stays in effect
//! here until the main server, which is told of it, says that it is settled: merged back after a restore, or over. A
//! database that was put back and not yet given its new epoch settles nothing, and the main server is told again.

use std::collections::BTreeSet;

use mb_api::dto::{KnownForGood, OpenForGood};
use mb_core::policy::CertificateRef;
use mb_core::{MessageId, Policy, Timestamp};

/// The most that is told at once.
const MAX_TOLD: usize = 5000;

/// What was dropped from the policy.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    /// The main server is yet to be told, or has not settled it.
    owed: BTreeSet<Fact>,
    /// It has settled this.
    settled: BTreeSet<Fact>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fact {
    Revoked(CertificateRef),
    Expunged(MessageId, Timestamp),
}

impl Fact {
    fn of(policy: &Policy) -> BTreeSet<Self> {
        let revoked = policy.revoked.iter().cloned().map(Self::Revoked);
        revoked.chain(policy.expunged.iter().map(|(id, at)| Self::Expunged(*id, *at))).collect()
    }

    fn is_in(&self, policy: &Policy) -> bool {
        match self {
            Self::Revoked(certificate) => policy.revoked.contains(certificate),
            Self::Expunged(id, _) => policy.expunged.contains_key(id),
        }
    }

    fn add_to(&self, policy: &mut Policy) {
        match self {
            Self::Revoked(certificate) => drop(policy.revoked.insert(certificate.clone())),
            Self::Expunged(id, at) => drop(policy.expunged.insert(*id, *at)),
        }
    }
}

impl Dropped {
    /// Keeps in `next` what `held` names and `next` has dropped, until the main server has settled it.
    pub(crate) fn keep(&mut self, held: &Policy, next: &mut Policy) {
        self.settled.retain(|fact| fact.is_in(held));
        let dropped = Fact::of(held).into_iter().filter(|fact| !fact.is_in(next) && !self.settled.contains(fact));
        self.owed.extend(dropped.collect::<Vec<_>>());
        self.owed.retain(|fact| !fact.is_in(next));
        self.owed.iter().for_each(|fact| fact.add_to(next));
    }

    /// What the main server is to be told now, if anything.
    pub(crate) fn owed(&self) -> Option<KnownForGood> {
        let mut known = KnownForGood::default();
        for fact in self.owed.iter().take(MAX_TOLD) {
            match fact {
                Fact::Revoked(certificate) => known.revoked.push(certificate.clone()),
                Fact::Expunged(id, at) => drop(known.expunged.insert(*id, *at)),
            }
        }
        (!self.owed.is_empty()).then_some(known)
    }

    /// It was told this, and all but `open` is settled.
    pub(crate) fn was_told(&mut self, known: &KnownForGood, open: &OpenForGood) {
        let settled = |fact: &Fact| match fact {
            Fact::Revoked(certificate) => known.revoked.contains(certificate) && !open.open.contains(certificate),
            Fact::Expunged(id, _) => known.expunged.contains_key(id) && !open.expunged.contains(id),
        };
        let (settled, owed): (BTreeSet<_>, BTreeSet<_>) = std::mem::take(&mut self.owed).into_iter().partition(settled);
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

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn certificate(serial: u8) -> CertificateRef {
        CertificateRef { issuer: [1; 16], serial: vec![serial] }
    }

    fn message(n: u8) -> MessageId {
        MessageId::from_bytes([n; 16])
    }

    /// A policy that knows these certificates as revoked and the messages of the same numbers as expunged.
    fn policy(version: u64, numbers: &[u8]) -> Policy {
        Policy {
            version,
            ca_pem: String::new(),
            issuers: BTreeSet::new(),
            master_key: MasterPublicKey { id: KeyId::from_bytes([0; 16]), x25519: vec![0; 32] },
            revoked: numbers.iter().map(|serial| certificate(*serial)).collect(),
            suspended: BTreeSet::new(),
            domains: BTreeMap::new(),
            limits: RateLimits::default(),
            expunged: numbers.iter().map(|n| (message(*n), NOW)).collect(),
        }
    }

    #[test]
    fn what_a_restore_forgot_stays_in_effect_until_it_is_merged_back() {
        let (held, mut restored) = (policy(7, &[1, 2]), policy(3, &[1]));
        let mut dropped = Dropped::default();
        dropped.keep(&held, &mut restored);
        assert_eq!((&restored.revoked, &restored.expunged), (&held.revoked, &held.expunged));
        let owed = dropped.owed().expect("something");
        assert_eq!((&owed.revoked, &owed.expunged), (&vec![certificate(2)], &BTreeMap::from([(message(2), NOW)])));
        // Before the new epoch the main server settles nothing, whatever else it announces.
        let open = OpenForGood { open: vec![certificate(2)], expunged: vec![message(2)] };
        dropped.was_told(&owed, &open);
        let mut later = policy(4, &[1]);
        dropped.keep(&restored, &mut later);
        assert_eq!((&later.revoked, &later.expunged), (&held.revoked, &held.expunged));
        assert_eq!(dropped.owed(), Some(owed.clone()));
        dropped.was_told(&owed, &OpenForGood::default());
        assert_eq!(dropped.owed(), None);
        let mut merged = policy(5, &[1, 2]);
        dropped.keep(&later, &mut merged);
        assert_eq!((merged.revoked.len(), merged.expunged.len(), dropped.owed()), (2, 2, None));
    }

    #[test]
    fn what_is_over_is_told_once_and_then_let_go() {
        let mut dropped = Dropped::default();
        let (held, mut next) = (policy(7, &[1]), policy(8, &[]));
        dropped.keep(&held, &mut next);
        let owed = dropped.owed().expect("something");
        dropped.was_told(&owed, &OpenForGood::default());
        let mut later = policy(9, &[]);
        dropped.keep(&next, &mut later);
        assert_eq!((later.revoked.len(), later.expunged.len(), dropped.owed()), (0, 0, None));
        dropped.keep(&later, &mut policy(10, &[]));
        assert!(dropped.settled.is_empty(), "nothing is remembered for ever");
    }
}
