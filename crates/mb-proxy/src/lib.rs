//! The proxy: where messages come in.
//!
//! It decides alone, from the certificate and the policy it holds, whether to accept; it seals and journals before it
//! answers; it needs nobody else to be up. What it accepted it hands over and keeps until the main server confirms it.

mod admission;
mod budget;
mod confirm;
mod for_good;
mod forward;
mod instance;
mod key_report;
mod meter;
mod metrics;
mod policy;
mod routes;
mod sealer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use mb_api::client::Client;
use mb_core::{Clock, IdSource, KeyId, Policy};
use mb_crypto::data_key::Signer;
use mb_queue::Journal;
use mb_runtime::lifecycle::{Criticality, Lifecycle};
use mb_runtime::metrics::Metrics;
use tokio::sync::watch;

use crate::budget::Budget;
use crate::meter::Meter;
use crate::metrics::ProxyMetrics;
use crate::policy::PolicyKeeper;
use crate::sealer::Sealer;

/// How a proxy works.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Its own files: the kept policy and the idempotency secret.
    pub dir: PathBuf,
    /// A kept policy older than this is not used.
    pub policy_max_age: Duration,
    /// Messages per minute and client where the policy says nothing; 0 is no limit.
    pub rate_limit: u32,
}

/// Why a proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// Its folder or the secret in it cannot be read or written.
    #[error("open the proxy's files")]
    Files(#[from] mb_crypto::CryptoError),
}

/// A proxy ready to answer requests.
#[derive(Clone, Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) journal: Journal,
    pub(crate) ids: IdSource,
    pub(crate) sealer: Sealer,
    pub(crate) policy: PolicyKeeper,
    pub(crate) meter: Meter,
    pub(crate) server: Client,
    pub(crate) clock: Clock,
    pub(crate) metrics: ProxyMetrics,
    pub(crate) budget: Arc<Budget>,
    /// See [`instance`].
    pub(crate) instance: KeyId,
}

impl Proxy {
    /// Reads the kept policy and the idempotency secret; writes the latter on the first start.
    ///
    /// # Errors
    /// [`ProxyError`] if its folder cannot be used.
    pub fn open(
        config: &ProxyConfig,
        journal: Journal,
        signer: Signer,
        server: Client,
        clock: Clock,
        metrics: &mut Metrics,
    ) -> Result<Self, ProxyError> {
        mb_crypto::files::create_directory(&config.dir)?;
        let policy = PolicyKeeper::open(&config.dir, config.policy_max_age, clock.now());
        let sealer = Sealer::open(signer, &config.dir.join("idempotency.key"))?;
        let metrics = ProxyMetrics::register(metrics, &journal, &policy, &clock);
        let ids = IdSource::after(journal.newest_id());
        let meter = Meter::new(config.rate_limit, clock.clone());
        let budget = Budget::new();
        let instance = instance::open(&config.dir)?;
        let shared = Shared { journal, ids, sealer, policy, meter, server, clock, metrics, budget, instance };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The routes that clients use, without the listener's own (`/health`, `/metrics`).
    pub fn router(&self) -> Router {
        routes::router(Arc::clone(&self.shared))
    }

    /// Answers `POST /api/v1/messages` without the router in between.
    pub async fn submit(&self, request: Request) -> Response {
        routes::submit_directly(&self.shared, request).await
    }

    /// Signs later data keys with another certificate.
    pub fn adopt(&self, signer: Signer) {
        self.shared.sealer.adopt(signer);
    }

    /// From now on a client may send so many messages per minute where the policy says nothing; 0 is no limit.
    pub fn set_rate_limit(&self, messages: u32) {
        self.shared.meter.set_own(messages);
    }

    /// The policy in effect, `None` before the first, and every later one.
    pub fn policy(&self) -> watch::Receiver<Option<Arc<Policy>>> {
        self.shared.policy.subscribe()
    }

    /// How long ago the policy in effect was last known to be current.
    pub fn policy_age(&self) -> Option<Duration> {
        self.shared.policy.age().age()
    }

    /// Whether the policy is there, not too old, and the main server answers this proxy.
    ///
    /// # Errors
    /// Why not, in words for people.
    pub fn policy_usable(&self) -> Result<(), String> {
        self.shared.policy.usable().map(drop).map_err(|error| error.detail().to_owned())
    }

    /// Whether the main server would take what this proxy seals; nothing is known of that before the first policy.
    ///
    /// # Errors
    /// Why not, in words for people.
    pub fn can_seal(&self) -> Result<(), String> {
        let Some(policy) = self.shared.policy.current() else { return Ok(()) };
        let key = self.shared.sealer.key(&policy, self.shared.clock.now());
        key.map(drop).map_err(|error| error.detail().to_owned())
    }

    /// Starts following the policy and confirming what was handed over.
    pub fn start(&self, lifecycle: &Lifecycle) {
        let follow = policy::follow(Arc::clone(&self.shared), lifecycle.soft());
        lifecycle.spawn("policy follow", Criticality::Critical, follow);
        let confirm = confirm::run(Arc::clone(&self.shared), lifecycle.soft());
        lifecycle.spawn("confirm", Criticality::Critical, confirm);
        let report = key_report::run(Arc::clone(&self.shared), lifecycle.soft());
        lifecycle.spawn("key report", Criticality::Critical, report);
    }
}

#[cfg(test)]
mod tests;
