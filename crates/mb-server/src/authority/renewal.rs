//! Renewal: whoever shows a certificate that is still valid gets one for a new key, and nothing more than it has. Whether it
//! is valid is looked at again where the new one is recorded: the policy in memory may be older, and so may the answer to
//! what was asked as the request began.

use std::time::Duration;

use mb_api::problem::ApiError;
use mb_core::policy::Refusal;
use mb_core::{Identity, Role};
use mb_crypto::ca::{BACKDATED, Issued, Signed};
use mb_crypto::identity;
use mb_store::{CertificateRow, CertificateStatus, Ground};

use super::{Authority, Order, read_request, refused_to_holder, roles, row};
use crate::routes::store_fault;

impl Authority {
    /// Issues a certificate that says what `held` says, for the key of `request`, for as long as `held` was issued for.
    ///
    /// # Errors
    /// `validation_failed` if `request` is no sound signing request, `certificate_revoked`, `client_suspended` or
    /// `conflict` if `held` or its client is good no more, `conflict` if too many valid certificates follow it or the
    /// store does not know it, `unavailable`, also as long as proxies are awaited after a restore.
    pub async fn renew(&self, held: &Identity, request: &str, actor: &str) -> Result<Signed, ApiError> {
        if !self.ca.load().trusted_ids().contains(&held.issuer) {
            return Err(mb_api::peer::refused(Refusal::Untrusted));
        }
        let request = read_request(request).await?;
        let known = self.store.certificate(&held.issuer, &held.serial).await.map_err(store_fault)?;
        let sans = known.as_ref().map_or_else(|| Ok(Vec::new()), names)?;
        let order = Order {
            name: held.name.clone(),
            role: held.role,
            domain: held.domain.clone(),
            sans,
            validity: Some(held.not_after.since(held.not_before).saturating_sub(BACKDATED)),
        };
        let ground = Ground::Renewal { issuer: &held.issuer, serial: &held.serial };
        let signed = self.sign_unrecorded(self.with_own_names(order), request, actor).await?;
        let row = row(&signed.identity, &signed.certificate_pem);
        let recorded = self.store.record_certificate(&row, ground, actor).await.map_err(store_fault)?;
        refused_to_holder(&held.name, &recorded).map_or(Ok(signed), Err)
    }

    /// Issues what the newest valid certificate of `name` says, for a new key; that one stays valid. `role` says whose it
    /// is where the name alone does not.
    ///
    /// # Errors
    /// `not_found` if none is valid, `conflict` if the name has certificates of several roles, else as
    /// [`Authority::renew`].
    pub async fn reissue(
        &self,
        name: &str,
        role: Option<Role>,
        validity: Option<Duration>,
        actor: &str,
    ) -> Result<Issued, ApiError> {
        let (mut rows, now) = (self.named(name).await?, self.clock.now());
        let role = roles::one(name, role, &roles::held(&rows, now))?;
        rows.retain(|row| row.role == role && row.status(now) == CertificateStatus::Valid);
        let newest = rows.into_iter().max_by_key(|row| row.not_after);
        let row = newest.ok_or_else(ApiError::not_found)?;
        let order = Order {
            sans: names(&row)?,
            validity: Some(validity.unwrap_or_else(|| row.not_after.since(row.not_before).saturating_sub(BACKDATED))),
            name: row.name,
            role: row.role,
            domain: row.domain,
        };
        self.issue_on(Ground::Reissue { issuer: &row.issuer, serial: &row.serial }, order, actor).await
    }
}

fn names(row: &CertificateRow) -> Result<Vec<String>, ApiError> {
    identity::alternative_names(&row.certificate_pem).map_err(ApiError::internal)
}
