//! From configuration and files to running roles: the one place where parts are chosen and joined.

mod health;

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::http::Method;
use mb_api::client::{Client, Transport};
use mb_api::paths;
use mb_api::peer::Peer;
use mb_core::{Clock, Policy, Role};
use mb_crypto::data_key::Signer;
use mb_crypto::tls::ReloadableServerConfig;
use mb_proxy::{Proxy, ProxyConfig};
use mb_queue::{Disk, Journal, JournalConfig, Queue};
use mb_runtime::logging::Component;
use mb_runtime::metrics::{Access, Loopback, Metrics};
use mb_runtime::{
    App, AppConfig, Criticality, Health, Lifecycle, Limits, Listener, PlainServer, PlainText, PolicyWatch, TlsServer,
};
use mb_server::{MainServer, Notary};
use mb_store::Store;
use mb_worker::{Worker, WorkerConfig};
use tokio::sync::watch;

use crate::access::component_identity;
use crate::bootstrap;
use crate::config::Config;
use crate::layout::{Layout, read_secret, read_text};

/// How long closing may take; together with the lifecycle's phases under 10 s.
const CLOSING: Duration = Duration::from_secs(2);

/// The four ports of `up`, bound before anything is created or changed.
#[derive(Debug)]
pub struct Ports {
    proxy: Listener,
    server: Listener,
    worker: Listener,
    portal: Listener,
}

impl Ports {
    /// Binds all four.
    ///
    /// # Errors
    /// A port is in use, or an address is none of this machine's.
    pub fn bind(config: &Config) -> Result<Self> {
        Ok(Self {
            proxy: bind("proxy", &config.proxy.host, config.proxy.port)?,
            server: bind("server", &config.server.host, config.server.port)?,
            worker: bind("worker", &config.worker.host, config.worker.port)?,
            portal: bind("portal", &config.portal.host, config.portal.port)?,
        })
    }

    /// Where the main server answers to this machine.
    pub fn server_url(&self) -> String {
        format!("https://localhost:{}", self.server.local_addr().port())
    }

    /// The port that clients submit to.
    pub fn proxy_port(&self) -> u16 {
        self.proxy.local_addr().port()
    }
}

fn bind(section: &str, host: &str, port: u16) -> Result<Listener> {
    let addr = match host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, port),
        Err(_) => (host, port)
            .to_socket_addrs()
            .with_context(|| format!("resolve {section}.host {host}"))?
            .next()
            .with_context(|| format!("resolve {section}.host {host}"))?,
    };
    Listener::bind(addr).with_context(|| format!("start the {section} (set {section}.port to use another)"))
}

/// The journal's settings.
pub fn journal_config(layout: &Layout, config: &Config) -> JournalConfig {
    JournalConfig {
        segment_bytes: config.journal.segment_bytes,
        max_bytes: config.journal.max_bytes,
        keep_for: Duration::from_secs(config.journal.keep_for),
        ..JournalConfig::new(layout.journal())
    }
}

/// The main server's routes as an in-process client calls them.
pub fn in_process_service(router: Router, in_flight: usize, metrics: &mut Metrics) -> App {
    App::new(AppConfig { in_flight, ..AppConfig::new(Role::Server, paths::SERVER) }, router, metrics)
}

/// What runs until the stop.
#[derive(Debug)]
pub struct Running {
    journal: Journal,
    store: Store,
}

