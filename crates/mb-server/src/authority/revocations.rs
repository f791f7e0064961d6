//! The revocation list (RFC 5280, section 5), for those outside who ask for one: inside, the policy decides.

use mb_api::problem::ApiError;
use mb_crypto::ca::{RevocationReason, Revoked};
use mb_store::{CertificateFilter, CertificateStatus};

use super::Authority;
use crate::routes::store_fault;

impl Authority {
    /// Signs the list of what is revoked now, PEM.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn revocation_list(&self) -> Result<String, ApiError> {
        let filter = CertificateFilter { status: Some(CertificateStatus::Revoked), ..CertificateFilter::default() };
        let rows = self.store.certificates(&filter).await.map_err(store_fault)?;
        // A list speaks for one authority only.
        let own = rows.into_iter().filter(|row| row.issuer == self.ca.issuer_id());
        let entries = own.filter_map(|row| {
            let revocation = row.revocation?;
            let reason = RevocationReason::parse(&revocation.reason).unwrap_or_default();
            Some(Revoked { serial: row.serial, at: revocation.at, reason })
        });
        let now = self.clock.now();
        // The time counts up across restarts and restores, which a number kept in the store would not.
        let number = u64::try_from(now.micros()).unwrap_or(1);
        self.ca.crl(&entries.collect::<Vec<_>>(), number, now).map_err(ApiError::internal)
    }
}
