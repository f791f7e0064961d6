//! Who is at the other end of a request, and whether they may.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use mb_core::policy::Refusal;
use mb_core::{Identity, Policy, Role, Timestamp};

use crate::problem::{ApiError, ProblemCode};

/// The other end of a connection. The listener makes it once per connection from the verified certificate and puts it on
/// every request; an in-process client puts its own. Nothing in a request can set or change it.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Where it calls from; `None` within the process.
    pub addr: Option<SocketAddr>,
    /// Whom its certificate names; `None` if it sent none.
    pub identity: Option<Arc<Identity>>,
}

impl Peer {
    /// A caller within the process that speaks as `identity`.
    pub fn in_process(identity: Arc<Identity>) -> Self {
        Self { addr: None, identity: Some(identity) }
    }

    /// The identity, if it may act in one of `roles` under `policy` at `now`.
    ///
    /// # Errors
    /// 401 without a certificate or with an expired one, 403 if it is revoked, suspended or of another role.
    pub fn authorize(&self, policy: &Policy, roles: &[Role], now: Timestamp) -> Result<&Arc<Identity>, ApiError> {
        let identity = self.identity.as_ref().ok_or_else(no_identity)?;
        policy.admit(identity, roles, now).map_err(refused)?;
        Ok(identity)
    }

    /// Whether the call comes from this machine: over a loopback address or within the process.
    pub fn is_local(&self) -> bool {
        self.addr.is_none_or(|addr| addr.ip().to_canonical().is_loopback())
    }
}

fn no_identity() -> ApiError {
    ApiError::new(ProblemCode::NoIdentity, "this route needs a client certificate")
}

/// A refusal as it is answered.
pub fn refused(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Expired => ApiError::new(ProblemCode::CertificateExpired, "the client certificate has expired"),
        Refusal::Revoked => ApiError::new(ProblemCode::CertificateRevoked, "the client certificate was revoked"),
        Refusal::Untrusted => {
            let detail = "the authority that issued the client certificate is trusted no more";
            ApiError::new(ProblemCode::CertificateRevoked, detail)
        }
        Refusal::Suspended => ApiError::new(ProblemCode::ClientSuspended, "the client is suspended"),
        Refusal::WrongRole => {
            ApiError::new(ProblemCode::WrongRole, "the certificate's role does not entitle to this route")
        }
    }
}

/// A request without the extension came past every listener: it has no identity and, being from nowhere, is not local.
impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        Ok(parts
            .extensions
            .get::<Self>()
            .cloned()
            .unwrap_or_else(|| Self { addr: Some(SocketAddr::from(([0, 0, 0, 0], 0))), identity: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_certificate_nobody_is_authorized() {
        let policy = crate::dto::tests::policy(1);
        let error = Peer::default().authorize(&policy, &Role::ALL, Timestamp::from_micros(0)).expect_err("refused");
        assert_eq!(error.code(), ProblemCode::NoIdentity);
    }

    #[test]
    fn loopback_is_local_in_both_address_families() {
        let local = |text: &str| Peer { addr: text.parse().ok(), identity: None }.is_local();
        assert!(local("127.0.0.2:1") && local("[::1]:1") && local("[::ffff:127.0.0.1]:1"));
        assert!(!local("10.0.0.1:1") && !local("[::ffff:10.0.0.1]:1"));
    }
}
