//! `up`: all four components in one process, on what this machine has.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use mb_core::Clock;
use mb_crypto::tls::RevokedSet;
use mb_runtime::lifecycle::{Hangups, Signals};
use mb_runtime::logging::{Component, Level};
use mb_runtime::{Lifecycle, Metrics};
use mb_store::Store;

use super::process::{self, Serving};
use super::runtime;
use crate::bootstrap::{self, DEMO, FirstAdmin, PreparedAdmin};
use crate::config::{self, Resolved};
use crate::layout::Layout;
use crate::lock::RoleLock;
use crate::output;
use crate::reload::{Knob, Reloader};
use crate::service::Supervisor;
use crate::wiring::{Knobs, Ports, Wiring};

const ROLES: [&str; 4] = ["main-server", "proxy", "worker", "portal"];

pub(crate) fn run(layout: &Layout, supervisor: &Supervisor) -> Result<ExitCode> {
    let serving = Serving { components: &Component::ALL, roles: &ROLES };
    process::run(layout, serving, |resolved, level, lock| serve(layout, resolved, level, lock, supervisor))
}

fn serve(layout: &Layout, resolved: &Resolved, level: Level, lock: &RoleLock, supervisor: &Supervisor) -> Result<()> {
    let email = resolved.secret("ADMIN_EMAIL")?.map(|email| email.expose().clone());
    let password = resolved.secret("ADMIN_PASSWORD")?;
    runtime()?.block_on(async {
        let hangups = Hangups::new().context("listen for SIGHUP")?;
        let ports = Ports::bind(&resolved.config)?;
        let clock = Clock::System;
        let drain_delay = Duration::from_secs(resolved.config.shutdown.drain_delay);
        let lifecycle = Lifecycle::with_drain_delay(drain_delay);
        supervisor.attend(&lifecycle, drain_delay);
        let mut metrics = Metrics::new();
        let config = &resolved.config;
        let (server, store) = bootstrap::main_server(layout, resolved, &clock, &mut metrics, lifecycle.soft()).await?;
        bootstrap::component_certificates(layout, config, server.authority(), &store, &clock).await?;
        bootstrap::demo_client(layout, server.authority(), &store, &clock).await?;
        let prepared = bootstrap::first_admin(&store, email, password).await?;
        let server_url = ports.server_url();
        let proxy_port = ports.proxy_port();
        let knobs = Knobs::default();
        knobs.add(Knob::LogLevel(level));
        let revoked = RevokedSet::default();
        let wiring = Wiring { layout, config, clock, lifecycle: &lifecycle, knobs: &knobs, revoked };
        // From here on ports answer, and whoever got an answer may send a signal.
        let signals = Signals::new().context("listen for signals")?;
        let running = wiring.start(ports, server, store.clone(), metrics).await?;
        Reloader::new(layout, &Component::ALL, resolved, knobs.all()).start(&lifecycle, hangups);
        let greeting = async {
            let greeted = greet(layout, config, lock, prepared, &store, proxy_port, &server_url).await;
            match &greeted {
                Ok(()) => supervisor.ready(),
                Err(_) => lifecycle.stop(),
            }
            greeted
        };
        let (ended, greeted) = tokio::join!(lifecycle.run_on(signals), greeting);
        running.close().await;
        tracing::info!("stopped");
        greeted.and(ended.context("run"))
    })
}

/// Lets other commands find this process, makes the first admin and says how to go on.
async fn greet(
    layout: &Layout,
    config: &config::Config,
    lock: &RoleLock,
    prepared: Option<PreparedAdmin>,
    store: &Store,
    proxy_port: u16,
    server_url: &str,
) -> Result<()> {
    lock.announce(Some(server_url.to_owned()))?;
    // Last, and shown at once: before, a failed start would leave an admin whose password nobody has seen.
    let admin = match prepared {
        Some(prepared) => Some(prepared.store(store).await?),
        None => None,
    };
    output::data(&welcome(layout, config, proxy_port, server_url, admin.as_ref()));
    tracing::info!("started");
    Ok(())
}

fn welcome(
    layout: &Layout,
    config: &config::Config,
    proxy_port: u16,
    server_url: &str,
    admin: Option<&FirstAdmin>,
) -> String {
    let root = std::path::absolute(layout.root()).unwrap_or_else(|_| layout.root().to_owned());
    let url = format!("https://localhost:{proxy_port}");
    let certs = root.join("certs/clients").join(DEMO);
    let (root, certs) = (quote(&root.display().to_string()), quote(&certs.display().to_string()));
    let program = std::env::current_exe().map_or_else(|_| "message-broker".into(), |path| path.display().to_string());
    let mut text = String::new();
    let _ = writeln!(text, "message-broker {} is running; data in {root}", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(text, "  proxy        {url}  (clients submit here)");
    let _ = writeln!(text, "  main server  {server_url}");
    let _ = writeln!(text, "  worker       http://localhost:{}/metrics", config.worker.port);
    let _ = writeln!(text, "  portal       https://localhost:{}", config.portal.port);
    match admin {
        Some(FirstAdmin { email, generated: Some(password) }) => {
            let _ = writeln!(text, "  admin        {email}, password {} (shown this once)", password.expose());
        }
        Some(FirstAdmin { email, generated: None }) => {
            let _ = writeln!(text, "  admin        {email}");
        }
        None => {}
    }
    let _ = writeln!(text, "Send a first message as the client {DEMO}, in another terminal:");
    let program = quote(&program);
    let _ =
        writeln!(text, "  {program} --data-dir {root} send --url {url} --sender +4915112345678 --message hello --wait");
    let _ = write!(
        text,
        "  curl --cacert {certs}/ca.crt --cert {certs}/{DEMO}.crt --key {certs}/{DEMO}.key -H 'Content-Type: \
         application/json' -d '{{\"sender_number\":\"+4915112345678\",\"message_body\":\"hello\"}}' {url}/api/v1/messages"
    );
    text
}

/// Quotes for a POSIX shell where that is needed.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:\\".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
