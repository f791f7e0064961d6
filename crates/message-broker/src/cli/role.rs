//! `main-server`, `proxy`, `worker`, `portal`: one component alone.
//!
//! They start in any order: each says what it waits for and goes on when it is there.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mb_core::{Clock, Role};
use mb_runtime::lifecycle::Hangups;
use mb_runtime::logging::{Component, Level};
use mb_runtime::{Lifecycle, Listener, Metrics};
use mb_server::MainServer;
use mb_store::{Store, StoreError};

use super::process::{self, Serving};
use super::runtime;
use crate::bootstrap;
use crate::config::{QueueBackend, Resolved};
use crate::layout::Layout;
use crate::lock::RoleLock;
use crate::reload::{Knob, Reloader};
use crate::service::Supervisor;
use crate::wiring::{self, Knobs, Running, Wiring};

/// How often a database that is away is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How long a start may go on after a stop was asked for.
const GRACE: Duration = Duration::from_secs(8);

/// Runs the component of `role` until a signal.
pub(crate) fn run(layout: &Layout, role: Role, supervisor: &Supervisor) -> Result<ExitCode> {
    let serving = match role {
        Role::Proxy => Serving { roles: &["proxy"], components: &[Component::Proxy] },
        Role::Worker => Serving { roles: &["worker"], components: &[Component::Worker] },
        Role::Portal => Serving { roles: &["portal"], components: &[Component::Portal] },
        _ => Serving { roles: &["main-server"], components: &[Component::MainServer] },
    };
    process::run(layout, serving, |resolved, level, lock| {
        let embedded = resolved.config.queue.backend == QueueBackend::Embedded;
        if embedded && matches!(role, Role::Proxy | Role::Worker) {
            bail!(
                "{role} cannot run alone on the embedded queue, which lives in one process: run `message-broker up`, \
                 which runs all four components, or set queue.backend = \"redis\" (MB_QUEUE__BACKEND=redis)"
            );
        }
        runtime()?.block_on(serve(layout, resolved, role, lock, (level, serving.components, supervisor)))
    })
}

async fn serve(
    layout: &Layout,
    resolved: &Resolved,
    role: Role,
    lock: &RoleLock,
    (level, components, supervisor): (Level, &'static [Component], &Supervisor),
) -> Result<()> {
    let drain_delay = Duration::from_secs(resolved.config.shutdown.drain_delay);
    let lifecycle = Lifecycle::with_drain_delay(drain_delay);
    supervisor.attend(&lifecycle, drain_delay);
    let listener = wiring::bind(&resolved.config, role)?;
    // From here on it ends nothing, though it is heeded only once the role runs.
    let hangups = Hangups::new().context("listen for SIGHUP")?;
    let knobs = Knobs::default();
    knobs.add(Knob::LogLevel(level));
    let starting = async {
        let (config, clock) = (&resolved.config, Clock::System);
        // Until the first policy comes the list beside the certificates is all that there is to go by.
        let revoked = layout.revoked_at_start();
        let wiring = Wiring { layout, config, clock, lifecycle: &lifecycle, knobs: &knobs, revoked };
        let started = start(&wiring, resolved, role, listener, (lock, supervisor)).await;
        match &started {
            Ok(Some(_)) => {
                Reloader::new(layout, components, resolved, knobs.all()).start(&lifecycle, hangups);
                supervisor.ready();
                tracing::info!("started");
            }
            Ok(None) | Err(_) => lifecycle.stop(),
        }
        started
    };
    let starting = async {
        tokio::select! {
            started = starting => started,
            () = overdue(&lifecycle) => Ok(None),
        }
    };
    // A signal must find its handler while something is waited for.
    let (ended, started) = tokio::join!(lifecycle.run(), starting);
    if let Some(running) = started? {
        running.close().await;
    }
    tracing::info!("stopped");
    ended.context("run")
}

/// Ends some seconds after a stop was asked for: a server that hangs must not keep this process from ending in time.
async fn overdue(lifecycle: &Lifecycle) {
    lifecycle.soft().cancelled().await;
    tokio::time::sleep(GRACE).await;
}

/// Starts the role; `None` if a stop was asked for before it could.
async fn start(
    wiring: &Wiring<'_>,
    resolved: &Resolved,
    role: Role,
    listener: Listener,
    (lock, supervisor): (&RoleLock, &Supervisor),
) -> Result<Option<Running>> {
    if role == Role::Server {
        let mut metrics = Metrics::new();
        let Some((server, store)) = main_server(wiring, resolved, &mut metrics, supervisor).await? else {
            return Ok(None);
        };
        let url = format!("https://localhost:{}", listener.local_addr().port());
        let running = wiring.main_server_alone(listener, &server, store, metrics)?;
        lock.announce(Some(url))?;
        return Ok(Some(running));
    }
    let waiting = || supervisor.waiting("waiting for its certificate, which the main server makes");
    if !wiring.certificate_is_here(role, waiting).await {
        return Ok(None);
    }
    match role {
        Role::Proxy => wiring.proxy_alone(resolved, listener).await.map(Some),
        Role::Worker => wiring.worker_alone(resolved, listener).await.map(Some),
        _ => wiring.portal_alone(listener).map(Some),
    }
}

/// Opens the main server as soon as its database answers.
async fn main_server(
    wiring: &Wiring<'_>,
    resolved: &Resolved,
    metrics: &mut Metrics,
    supervisor: &Supervisor,
) -> Result<Option<(MainServer, Store)>> {
    let (layout, clock, lifecycle) = (wiring.layout, &wiring.clock, wiring.lifecycle);
    loop {
        let opened = bootstrap::main_server(layout, resolved, clock, metrics, lifecycle.soft()).await;
        let (server, store) = match opened {
            Ok(opened) => opened,
            Err(error) if passes(&error) => {
                supervisor.waiting("waiting for the database");
                mb_runtime::logging::limited("database", || {
                    tracing::warn!(error = format!("{error:#}"), "waiting for the database");
                });
                match lifecycle.soft().run_until_cancelled(tokio::time::sleep(RETRY)).await {
                    Some(()) => continue,
                    None => return Ok(None),
                }
            }
            Err(error) => return Err(error),
        };
        bootstrap::component_certificates(layout, &resolved.config, server.authority(), &store, clock).await?;
        return Ok(Some((server, store)));
    }
}

fn passes(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<StoreError>().is_some_and(StoreError::is_passing))
}
