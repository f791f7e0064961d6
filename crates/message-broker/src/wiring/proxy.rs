//! The proxy's journal and its port.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::http::Method;
use mb_api::paths;
use mb_core::Role;
use mb_crypto::data_key::Signer;
use mb_proxy::{Proxy, ProxyConfig};
use mb_queue::{Disk, Journal, Recovery, RedisConfig};
use mb_runtime::logging::Component;
use mb_runtime::metrics::Metrics;
use mb_runtime::{App, AppConfig, Listener, PolicyWatch, TlsServer};

use super::certificates::{self, Users};
use super::{Link, Wiring, connections, health, journal_config};
use crate::layout::{read_secret, read_text};
use crate::reload::Knob;

impl Wiring<'_> {
    /// Opens the journal on disk, which takes its time after a crash.
    pub(super) async fn open_journal(&self) -> Result<Journal> {
        let (config, clock) = (journal_config(self.layout, self.config), self.clock.clone());
        let opening = tokio::task::spawn_blocking(move || Journal::open(config, clock, Disk::Real));
        let (journal, recovery) = opening.await.context("open the journal")?.context("open the journal")?;
        let Recovery { waiting, segments, scanned, damaged, cut, took } = recovery;
        let duration_ms = took.as_secs_f64() * 1000.0;
        Component::Proxy.scope(|| {
            tracing::info!(waiting, segments, scanned, damaged, duration_ms, "journal opened");
            if cut > 0 {
                tracing::warn!(bytes = cut, "the journal's torn end was cut off; nothing in it was acknowledged");
            }
        });
        Ok(journal)
    }

    /// Starts the proxy on its port.
    pub(super) fn proxy(
        &self,
        listener: Listener,
        journal: &Journal,
        server: &Link,
        redis: Option<RedisConfig>,
    ) -> Result<Metrics> {
        let mut metrics = Metrics::new();
        let expiry = certificates::expiry(Role::Proxy, &mut metrics);
        let (chain, key) = self.layout.component(Role::Proxy.as_str());
        let signer = Signer::from_pem(&read_text(&chain)?, read_secret(&key)?.expose()).context("read proxy.crt")?;
        let config = ProxyConfig {
            dir: self.layout.proxy(),
            policy_max_age: Duration::from_secs(self.config.proxy.policy_max_age),
            rate_limit: self.config.proxy.rate_limit,
        };
        let client = self.client_as(Role::Proxy, server)?;
        let proxy = Proxy::open(&config, journal.clone(), signer, client.clone(), self.clock.clone(), &mut metrics)
            .context("open the proxy")?;
        // Before the main server is called for the first time.
        if let Some(policy) = proxy.policy().borrow().as_ref() {
            self.revoked.replace(policy.revoked.clone());
        }
        proxy.start(self.lifecycle);
        let redis = redis.map(|redis| proxy.forward_to(redis, self.lifecycle, &mut metrics));
        let policy = PolicyWatch::from(proxy.policy());
        let redis = health::redis(self.health(), redis);
        let health = health::proxy(redis, &proxy, journal, self.clock.clone());
        let health = health::expiry(health, &expiry, self.clock.clone());
        let access = self.restricted(policy.clone());
        let sources = vec![metrics.clone()];
        let router = self.with_own_routes(proxy.router(), health, &[paths::API_HEALTH], sources, access);
        let in_flight = self.config.proxy.in_flight;
        let app_config = AppConfig { in_flight, ..AppConfig::new(Role::Proxy, paths::PROXY) };
        let direct = proxy.clone();
        let app = App::new(app_config, router, &mut metrics).direct(Method::POST, paths::MESSAGES, move |request| {
            let proxy = direct.clone();
            async move { proxy.submit(request).await }
        });
        let tls = self.tls(Role::Proxy)?;
        self.knobs.add(Knob::ProxyRateLimit(proxy.clone()));
        self.knobs.add(Knob::ProxyInFlight(app.clone()));
        let users = Users {
            tls: Some(Arc::clone(&tls)),
            client: Some(client),
            proxy: Some(proxy),
            expiry: Some(expiry),
            policy: Some(policy.clone()),
            ..Users::default()
        };
        self.keep_certificate(Role::Proxy, Some(server), users);
        let tls = TlsServer::new(listener, tls, app);
        let slots = TlsServer { limits: connections(self.config.proxy.connections), policy: Some(policy), ..tls }
            .start(self.lifecycle);
        self.knobs.add(Knob::ProxyConnections(slots));
        Ok(metrics)
    }
}
