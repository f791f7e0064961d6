//! What signing in needs beside the store: a bounded place to hash, the memory of tries, the line of reset requests.

pub(crate) mod accounts;
mod hashing;
pub(crate) mod refusals;
mod resets;
pub(crate) mod sign_in;
pub(crate) mod tokens;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mb_api::peer::Peer;
use mb_core::throttle::Throttle;
use mb_runtime::lifecycle::{Criticality, Lifecycle};

use crate::app::App;
use hashing::Hashing;
use refusals::Refusals;
use resets::Resets;

/// How often refusals that were only counted are written.
const WRITE_REFUSALS: Duration = Duration::from_secs(1);

/// What signing in is told by configuration.
#[derive(Clone, Debug)]
pub struct PeopleConfig {
    /// Where people reach the portal, `https://host[:port]`: what the links in mails begin with.
    pub portal_url: String,
}

#[derive(Debug)]
pub(crate) struct People {
    pub(crate) config: PeopleConfig,
    pub(crate) hashing: Hashing,
    pub(crate) refusals: Refusals,
    pub(crate) resets: Resets,
    throttle: Mutex<Throttle>,
}

impl People {
    pub(crate) fn new(config: PeopleConfig) -> Self {
        Self {
            config,
            hashing: Hashing::new(),
            refusals: Refusals::default(),
            resets: Resets::new(),
            throttle: Mutex::default(),
        }
    }

    /// The memory of tries, for one step of it.
    pub(crate) fn throttle<T>(&self, step: impl FnOnce(&mut Throttle) -> T) -> T {
        step(&mut self.throttle.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where a request comes from; within the process: from this machine.
pub(crate) fn address(peer: &Peer) -> IpAddr {
    peer.addr.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |addr| addr.ip().to_canonical())
}

/// Starts what answers reset requests, and what writes the refusals that were only counted; the last of them are written by
/// who keeps the audit log, after the last request.
pub(crate) fn start(app: &Arc<App>, lifecycle: &Lifecycle) {
    let (work, soft) = (Arc::clone(app), lifecycle.soft());
    lifecycle.spawn("password resets", Criticality::Critical, async move { resets::run(&work, &soft).await });
    let (work, soft) = (Arc::clone(app), lifecycle.soft());
    lifecycle.spawn("refused sign-ins", Criticality::Critical, async move {
        let mut ticks = tokio::time::interval(WRITE_REFUSALS);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while soft.run_until_cancelled(ticks.tick()).await.is_some() {
            refusals::write_due(&work).await;
        }
    });
}
