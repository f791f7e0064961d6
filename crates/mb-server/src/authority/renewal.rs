//! Renewal: whoever shows a certificate that is still valid gets one for a new key, and nothing more than it has.

use mb_api::problem::{ApiError, ProblemCode};
use mb_core::Identity;
use mb_crypto::ca::{BACKDATED, Signed};
use mb_crypto::identity;
use mb_store::{CertificateFilter, CertificateStatus};

use super::{Authority, Order};
use crate::routes::store_fault;

/// Valid certificates of one name beyond which none is renewed: somebody renews in a loop.
const MAX_VALID: usize = 50;

impl Authority {
    /// Issues a certificate that says what `held` says, for the key of `request`, for as long as `held` was issued for.
    ///
    /// # Errors
    /// `validation_failed` if `request` is no sound signing request, `conflict` if the name has too many valid
    /// certificates, `unavailable`.
    pub async fn renew(&self, held: &Identity, request: &str, actor: &str) -> Result<Signed, ApiError> {
        let filter = CertificateFilter {
            name: Some(held.name.clone()),
            status: Some(CertificateStatus::Valid),
            ..CertificateFilter::default()
        };
        let valid = self.store.certificates(&filter).await.map_err(store_fault)?;
        if valid.len() >= MAX_VALID {
            let detail = format!("{} has {} valid certificates: revoke some first", held.name, valid.len());
            return Err(ApiError::new(ProblemCode::Conflict, detail));
        }
        let row = self.store.certificate(&held.issuer, &held.serial).await.map_err(store_fault)?;
        let sans = match row {
            Some(row) => identity::alternative_names(&row.certificate_pem).map_err(ApiError::internal)?,
            None => Vec::new(),
        };
        let order = Order {
            name: held.name.clone(),
            role: held.role,
            domain: held.domain.clone(),
            sans,
            validity: Some(held.not_after.since(held.not_before).saturating_sub(BACKDATED)),
        };
        self.sign(order, request, actor).await
    }
}
