//! Renewal: whoever shows a certificate that is still valid gets one for a new key, and nothing more than it has.

use std::time::Duration;

use mb_api::problem::{ApiError, ProblemCode};
use mb_core::Identity;
use mb_crypto::ca::{BACKDATED, Issued, Signed};
use mb_crypto::identity;
use mb_store::{CertificateFilter, CertificateRow, CertificateStatus};

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
        self.bounded(&held.name).await?;
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

    /// Issues what the newest valid certificate of `name` says, for a new key; that one stays valid.
    ///
    /// # Errors
    /// `not_found` if none is valid, else as [`Authority::renew`].
    pub async fn reissue(&self, name: &str, validity: Option<Duration>, actor: &str) -> Result<Issued, ApiError> {
        let valid = self.bounded(name).await?;
        let newest = valid.into_iter().max_by_key(|row| row.not_after);
        let missing = || ApiError::new(ProblemCode::NotFound, format!("{name} has no valid certificate to renew"));
        let row = newest.ok_or_else(missing)?;
        let order = Order {
            sans: identity::alternative_names(&row.certificate_pem).map_err(ApiError::internal)?,
            validity: Some(validity.unwrap_or_else(|| row.not_after.since(row.not_before).saturating_sub(BACKDATED))),
            name: row.name,
            role: row.role,
            domain: row.domain,
        };
        self.issue(order, actor).await
    }

    /// The valid certificates of a name, unless they are too many.
    async fn bounded(&self, name: &str) -> Result<Vec<CertificateRow>, ApiError> {
        let filter = CertificateFilter {
            name: Some(name.to_owned()),
            status: Some(CertificateStatus::Valid),
            ..CertificateFilter::default()
        };
        let valid = self.store.certificates(&filter).await.map_err(store_fault)?;
        if valid.len() >= MAX_VALID {
            let detail = format!("{name} has {} valid certificates: revoke some first", valid.len());
            return Err(ApiError::new(ProblemCode::Conflict, detail));
        }
        Ok(valid)
    }
}