impl Running {
    /// Closes journal and store once nothing uses them any more. What does not end in time ends with the process, which
    /// loses nothing: both recover from that like from a crash.
    pub async fn close(self) {
        let closing = async {
            self.journal.shutdown().await;
            self.store.close().await;
        };
        if tokio::time::timeout(CLOSING, closing).await.is_err() {
            tracing::warn!("journal and store did not close in time");
        }
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
            self.revocation_list(server.policy(), store.clone());
            self.main_server(ports.server, &server, policy.clone(), metrics)
        })?;
        let journal = self.open_journal().await?;
        sources.push(Component::Proxy.scope(|| self.proxy(ports.proxy, &journal, &app))?);
        sources.push(Component::Portal.scope(|| self.portal(ports.portal, policy))?);
        Component::Worker.scope(|| self.worker(ports.worker, &journal, &app, sources))?;
        Ok(Running { journal, store })
    }

    fn main_server(
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
        let health = health::server(self.health(), server, self.clock.clone());
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
    fn revocation_list(&self, mut policy: watch::Receiver<Arc<Policy>>, store: Store) {
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

    async fn open_journal(&self) -> Result<Journal> {
        let (config, clock) = (journal_config(self.layout, self.config), self.clock.clone());
        let opening = tokio::task::spawn_blocking(move || Journal::open(config, clock, Disk::Real));
        let (journal, recovery) = opening.await.context("open the journal")?.context("open the journal")?;
        tracing::info!(?recovery, "journal opened");
        Ok(journal)
    }

    fn proxy(&self, listener: Listener, journal: &Journal, server: &App) -> Result<Metrics> {
        let mut metrics = Metrics::new();
        let (chain, key) = self.layout.component(Role::Proxy.as_str());
        let signer = Signer::from_pem(&read_text(&chain)?, read_secret(&key)?.expose()).context("read proxy.crt")?;
        let config = ProxyConfig {
            dir: self.layout.proxy(),
            policy_max_age: Duration::from_secs(self.config.proxy.policy_max_age),
        };
        let client = self.client_as(Role::Proxy, server)?;
        let proxy = Proxy::open(&config, journal.clone(), signer, client, self.clock.clone(), &mut metrics)
            .context("open the proxy")?;
        proxy.start(self.lifecycle);
        let policy = PolicyWatch::from(proxy.policy());
        let health = health::proxy(self.health(), &proxy, journal, self.clock.clone());
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
        let tls = TlsServer::new(listener, self.tls(Role::Proxy)?, app);
        TlsServer { limits: connections(self.config.proxy.connections), policy: Some(policy), ..tls }
            .start(self.lifecycle);
        Ok(metrics)
    }

    fn portal(&self, listener: Listener, policy: PolicyWatch) -> Result<Metrics> {
        let mut metrics = Metrics::new();
        let access = self.restricted(policy.clone());
        let sources = vec![metrics.clone()];
        let router = self.with_own_routes(mb_portal::router(), self.health(), &[], sources, access);
        let app = App::new(AppConfig::new(Role::Portal, &[paths::ROOT]), router, &mut metrics);
        let tls = TlsServer::new(listener, self.tls(Role::Portal)?, app);
        TlsServer { policy: Some(policy), plain_text: PlainText::Redirect, ..tls }.start(self.lifecycle);
        Ok(metrics)
    }

    /// The worker's port also shows the metrics of the other roles in this process.
    fn worker(&self, listener: Listener, journal: &Journal, server: &App, mut sources: Vec<Metrics>) -> Result<()> {
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
        let worker = Worker::start(config, queue, client, self.clock.clone(), self.lifecycle, &mut metrics);
        let health = health::worker(self.health(), &worker, self.clock.clone());
        sources.push(metrics.clone());
        let router = self.with_own_routes(Router::new(), health, &[], sources, Access::Open);
        let app = App::new(AppConfig::new(Role::Worker, paths::WORKER), router, &mut metrics);
        PlainServer::new(listener, app).start(self.lifecycle);
        Ok(())
    }

    fn health(&self) -> Health {
        Health::new(env!("CARGO_PKG_VERSION"), self.clock.clone(), self.lifecycle)
    }

    fn client_as(&self, role: Role, server: &App) -> Result<Client> {
        let peer = Peer::in_process(component_identity(self.layout, role)?);
        Ok(Client::new(Transport::in_process(server.clone(), peer)))
    }

    fn restricted(&self, policy: PolicyWatch) -> Access {
        let loopback = if self.config.metrics.loopback { Loopback::Allowed } else { Loopback::Refused };
        Access::Restricted { loopback, policy, clock: self.clock.clone() }
    }

    fn with_own_routes(
        &self,
        router: Router,
        health: Health,
        aliases: &[&str],
        sources: Vec<Metrics>,
        access: Access,
    ) -> Router {
        let router = router.merge(Arc::new(health).router(aliases));
        if self.config.metrics.enabled { router.merge(mb_runtime::metrics::router(sources, access)) } else { router }
    }

    fn tls(&self, role: Role) -> Result<Arc<ReloadableServerConfig>> {
        let (chain, key) = self.layout.component(role.as_str());
        let (chain, key) = (read_text(&chain)?, read_secret(&key)?);
        let ca = read_text(&self.layout.ca_certificate())?;
        let config = mb_crypto::tls::server_config(&chain, key.expose(), &ca)
            .with_context(|| format!("read certs/{role}.crt"))?;
        Ok(Arc::new(ReloadableServerConfig::new(config)))
    }
}

fn connections(most: usize) -> Limits {
    Limits { connections: most, ..Limits::default() }
}
