//! The worker and its port.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use axum::Router;
use mb_api::client::Client;
use mb_api::paths;
use mb_core::{Egress, Role};
use mb_crypto::random::random_array;
use mb_runtime::metrics::{Access, Metrics};
use mb_runtime::{App, AppConfig, Listener, PlainServer, PolicyWatch};
use mb_worker::{DeliveryConfig, Worker, WorkerConfig};

use super::certificates::{self, Users};
use super::{Link, Waiting, Wiring, health, journal_config};
use crate::bootstrap;

impl Wiring<'_> {
    /// The worker's port also shows the metrics of the other roles in this process.
    pub(super) fn worker(
        &self,
        listener: Listener,
        waiting: Waiting,
        server: &Link,
        followed: Option<(PolicyWatch, Client)>,
        mut sources: Vec<Metrics>,
    ) -> Result<Metrics> {
        let mut metrics = Metrics::new();
        // The queue and the leases know workers by name: two on two machines must not have the same.
        let own = &self.config.worker.id;
        let host = if own.is_empty() { bootstrap::host_name().unwrap_or_default() } else { own.clone() };
        let name = format!("worker-{host}-{}-{}", std::process::id(), mb_core::hex::encode(&random_array::<4>()));
        let lease = match &waiting {
            Waiting::Journal(_) => journal_config(self.layout, self.config).lease,
            Waiting::Redis(redis) => redis.claim_idle,
        };
        let (queue, redis) = waiting.open(&name, &self.clock, self.lifecycle, &mut metrics);
        let config = WorkerConfig {
            name,
            concurrency: self.config.worker.concurrency,
            batch: self.config.worker.batch,
            retry: Duration::from_millis(50),
            lease,
            delivery: self.delivery()?,
        };
        let client = self.client_as(Role::Worker, server)?;
        let expiry = certificates::expiry(Role::Worker, &mut metrics);
        let (policy, asking) = followed.unzip();
        let own = Some(client.clone());
        let users = Users { client: own, expiry: Some(expiry.clone()), policy, follower: asking, ..Users::default() };
        self.keep_certificate(Role::Worker, Some(server), users);
        let worker = Worker::start(config, queue, client, self.clock.clone(), self.lifecycle, &mut metrics);
        let health = health::worker(health::redis(self.health(), redis), &worker, self.clock.clone());
        let health = health::expiry(health, &expiry, self.clock.clone());
        sources.push(metrics.clone());
        let router = self.with_own_routes(Router::new(), health, &[], sources, Access::Open);
        let app = App::new(AppConfig::new(Role::Worker, paths::WORKER), router, &mut metrics);
        PlainServer::new(listener, app).start(self.lifecycle);
        Ok(metrics)
    }

    fn delivery(&self) -> Result<DeliveryConfig> {
        let egress = Egress::parse(&self.config.delivery.allow_cidrs);
        let egress = egress.map_err(|part| anyhow!("delivery.allow_cidrs: {part}"))?;
        Ok(DeliveryConfig { egress, roots: Arc::new(mb_crypto::tls::system_roots()) })
    }
}
