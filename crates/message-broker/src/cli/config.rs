//! `config show|check|reload`: the settings in effect.

mod reload;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use serde::Serialize;

use super::Format;
use crate::config::Resolved;
use crate::layout::Layout;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting in effect
    Show {
        /// Say where each value comes from
        #[arg(long)]
        sources: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Check the configuration and say what is wrong with it
    Check,
    /// Let what runs on this data directory take up changed limits and the log level, as SIGHUP does
    Reload(Format),
}

#[derive(Debug, Serialize)]
struct Row {
    key: String,
    value: toml::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

pub(crate) fn run(layout: &Layout, command: &ConfigCommand) -> Result<ExitCode> {
    // Whether the settings are good is said by those who run under them.
    if let ConfigCommand::Reload(format) = command {
        return reload::run(layout, *format);
    }
    let resolved = Resolved::of(layout)?;
    for warning in &resolved.warnings {
        output::note(warning);
    }
    match command {
        ConfigCommand::Reload(_) => {}
        ConfigCommand::Check => output::note("the configuration is valid"),
        ConfigCommand::Show { sources, format } => {
            let rows: Vec<_> = resolved
                .settings
                .into_iter()
                .map(|setting| Row {
                    value: setting.shown(),
                    key: setting.key,
                    source: (*sources).then(|| setting.source.to_string()),
                })
                .collect();
            if format.json {
                output::json(&rows)?;
            } else {
                for row in rows {
                    let source = row.source.map(|source| format!("  # {source}")).unwrap_or_default();
                    output::data(&format!("{} = {}{source}", row.key, row.value));
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
