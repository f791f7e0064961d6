//! The revocation list (RFC 5280, section 5), for those outside who ask for one: inside, the policy decides.

use mb_api::problem::ApiError;
use mb_core::Timestamp;
use mb_crypto::ca::{RevocationReason, Revoked};
use mb_store::{CertificateFilter, CertificateStatus};

use super::Authority;
use crate::routes::store_fault;

/// A signed list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevocationList {
    /// The list, PEM.
    pub pem: String,
    /// When the last certificate on it was revoked; `None` if it is empty.
    pub newest: Option<Timestamp>,
}

impl Authority {
    /// Signs the list of what is revoked now.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn revocation_list(&self) -> Result<RevocationList, ApiError> {
        let filter = CertificateFilter { status: Some(CertificateStatus::Revoked), ..CertificateFilter::default() };
        let rows = self.store.certificates(&filter).await.map_err(store_fault)?;
        // A list speaks for one authority only.
        let ca = self.ca.load_full();
        let own = rows.into_iter().filter(|row| row.issuer == ca.issuer_id());
        let entries = own.filter_map(|row| {
            let revocation = row.revocation?;
            let reason = RevocationReason::parse(&revocation.reason).unwrap_or_default();
            Some(Revoked { serial: row.serial, at: revocation.at, reason })
        });
        let entries: Vec<_> = entries.collect();
        let now = self.clock.now();
        // The time counts up across restarts and restores, which a number kept in the store would not.
        let number = u64::try_from(now.micros()).unwrap_or(1);
        let pem = ca.crl(&entries, number, now).map_err(ApiError::internal)?;
        Ok(RevocationList { pem, newest: entries.iter().map(|entry| entry.at).max() })
    }
}
