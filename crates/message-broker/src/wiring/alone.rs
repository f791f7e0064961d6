//! One role in a process of its own: it reaches the main server over mutual TLS and waits for what others make.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use mb_core::{Policy, Role};
use mb_runtime::logging::Component;
use mb_runtime::metrics::Metrics;
use mb_runtime::{Criticality, Listener, PolicyFollower, PolicyWatch};
use mb_server::MainServer;
use mb_store::Store;
use tokio::sync::watch;

use super::{Link, Running, Wiring};

/// How often a missing file is looked for.
const LOOK: Duration = Duration::from_millis(250);

impl Wiring<'_> {
    /// Starts the main server alone. `metrics` are those that it registered.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn main_server_alone(
        &self,
        listener: Listener,
        server: &MainServer,
        store: Store,
        metrics: Metrics,
    ) -> Result<Running> {
        Component::MainServer.scope(|| {
            self.revocation_list(server);
            self.component_certificates(server, &store);
            self.main_server(listener, server, PolicyWatch::from(server.policy()), metrics)
        })?;
        Ok(Running { journal: None, store: Some(store) })
    }

    /// Starts the portal alone.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn portal_alone(&self, listener: Listener) -> Result<Running> {
        Component::Portal.scope(|| {
            let policy = self.followed(Role::Portal)?;
            self.portal(listener, policy, &Link::Remote)
        })?;
        Ok(Running { journal: None, store: None })
    }

    /// Waits until this machine has the certificate of `role`, its key and the CA's certificate; says what it waits for.
    /// `false` if a stop was asked for meanwhile.
    pub async fn certificate_is_here(&self, role: Role) -> bool {
        let (certificate, key) = self.layout.component(role.as_str());
        for path in [self.layout.ca_certificate(), certificate, key] {
            if !self.is_here(&path).await {
                return false;
            }
        }
        true
    }

    async fn is_here(&self, path: &Path) -> bool {
        if path.exists() {
            return true;
        }
        tracing::warn!(file = %path.display(), "waiting for a file: the main server makes it, or it is copied from there");
        let appears = async {
            while !path.exists() {
                tokio::time::sleep(LOOK).await;
            }
        };
        self.lifecycle.soft().run_until_cancelled(appears).await.is_some()
    }

    /// The main server's policy, followed in the background.
    fn followed(&self, role: Role) -> Result<PolicyWatch> {
        let (sender, receiver) = watch::channel::<Option<Arc<Policy>>>(None);
        let follower = PolicyFollower::new(self.client_as(role, &Link::Remote)?);
        let soft = self.lifecycle.soft();
        self.lifecycle.spawn("policy follow", Criticality::Critical, async move {
            soft.run_until_cancelled(follower.feed(sender)).await;
        });
        Ok(PolicyWatch::from(receiver))
    }
}
