//! What every long-running command does around its work: settings, logs, the limit of open files.

use std::process::ExitCode;

use anyhow::Result;
use mb_runtime::logging::{Component, Level};

use crate::config::Resolved;
use crate::layout::Layout;
use crate::{logs, weakness};

/// Runs `serve` to its end, with the log files of `components`.
///
/// # Errors
/// What keeps it from starting, or ended it; the log files have it too.
pub(super) fn run(
    layout: &Layout,
    components: &'static [Component],
    serve: impl FnOnce(&Resolved, Level) -> Result<()>,
) -> Result<ExitCode> {
    layout.create()?;
    let resolved = Resolved::of(layout)?;
    weakness::refuse_in_production(&resolved, components.contains(&Component::MainServer))?;
    let (logs, level) = logs::start(layout, &resolved.config, components)?;
    for warning in &resolved.warnings {
        tracing::warn!(warning, "configuration");
    }
    if let Err(error) = mb_runtime::nofile::raise() {
        tracing::warn!(%error, "limit of open files not raised");
    }
    let ended = serve(&resolved, level);
    if let Err(error) = &ended {
        logs.ended(&format!("{error:#}"));
    }
    logs.close();
    ended.map(|()| ExitCode::SUCCESS)
}
