//! The portal's port.

use std::sync::Arc;

use anyhow::Result;
use mb_api::client::Client;
use mb_core::Role;
use mb_portal::Portal;
use mb_runtime::metrics::Metrics;
use mb_runtime::{App, AppConfig, Listener, PlainText, PolicyWatch, TlsServer};

use super::certificates::{self, Users};
use super::{Link, Wiring, health};

impl Wiring<'_> {
    /// Starts the portal on its port.
    pub(super) fn portal(
        &self,
        listener: Listener,
        policy: PolicyWatch,
        follower: Option<Client>,
        server: &Link,
    ) -> Result<Metrics> {
        let mut metrics = Metrics::new();
        let expiry = certificates::expiry(Role::Portal, &mut metrics);
        let access = self.restricted(policy.clone());
        let sources = vec![metrics.clone()];
        let client = self.client_as(Role::Portal, server)?;
        let portal = Portal::new(client.clone(), self.clock.clone(), self.lifecycle.soft());
        let health = health::portal(self.health(), client.clone());
        let health = health::expiry(health, &expiry, self.clock.clone());
        let router = self.with_own_routes(portal.router(), health, &[], sources, access);
        let config = AppConfig::new(Role::Portal, mb_portal::ROUTES);
        let app = App::with_own_fallback(config, router, &mut metrics).error_pages(mb_portal::error_page);
        let tls = self.tls(Role::Portal)?;
        let users = Users {
            tls: Some(Arc::clone(&tls)),
            client: Some(client),
            expiry: Some(expiry),
            policy: Some(policy.clone()),
            follower,
            ..Users::default()
        };
        self.keep_certificate(Role::Portal, Some(server), users);
        let url = self.config.portal.url(&self.config.server);
        let plain_text =
            if url.starts_with("https://") { PlainText::Redirect(url.as_str().into()) } else { PlainText::Refuse };
        let tls = TlsServer::new(listener, tls, app);
        TlsServer { policy: Some(policy), plain_text, ..tls }.start(self.lifecycle);
        Ok(metrics)
    }
}
