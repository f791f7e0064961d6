//! The main server's port, its metrics and the revocation list on disk.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use mb_core::Role;
use mb_runtime::metrics::Metrics;
use mb_runtime::{App, Criticality, Listener, PolicyWatch, TlsServer};
use mb_server::MainServer;
use mb_store::Store;

use super::certificates::{self, Users};
use super::{Wiring, connections, health, in_process_service};
use crate::bootstrap;
use crate::reload::Knob;

/// How often it is asked whether a certificate nears its end.
const RENEWAL: Duration = Duration::from_hours(1);

/// How often it is asked how old the revocation list is.
const CRL_AGE: Duration = Duration::from_mins(10);

impl Wiring<'_> {
    /// Starts the main server on its port; the service that answers there, for callers in this process.
    pub(super) fn main_server(
        &self,
        listener: Listener,
        server: &MainServer,
        policy: PolicyWatch,
        mut metrics: Metrics,
    ) -> Result<App> {
        let expiry = certificates::expiry_beside_ca(server, &mut metrics);
        server.start(self.lifecycle, bootstrap::notary(self.layout)?);
        let health = health::server(self.health(), server, self.clock.clone());
        let health = health::expiry(health, &expiry, self.clock.clone());
        let access = self.restricted(policy.clone());
        let router = self.with_own_routes(server.router(), health, &[], vec![metrics.clone()], access);
        let app = in_process_service(router, self.config.server.in_flight, &mut metrics);
        let tls = self.tls(Role::Server)?;
        self.keep_certificate(
            Role::Server,
            None,
            Users {
                tls: Some(Arc::clone(&tls)),
                expiry: Some(expiry),
                server: Some(server.clone()),
                ..Users::default()
            },
        );
        let tls = TlsServer::new(listener, tls, app.clone());
        let slots = TlsServer { limits: connections(self.config.server.connections), policy: Some(policy), ..tls }
            .start(self.lifecycle);
        self.knobs.add(Knob::Shown(server.clone()));
        self.knobs.add(Knob::ServerInFlight(app.clone()));
        self.knobs.add(Knob::ServerConnections(slots));
        Ok(app)
    }

    /// Renews the certificates of components in this data directory when two thirds of their lives are over, and replaces
    /// revoked ones, which a change of the policy may tell of; whoever uses them notices.
    pub(super) fn component_certificates(&self, server: &MainServer, store: &Store) {
        let (layout, config, clock) = (self.layout.clone(), self.config.clone(), self.clock.clone());
        let (server, store, soft) = (server.clone(), store.clone(), self.lifecycle.soft());
        let pause = RENEWAL.min(Duration::from_secs(config.pki.component_validity) / 12);
        self.lifecycle.spawn("component certificates", Criticality::Critical, async move {
            let mut policy = server.policy();
            loop {
                tokio::select! {
                    () = soft.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                    changed = policy.changed() => if changed.is_err() { return },
                }
                let authority = server.authority();
                let renewed = bootstrap::component_certificates(&layout, &config, authority, &store, &clock).await;
                if let Err(error) = renewed {
                    tracing::warn!(error = format!("{error:#}"), "component certificates not renewed");
                }
            }
        });
    }

    /// Keeps `crl.pem` current.
    pub(super) fn revocation_list(&self, server: &MainServer) {
        let keep = bootstrap::keep_crl(self.layout.clone(), server.clone(), self.clock.clone(), CRL_AGE);
        let soft = self.lifecycle.soft();
        self.lifecycle.spawn("revocation list", Criticality::Ordinary, async move {
            soft.run_until_cancelled(keep).await;
        });
    }
}
