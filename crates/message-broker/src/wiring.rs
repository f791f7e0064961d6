//! From configuration and files to running roles: the one place where parts are chosen and joined.

mod alone;
mod certificates;
mod health;
mod link;
mod portal;
mod ports;
mod proxy;
mod queue;
mod server;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use mb_api::paths;
use mb_core::{Clock, Role};
use mb_crypto::tls::{ReloadableServerConfig, RevokedSet};
use mb_queue::{Journal, JournalConfig};
use mb_runtime::logging::Component;
use mb_runtime::metrics::{Access, Loopback, Metrics};
use mb_runtime::{App, AppConfig, Health, Lifecycle, Limits, PolicyWatch};
use mb_server::MainServer;
use mb_store::Store;

use crate::config::Config;
use crate::layout::{Layout, read_secret, read_text};
use crate::reload::Knob;

use certificates::OwnPair;
pub(crate) use certificates::renewal_due;
use link::Link;
pub use ports::{Ports, bind};
use queue::Waiting;

/// How long closing may take; together with the lifecycle's phases under 10 s.
const CLOSING: Duration = Duration::from_secs(2);

/// The journal's settings.
pub fn journal_config(layout: &Layout, config: &Config) -> JournalConfig {
    JournalConfig {
        segment_bytes: config.journal.segment_bytes,
        max_bytes: config.journal.max_bytes,
        keep_for: Duration::from_secs(config.journal.keep_for),
        window_entries: config.journal.window,
        reforward_after: Duration::from_secs(2 * config.redis.forward_again),
        passed_after: Duration::from_secs(config.redis.forward_again),
        ..JournalConfig::new(layout.journal())
    }
}

/// The main server's routes as an in-process client calls them.
pub fn in_process_service(router: Router, in_flight: usize, metrics: &mut Metrics) -> App {
    let config = AppConfig { in_flight, sharing: mb_server::SHARING, ..AppConfig::new(Role::Server, paths::SERVER) };
    App::new(config, router, metrics)
}

/// What runs until the stop.
#[derive(Debug)]
pub struct Running {
    journal: Option<Journal>,
    store: Option<Store>,
}

impl Running {
    /// Closes journal and store once nothing uses them any more. What does not end in time ends with the process, which
    /// loses nothing: both recover from that like from a crash.
    pub async fn close(self) {
        let closing = async {
            if let Some(journal) = &self.journal {
                journal.shutdown().await;
            }
            if let Some(store) = &self.store {
                store.close().await;
            }
        };
        if tokio::time::timeout(CLOSING, closing).await.is_err() {
            tracing::warn!("journal and store did not close in time");
        }
    }
}

/// What can be changed of the roles that were started.
#[derive(Debug, Default)]
pub struct Knobs(Mutex<Vec<Knob>>);

impl Knobs {
    /// One more.
    pub fn add(&self, knob: Knob) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(knob);
    }

    /// All of them.
    pub fn all(&self) -> Vec<Knob> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What every role is built from.
#[derive(Debug)]
pub struct Wiring<'a> {
    /// The data directory.
    pub layout: &'a Layout,
    /// Settings.
    pub config: &'a Config,
    /// The time.
    pub clock: Clock,
    /// Where tasks run.
    pub lifecycle: &'a Lifecycle,
    /// What can be changed later is put here.
    pub knobs: &'a Knobs,
    /// Certificates that no role in this process takes for the main server's any more, as far as it follows the policy.
    pub revoked: RevokedSet,
}

impl Wiring<'_> {
    /// Starts all four roles in this process. `metrics` are those that the main server registered.
    ///
    /// # Errors
    /// A file cannot be used.
    pub async fn start(&self, ports: Ports, server: MainServer, store: Store, metrics: Metrics) -> Result<Running> {
        let mut sources = vec![metrics.clone()];
        let policy = PolicyWatch::from(server.policy());
        let app = Component::MainServer.scope(|| {
            self.revocation_list(&server);
            self.component_certificates(&server, &store);
            self.main_server(ports.server, &server, policy.clone(), metrics)
        })?;
        let link = Link::InProcess(app);
        let journal = self.open_journal().await?;
        sources.push(Component::Proxy.scope(|| self.proxy(ports.proxy, &journal, &link, None))?);
        sources.push(Component::Portal.scope(|| self.portal(ports.portal, policy, None, &link))?);
        Component::Worker
            .scope(|| self.worker(ports.worker, Waiting::Journal(journal.clone()), &link, None, sources))?;
        Ok(Running { journal: Some(journal), store: Some(store) })
    }

    pub(super) fn health(&self) -> Health {
        Health::new(env!("CARGO_PKG_VERSION"), self.clock.clone(), self.lifecycle)
    }

    pub(super) fn restricted(&self, policy: PolicyWatch) -> Access {
        let loopback = if self.config.metrics.loopback { Loopback::Allowed } else { Loopback::Refused };
        Access::Restricted { loopback, policy, clock: self.clock.clone() }
    }

    pub(super) fn with_own_routes(
        &self,
        router: Router,
        health: Health,
        aliases: &[&str],
        mut sources: Vec<Metrics>,
        access: Access,
    ) -> Router {
        let router = router.merge(Arc::new(health).router(aliases));
        sources.push(Metrics::of_process(env!("CARGO_PKG_VERSION"), &self.clock));
        if self.config.metrics.enabled { router.merge(mb_runtime::metrics::router(sources, access)) } else { router }
    }

    pub(super) fn tls(&self, role: Role) -> Result<Arc<ReloadableServerConfig>> {
        let (chain, key) = self.layout.component(role.as_str());
        let (chain, key) = (read_text(&chain)?, read_secret(&key)?);
        let ca = read_text(&self.layout.ca_certificate())?;
        let config = match self.own_pair(role) {
            Some(own) => own.server_config(&ca)?,
            None => mb_crypto::tls::server_config(&chain, key.expose(), &ca)
                .with_context(|| format!("read certs/{role}.crt"))?,
        };
        Ok(Arc::new(ReloadableServerConfig::new(config)))
    }

    /// What the listener of `role` shows to the public, if that is configured.
    fn own_pair(&self, role: Role) -> Option<OwnPair> {
        let (certificate, key) = match role {
            Role::Proxy => (&self.config.proxy.certificate, &self.config.proxy.key),
            Role::Portal => (&self.config.portal.certificate, &self.config.portal.key),
            _ => return None,
        };
        let place = |path: &String| self.layout.root().join(path);
        (!certificate.is_empty()).then(|| OwnPair { certificate: place(certificate), key: place(key) })
    }
}

fn connections(most: usize) -> Limits {
    Limits { connections: most, ..Limits::default() }
}

#[cfg(test)]
mod tests;
