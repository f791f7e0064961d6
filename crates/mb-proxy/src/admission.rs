//! Who may submit: the certificate against the policy, before a byte of the body is read.

use std::sync::Arc;

use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{ClientName, DomainName, Policy, Role};

use crate::Shared;

/// A client that may act now, with the policy that says so.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    pub(crate) client: ClientName,
    pub(crate) domain: DomainName,
    pub(crate) policy: Arc<Policy>,
}

/// # Errors
/// `no_identity` first, then `no_policy` and `policy_stale`, then as [`Peer::authorize`].
pub(crate) fn admit(shared: &Shared, peer: &Peer) -> Result<Admitted, ApiError> {
    let nameless = || ApiError::new(ProblemCode::NoIdentity, "submitting needs a client certificate of this system");
    if peer.identity.is_none() {
        return Err(nameless());
    }
    let policy = shared.policy.usable()?;
    let identity = peer.authorize(&policy, &[Role::Client], shared.clock.now())?;
    let client = ClientName::parse(&identity.name).ok_or_else(nameless)?;
    let domain = identity.domain.clone().ok_or_else(nameless)?;
    Ok(Admitted { client, domain, policy })
}
