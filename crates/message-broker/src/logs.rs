//! Where this process's log lines go, as the configuration says.

use anyhow::{Context, Result};
use mb_core::Clock;
use mb_runtime::logging::{self, Component, Format, Level, LogFiles, Logs};

use crate::config::{Config, LogFormat};
use crate::layout::Layout;

/// Starts logging for `components`, which run in this process.
///
/// # Errors
/// The level is none, or the files' thread cannot be started.
pub(crate) fn start(layout: &Layout, config: &Config, components: &'static [Component]) -> Result<(Logs, Level)> {
    let format = match config.log.format {
        LogFormat::Auto => Format::Auto,
        LogFormat::Pretty => Format::Text,
        LogFormat::Json => Format::Json,
    };
    let files = LogFiles { dir: layout.root().join(&config.log.dir), clock: Clock::System, components };
    logging::init(&config.log.level, format, Some(&files)).context("start logging")
}
