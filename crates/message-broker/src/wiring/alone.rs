//! One role in a process of its own: it reaches the main server over mutual TLS and waits for what others make.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use mb_api::client::Client;
use mb_core::{Policy, Role};
use mb_runtime::logging::Component;
use mb_runtime::metrics::Metrics;
use mb_runtime::{Criticality, Listener, PolicyFollower, PolicyWatch};
use mb_server::MainServer;
use mb_store::Store;
use tokio::sync::watch;

use super::{Link, Running, Waiting, Wiring, queue};
use crate::config::Resolved;

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

    /// Starts a proxy alone: it accepts whether Redis and the main server are there or not.
    ///
    /// # Errors
    /// A file cannot be used, Redis would throw the queue away.
    pub async fn proxy_alone(&self, resolved: &Resolved, listener: Listener) -> Result<Running> {
        let redis = queue::redis(resolved, self.layout).await?;
        let journal = self.open_journal().await?;
        Component::Proxy.scope(|| self.proxy(listener, &journal, &Link::Remote, Some(redis)))?;
        Ok(Running { journal: Some(journal), store: None })
    }

    /// Starts a worker alone.
    ///
    /// # Errors
    /// A file cannot be used, Redis would throw the queue away.
    pub async fn worker_alone(&self, resolved: &Resolved, listener: Listener) -> Result<Running> {
        let redis = queue::redis(resolved, self.layout).await?;
        Component::Worker.scope(|| {
            let followed = Some(self.followed(Role::Worker)?);
            self.worker(listener, Waiting::Redis(Box::new(redis)), &Link::Remote, followed, Vec::new())
        })?;
        Ok(Running { journal: None, store: None })
    }

    /// Starts the portal alone.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn portal_alone(&self, listener: Listener) -> Result<Running> {
        Component::Portal.scope(|| {
            let (policy, follower) = self.followed(Role::Portal)?;
            self.portal(listener, policy, Some(follower), &Link::Remote)
        })?;
        Ok(Running { journal: None, store: None })
    }

    /// Waits until this machine has the certificate of `role`, its key and the CA's certificate; says what it waits for.
    /// `waits` is called if it waits at all; `false` if a stop was asked for meanwhile.
    pub async fn certificate_is_here(&self, role: Role, waits: impl FnOnce()) -> bool {
        let (certificate, key) = self.layout.component(role.as_str());
        let files = [self.layout.ca_certificate(), certificate, key];
        let missing = || files.iter().filter(|path| !path.exists()).map(|path| path.display().to_string());
        if missing().next().is_none() {
            return true;
        }
        waits();
        let names = missing().collect::<Vec<_>>().join(", ");
        tracing::warn!(files = names, "waiting for files: the main server makes them, or they are copied from there");
        let appear = async {
            while missing().next().is_some() {
                tokio::time::sleep(LOOK).await;
            }
        };
        self.lifecycle.soft().run_until_cancelled(appear).await.is_some()
    }

    /// The main server's policy, followed in the background by a client of its own.
    fn followed(&self, role: Role) -> Result<(PolicyWatch, Client)> {
        let (sender, receiver) = watch::channel::<Option<Arc<Policy>>>(None);
        let client = self.client_as(role, &Link::Remote)?;
        let follower = PolicyFollower::new(client.clone());
        let soft = self.lifecycle.soft();
        self.lifecycle.spawn("policy follow", Criticality::Critical, async move {
            soft.run_until_cancelled(follower.feed(sender)).await;
        });
        Ok((PolicyWatch::from(receiver), client))
    }
}
