//! A first certificate for somebody who has a token and nothing else. What it says was decided when the token was made; of
//! the request only the key counts.

use std::time::Duration;

use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{ClientName, Role, Secret, Timestamp};
use mb_crypto::token::{Token, TokenKind};
use mb_store::{CertificateFilter, CertificateRow, ClientStatus, EnrolmentTerms, Ground, NewEnrolment, Recorded};

use super::{Authority, Order, read_request, refused, refused_to_holder, row};
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
        if let Some(name) = ClientName::parse(&order.name).filter(|_| order.role.has_domain()) {
            let client = self.store.client(&name).await.map_err(store_fault)?;
            let status = client.map(|client| client.status).filter(|status| *status != ClientStatus::Active);
            if let Some(refused) = status.and_then(|status| refused(&order.name, &Recorded::Inactive(status))) {
                return Err(refused);
            }
        }
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
    /// signing request, `client_suspended` or `conflict` if the client may not act.
    pub async fn enrol(&self, token: &str, request: &str) -> Result<CertificateRow, ApiError> {
        let token = Token::parse(TokenKind::Enrolment, token).ok_or_else(invalid_token)?;
        let digest = token.digest();
        // Before anything is computed for somebody unknown.
        let known = self.store.enrolment(&digest).await.map_err(store_fault)?.ok_or_else(invalid_token)?;
        // A broken request uses no token up.
        let request = read_request(request).await?;
        let key = request.key_digest();
        if known.key.is_some_and(|first| first != key) {
            return Err(invalid_token());
        }
        if let Some(fingerprint) = known.issued {
            let filter = CertificateFilter { fingerprint: Some(fingerprint), ..CertificateFilter::default() };
            let before = self.store.certificates(&filter).await.map_err(store_fault)?.pop();
            return before.ok_or_else(|| ApiError::internal("the certificate of a token is gone"));
        }
        let terms = known.terms;
        let order = Order {
            name: terms.name,
            role: terms.role,
            domain: terms.domain,
            sans: Vec::new(),
            validity: terms.validity_days.map(|days| Duration::from_secs(u64::from(days) * 86_400)),
        };
        let signed = self.sign_unrecorded(self.with_own_names(order), request, ACTOR).await?;
        let row = row(&signed.identity, &signed.certificate_pem);
        let ground = Ground::Token { digest: &digest, key: &key };
        match self.store.record_certificate(&row, ground, ACTOR).await.map_err(store_fault)? {
            Recorded::Done => Ok(row),
            Recorded::Before(before) => Ok(*before),
            other => Err(refused_to_holder(&row.name, &other).unwrap_or_else(invalid_token)),
        }
    }

    /// Whether a token may be made for this role: an identity that administers or issues is never given away by one.
    pub fn may_enrol(role: Role) -> bool {
        !matches!(role, Role::Admin | Role::Server)
    }
}

pub(super) fn invalid_token() -> ApiError {
    ApiError::new(ProblemCode::InvalidToken, "the token is not, or no longer, good: ask for another")
}
