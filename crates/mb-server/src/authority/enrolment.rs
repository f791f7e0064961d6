//! A first certificate for somebody who has a token and nothing else. What it says was decided when the token was made; of
//! the request only the key counts.

use std::time::Duration;

use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{Role, Secret, Timestamp};
use mb_crypto::ca::SigningRequest;
use mb_crypto::token::{Token, TokenKind};
use mb_store::{CertificateFilter, CertificateRow, Claim, EnrolmentTerms, NewEnrolment};

use super::{Authority, Order, bad_request};
use crate::routes::store_fault;

/// Who is named in the audit rows.
const ACTOR: &str = "enrolment";

impl Authority {
    /// Makes a token with which `order` is fulfilled once, for `lifetime`. The client and its domain are there from then on.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub async fn offer(
        &self,
        order: Order,
        lifetime: Duration,
        actor: &str,
    ) -> Result<(Secret<String>, Timestamp), ApiError> {
        let domain = self.place(&order, actor).await?;
        let token = Token::generate(TokenKind::Enrolment);
        let days = |validity: Duration| u32::try_from(validity.as_secs() / 86_400).unwrap_or(u32::MAX);
        let terms =
            EnrolmentTerms { name: order.name, role: order.role, domain, validity_days: order.validity.map(days) };
        let expires_at = self.clock.now().plus(lifetime);
        let new = NewEnrolment { digest: token.digest(), terms, expires_at };
        self.store.create_enrolment(&new, actor).await.map_err(store_fault)?;
        Ok((Secret::new(token.expose().to_owned()), expires_at))
    }

    /// Issues the certificate that `token` is good for; the same one for a repeat with the same key.
    ///
    /// # Errors
    /// `invalid_token` for one that is unknown, expired or used by another, `validation_failed` if `request` is no sound
    /// signing request.
    pub async fn enrol(&self, token: &str, request: &str) -> Result<CertificateRow, ApiError> {
        let invalid =
            || ApiError::new(ProblemCode::InvalidToken, "the token is not, or no longer, good: ask for another");
        let token = Token::parse(TokenKind::Enrolment, token).ok_or_else(invalid)?;
        // A broken request uses no token up.
        let key = SigningRequest::from_pem(request).map_err(bad_request)?.key_digest();
        let digest = token.digest();
        let claim = self.store.claim_enrolment(&digest, &key).await.map_err(store_fault)?;
        let (terms, issued) = match claim {
            Claim::Granted { terms, issued } => (terms, issued),
            Claim::Taken | Claim::Unknown => return Err(invalid()),
        };
        if let Some(row) = self.by_fingerprint(issued).await? {
            return Ok(row);
        }
        let order = Order {
            name: terms.name,
            role: terms.role,
            domain: terms.domain,
            sans: Vec::new(),
            validity: terms.validity_days.map(|days| Duration::from_secs(u64::from(days) * 86_400)),
        };
        let fingerprint = self.sign(order, request, ACTOR).await?.identity.fingerprint;
        self.store.note_enrolment(&digest, &fingerprint).await.map_err(store_fault)?;
        let row = self.by_fingerprint(Some(fingerprint)).await?;
        row.ok_or_else(|| ApiError::internal("a certificate that was just recorded is gone"))
    }

    async fn by_fingerprint(&self, fingerprint: Option<String>) -> Result<Option<CertificateRow>, ApiError> {
        let Some(fingerprint) = fingerprint else { return Ok(None) };
        let filter = CertificateFilter { fingerprint: Some(fingerprint), ..CertificateFilter::default() };
        Ok(self.store.certificates(&filter).await.map_err(store_fault)?.pop())
    }

    /// Whether a token may be made for this role: an identity that administers or issues is never given away by one.
    pub fn may_enrol(role: Role) -> bool {
        !matches!(role, Role::Admin | Role::Server)
    }
}
