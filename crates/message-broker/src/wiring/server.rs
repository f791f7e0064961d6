//! The main server's port, its metrics and the revocation list on disk.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use mb_core::{Policy, Role};
use mb_runtime::metrics::Metrics;
use mb_runtime::{App, Criticality, Listener, PolicyWatch, TlsServer};
use mb_server::{MainServer, Notary};
use mb_store::Store;
use tokio::sync::watch;

use super::{Wiring, connections, health, in_process_service};
use crate::access::component_identity;
use crate::bootstrap;
use crate::layout::{read_secret, read_text};

impl Wiring<'_> {
    /// Starts the main server on its port; the service that answers there, for callers in this process.
    pub(super) fn main_server(
        &self,
        listener: Listener,
        server: &MainServer,
        policy: PolicyWatch,
        mut metrics: Metrics,
    ) -> Result<App> {
        let expiry = metrics.gauge_family(
            "mb_certificate_expiry_timestamp_seconds",
            "When the component's certificate expires, seconds since 1970.",
            "role",
        );
        for role in [Role::Server, Role::Proxy, Role::Worker, Role::Portal] {
            let seconds = component_identity(self.layout, role)?.not_after.seconds();
            expiry.of(role.as_str()).set(f64::from(u32::try_from(seconds).unwrap_or(u32::MAX)));
        }
        server.start(self.lifecycle, self.notary()?);
        let health = health::server(self.health(), server);
        let access = self.restricted(policy.clone());
        let router = self.with_own_routes(server.router(), health, &[], vec![metrics.clone()], access);
        let app = in_process_service(router, self.config.server.in_flight, &mut metrics);
        let tls = TlsServer::new(listener, self.tls(Role::Server)?, app.clone());
        TlsServer { limits: connections(self.config.server.connections), policy: Some(policy), ..tls }
            .start(self.lifecycle);
        Ok(app)
    }

    /// The main server's certificate signs the audit log's checkpoints.
    fn notary(&self) -> Result<Notary> {
        let (chain, key) = self.layout.component(Role::Server.as_str());
        Notary::from_pem(&read_text(&chain)?, &read_secret(&key)?).context("read certs/server.crt")
    }

    /// Keeps `crl.pem` current: after every change of the policy, and daily so that it does not run out.
    pub(super) fn revocation_list(&self, mut policy: watch::Receiver<Arc<Policy>>, store: Store) {
        let (layout, clock, stopping) = (self.layout.clone(), self.clock.clone(), self.lifecycle.soft());
        self.lifecycle.spawn("revocation-list", Criticality::Ordinary, async move {
            // What was revoked before this began is caught by the file's age.
            let mut written = bootstrap::refresh_crl(&layout, &store, &clock).await;
            loop {
                if let Err(error) = &written {
                    tracing::warn!(error = format!("{error:#}"), "crl.pem not written");
                }
                let wait = if written.is_ok() { bootstrap::RENEW_AFTER } else { Duration::from_mins(1) };
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                    changed = policy.changed() => if changed.is_err() { return },
                }
                written = bootstrap::write_crl(&layout, &store, &clock).await;
            }
        });
    }
}
