//! Who acts: the step from a connection's identity to the right to do something.

use mb_api::peer::Peer;
use mb_api::problem::ApiError;
use mb_core::{Identity, Role};

use crate::app::App;

/// Who is named in changes and audit rows.
#[derive(Clone, Debug)]
pub(crate) struct Actor(String);

impl Actor {
    /// Somebody with an account.
    pub(crate) fn user(email: &str) -> Self {
        Self(email.to_owned())
    }

    /// Whom the peer's certificate names, whether or not it may do anything.
    pub(crate) fn named_by(peer: &Peer) -> Option<Self> {
        peer.identity.as_ref().map(|identity| Self::certificate(identity))
    }

    fn certificate(identity: &Identity) -> Self {
        Self(format!("{}:{}", identity.role, identity.name))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Lets the peer act if its certificate has one of `roles` and is valid, now.
///
/// # Errors
/// As [`Peer::authorize`].
pub(crate) fn require(app: &App, peer: &Peer, roles: &[Role]) -> Result<Actor, ApiError> {
    let identity = peer.authorize(&app.policy.current(), roles, app.clock.now())?;
    Ok(Actor::certificate(identity))
}
