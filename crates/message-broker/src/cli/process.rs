//! What every long-running command does around its work: settings, logs, the limit of open files.

use std::process::ExitCode;

use anyhow::{Context, Result};
use mb_runtime::logging::{Component, Level};

use crate::config::Resolved;
use crate::layout::Layout;
use crate::lock::{Purpose, RoleLock};
use crate::{logs, output, weakness};

/// What runs in this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Serving {
    /// Whose log files it writes.
    pub(super) components: &'static [Component],
    /// The roles whose locks it holds, the first of them that by which others find it.
    pub(super) roles: &'static [&'static str],
}

/// Runs `serve` to its end. The locks come before the log files, which belong to whoever holds them.
///
/// # Errors
/// What keeps it from starting, or ended it; the log files have it too.
pub(super) fn run(
    layout: &Layout,
    serving: Serving,
    serve: impl FnOnce(&Resolved, Level, &RoleLock) -> Result<()>,
) -> Result<ExitCode> {
    layout.create()?;
    let resolved = Resolved::of(layout)?;
    let Serving { components, roles } = serving;
    weakness::refuse_in_production(&resolved, components.contains(&Component::MainServer))?;
    let take = |role: &&str| RoleLock::take(layout, role, Purpose::Serve);
    let locks = roles.iter().map(take).collect::<Result<Vec<_>>>()?;
    let (logs, level) = logs::start(layout, &resolved.config, components)?;
    for warning in &resolved.warnings {
        tracing::warn!(warning, "configuration");
    }
    if let Err(error) = mb_runtime::nofile::raise() {
        tracing::warn!(%error, "limit of open files not raised");
    }
    for why in locks.iter().filter_map(RoleLock::nameless) {
        tracing::warn!(error = why, "lock held, its holder not named");
    }
    let first = locks.first().context("a process serves a role")?;
    let ended = serve(&resolved, level, first);
    if let Err(error) = &ended {
        logs.ended(&output::why(error));
    }
    logs.close();
    ended.map(|()| ExitCode::SUCCESS)
}
