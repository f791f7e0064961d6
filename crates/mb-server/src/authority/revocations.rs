//! The revocation lists (RFC 5280, section 5), for those outside who ask for one: inside, the policy decides.
//!
//! A list speaks for one authority. While one takes another's place there are two lists, so that what the one before has
//! issued can be revoked as before.

use mb_api::problem::ApiError;
use mb_core::Timestamp;
use mb_crypto::ca::{Ca, RevocationReason, Revoked};
use mb_store::{CertificateFilter, CertificateRow, CertificateStatus};

use super::Authority;
use crate::routes::store_fault;

/// The signed lists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevocationList {
    /// The lists, PEM; that of the authority that issues is the first.
    pub pem: String,
    /// When the last certificate on them was revoked; `None` if they are empty.
    pub newest: Option<Timestamp>,
}

impl Authority {
    /// Signs the lists of what is revoked now.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn revocation_list(&self) -> Result<RevocationList, ApiError> {
        let filter = CertificateFilter { status: Some(CertificateStatus::Revoked), ..CertificateFilter::default() };
        let rows = self.store.certificates(&filter).await.map_err(store_fault)?;
        let (issuing, previous) = (self.ca.load_full(), self.previous.load_full());
        let signers: Vec<&Ca> = std::iter::once(&*issuing).chain(previous.as_deref()).collect();
        let now = self.clock.now();
        // The time counts up across restarts and restores, which a number kept in the store would not.
        let number = u64::try_from(now.micros()).unwrap_or(1);
        let mut list = RevocationList { pem: String::new(), newest: None };
        for ca in &signers {
            let entries: Vec<_> = rows.iter().filter(|row| row.issuer == ca.issuer_id()).filter_map(entry).collect();
            list.pem += &ca.crl(&entries, number, now).map_err(ApiError::internal)?;
            list.newest = list.newest.max(entries.iter().map(|entry| entry.at).max());
        }
        let trusted = issuing.trusted_ids();
        let signed = |row: &&CertificateRow| signers.iter().any(|ca| ca.issuer_id() == row.issuer);
        let unsigned = rows.iter().filter(|row| trusted.contains(&row.issuer) && !signed(row)).count();
        if unsigned > 0 {
            mb_runtime::logging::limited("revocation list", || {
                tracing::warn!(
                    count = unsigned,
                    "revoked certificates are on no list: certs/ca.previous.key is missing"
                );
            });
        }
        Ok(list)
    }
}

fn entry(row: &CertificateRow) -> Option<Revoked> {
    let revocation = row.revocation.as_ref()?;
    let reason = RevocationReason::parse(&revocation.reason).unwrap_or_default();
    Some(Revoked { serial: row.serial.clone(), at: revocation.at, reason })
}
