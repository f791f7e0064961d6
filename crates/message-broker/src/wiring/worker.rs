//! The worker and its port.

use std::time::Duration;

use anyhow::Result;
use axum::Router;
use mb_api::paths;
use mb_core::Role;
use mb_queue::{Journal, Queue};
use mb_runtime::metrics::{Access, Metrics};
use mb_runtime::{App, AppConfig, Listener, PlainServer};
use mb_worker::{Worker, WorkerConfig};

use super::certificates::{self, Users};
use super::{Link, Wiring, health, journal_config};

impl Wiring<'_> {
    /// The worker's port also shows the metrics of the other roles in this process.
    pub(super) fn worker(
        &self,
        listener: Listener,
        journal: &Journal,
        server: &Link,
        mut sources: Vec<Metrics>,
    ) -> Result<()> {
        let mut metrics = Metrics::new();
        let waiting = journal.clone();
        metrics.gauge_of(
            "mb_queue_depth",
            "Messages in the queue; embedded: those of the journal that are not confirmed.",
            move || f64::from(u32::try_from(waiting.status().depth).unwrap_or(u32::MAX)),
        );
        let config = WorkerConfig {
            name: format!("worker-{}", std::process::id()),
            concurrency: self.config.worker.concurrency,
            batch: self.config.worker.batch,
            retry: Duration::from_millis(50),
            lease: journal_config(self.layout, self.config).lease,
        };
        let (queue, client) = (Queue::Embedded(journal.clone()), self.client_as(Role::Worker, server)?);
        let expiry = certificates::expiry(Role::Worker, &mut metrics);
        let users = Users { client: Some(client.clone()), expiry: Some(expiry), ..Users::default() };
        self.keep_certificate(Role::Worker, Some(server), users);
        let worker = Worker::start(config, queue, client, self.clock.clone(), self.lifecycle, &mut metrics);
        let health = health::worker(self.health(), &worker, self.clock.clone());
        sources.push(metrics.clone());
        let router = self.with_own_routes(Router::new(), health, &[], sources, Access::Open);
        let app = App::new(AppConfig::new(Role::Worker, paths::WORKER), router, &mut metrics);
        PlainServer::new(listener, app).start(self.lifecycle);
        Ok(())
    }
}
