//! The portal's port.

use anyhow::Result;
use mb_core::Role;
use mb_portal::Portal;
use mb_runtime::metrics::Metrics;
use mb_runtime::{App, AppConfig, Listener, PlainText, PolicyWatch, TlsServer};

use super::{Link, Wiring};

impl Wiring<'_> {
    /// Starts the portal on its port.
    pub(super) fn portal(&self, listener: Listener, policy: PolicyWatch, server: &Link) -> Result<Metrics> {
        let mut metrics = Metrics::new();
        let access = self.restricted(policy.clone());
        let sources = vec![metrics.clone()];
        let portal = Portal::new(self.client_as(Role::Portal, server)?);
        let router = self.with_own_routes(portal.router(), self.health(), &[], sources, access);
        let config = AppConfig::new(Role::Portal, mb_portal::ROUTES);
        let app = App::with_own_fallback(config, router, &mut metrics).error_pages(mb_portal::error_page);
        let tls = TlsServer::new(listener, self.tls(Role::Portal)?, app);
        TlsServer { policy: Some(policy), plain_text: PlainText::Redirect, ..tls }.start(self.lifecycle);
        Ok(metrics)
    }
}
