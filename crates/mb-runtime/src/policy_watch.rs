//! The live policy, as the main server (always has one) and an edge (may have none yet) provide it.

use std::sync::Arc;

use mb_core::policy::Refusal;
use mb_core::{Identity, Policy};
use tokio::sync::watch;

/// Follows a policy.
#[derive(Clone, Debug)]
pub enum PolicyWatch {
    /// There is always one.
    Always(watch::Receiver<Arc<Policy>>),
    /// There is none before the first was received.
    Eventually(watch::Receiver<Option<Arc<Policy>>>),
}

impl PolicyWatch {
    /// The policy at the moment.
    pub fn current(&self) -> Option<Arc<Policy>> {
        match self {
            Self::Always(receiver) => Some(Arc::clone(&receiver.borrow())),
            Self::Eventually(receiver) => receiver.borrow().clone(),
        }
    }

    /// Why the policy at the moment lets the identity do nothing any more, if it does not.
    pub fn shuts_out(&self, identity: &Identity) -> Option<Refusal> {
        match self {
            Self::Always(receiver) => receiver.borrow().shuts_out(identity),
            Self::Eventually(receiver) => receiver.borrow().as_ref()?.shuts_out(identity),
        }
    }

    /// Waits for the next policy. Never returns once nobody can send one any more. Cancel-safe.
    pub async fn changed(&mut self) {
        let closed = match self {
            Self::Always(receiver) => receiver.changed().await.is_err(),
            Self::Eventually(receiver) => receiver.changed().await.is_err(),
        };
        if closed {
            std::future::pending::<()>().await;
        }
    }
}

impl From<watch::Receiver<Arc<Policy>>> for PolicyWatch {
    fn from(receiver: watch::Receiver<Arc<Policy>>) -> Self {
        Self::Always(receiver)
    }
}

impl From<watch::Receiver<Option<Arc<Policy>>>> for PolicyWatch {
    fn from(receiver: watch::Receiver<Option<Arc<Policy>>>) -> Self {
        Self::Eventually(receiver)
    }
}
