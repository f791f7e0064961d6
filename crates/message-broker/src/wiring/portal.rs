//! The portal's port.

use std::sync::Arc;

use anyhow::Result;
use mb_api::paths;
use mb_core::Role;
use mb_runtime::metrics::Metrics;
use mb_runtime::{App, AppConfig, Listener, PlainText, PolicyWatch, TlsServer};

use super::Wiring;
use super::certificates::Users;

impl Wiring<'_> {
    /// Starts the portal on its port.
    pub(super) fn portal(&self, listener: Listener, policy: PolicyWatch) -> Result<Metrics> {
        let mut metrics = Metrics::new();
        let expiry = self.certificate_expiry(Role::Portal, &mut metrics);
        let access = self.restricted(policy.clone());
        let sources = vec![metrics.clone()];
        let router = self.with_own_routes(mb_portal::router(), self.health(), &[], sources, access);
        let app = App::new(AppConfig::new(Role::Portal, &[paths::ROOT]), router, &mut metrics);
        let tls = self.tls(Role::Portal)?;
        let users = Users { tls: Some(Arc::clone(&tls)), expiry, ..Users::default() };
        self.keep_certificate(Role::Portal, None, users);
        let tls = TlsServer::new(listener, tls, app);
        TlsServer { policy: Some(policy), plain_text: PlainText::Redirect, ..tls }.start(self.lifecycle);
        Ok(metrics)
    }
}
