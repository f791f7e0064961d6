//! `journal status|replay|discard`: the proxy's journal on this machine, while the proxy is stopped.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use mb_core::Clock;
use mb_queue::{Disk, Journal};

use super::Format;
use crate::config::Resolved;
use crate::layout::Layout;
use crate::lock::RoleLock;
use crate::{output, wiring};

#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// What the journal holds
    Status(Format),
    /// Forward the entries in journal/stale/ and journal/refused/ after all
    Replay(Format),
    /// Delete the entries in journal/stale/ and journal/refused/
    Discard {
        /// Really delete them
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        format: Format,
    },
}

pub(crate) async fn run(layout: &Layout, command: JournalCommand) -> Result<ExitCode> {
    let resolved = Resolved::of(layout)?;
    if !layout.journal().is_dir() {
        bail!("there is no journal in {}", layout.root().display());
    }
    let _lock = RoleLock::take(layout, "proxy").context(
        "the journal can be opened only while its proxy is stopped; a running one shows it at /health and /metrics",
    )?;
    let journal_config = wiring::journal_config(layout, &resolved.config);
    let (journal, recovery) = Journal::open(journal_config, Clock::System, Disk::Real).context("open the journal")?;
    let (format, changed) = match command {
        JournalCommand::Status(format) => (format, None),
        JournalCommand::Replay(format) => {
            (format, Some(("replayed", journal.replay_aside().await.context("replay entries")?)))
        }
        JournalCommand::Discard { yes: false, .. } => {
            bail!("discard deletes accepted messages for good: repeat it with --yes")
        }
        JournalCommand::Discard { yes: true, format } => {
            (format, Some(("discarded", journal.discard_aside().context("discard entries")?)))
        }
    };
    let status = journal.status();
    let rows = [
        ("waiting", status.depth.to_string()),
        ("bytes", status.bytes.to_string()),
        ("oldest_waiting", status.oldest.map_or_else(|| "-".to_owned(), |at| at.to_string())),
        ("kept_segments", status.kept_segments.to_string()),
        ("stale", status.stale.to_string()),
        ("refused", status.refused.to_string()),
        ("damaged", status.damaged_entries.to_string()),
    ];
    tracing::debug!(?recovery, "journal recovered");
    journal.shutdown().await;
    if format.json {
        let mut object: serde_json::Map<_, _> =
            rows.into_iter().map(|(key, value)| (key.to_owned(), serde_json::Value::String(value))).collect();
        if let Some((word, count)) = changed {
            object.insert(word.to_owned(), count.into());
        }
        output::json(&object)?;
    } else {
        if let Some((word, count)) = changed {
            output::note(&format!("{count} entries {word}"));
        }
        for (key, value) in &rows {
            output::data(&format!("{key:16} {value}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
