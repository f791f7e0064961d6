//! Servers' certificates that are good no more. Callers know them as far as they follow a policy or have a revocation list;
//! callers of a main server that know of none have the chain alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use mb_core::Identity;
use mb_core::policy::CertificateRef;

use crate::CryptoError;

/// Which certificates a caller takes for nobody's any more. Clones are one set, which may change while configurations use
/// it: the next handshake sees it.
#[derive(Clone, Debug, Default)]
pub struct RevokedSet(Arc<ArcSwap<BTreeSet<CertificateRef>>>);

impl RevokedSet {
    /// What the lists in `lists_pem` name that an authority in `ca_pem` has signed.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] if a text is broken.
    pub fn from_lists(lists_pem: &str, ca_pem: &str) -> Result<Self, CryptoError> {
        let listed = crate::ca::listed(lists_pem, ca_pem)?.into_iter();
        let set = Self::default();
        set.replace(listed.map(|(issuer, entry)| CertificateRef { issuer, serial: entry.serial }).collect());
        Ok(set)
    }

    /// From the next handshake on it is these; whether they are others than before.
    pub fn replace(&self, revoked: BTreeSet<CertificateRef>) -> bool {
        let changed = **self.0.load() != revoked;
        if changed {
            self.0.store(Arc::new(revoked));
        }
        changed
    }

    pub(super) fn contains(&self, identity: &Identity) -> bool {
        let certificate = CertificateRef { issuer: identity.issuer, serial: identity.serial.clone() };
        self.0.load().contains(&certificate)
    }
}
