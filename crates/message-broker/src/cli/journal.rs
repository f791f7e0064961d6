//! `journal status|replay|discard`: the proxy's journal on this machine, while the proxy is stopped.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use mb_core::Clock;
use mb_queue::{Disk, Journal};
use serde_json::Value;

use super::Format;
use crate::config::Resolved;
use crate::layout::Layout;
use crate::lock::{Purpose, RoleLock};
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
    let _lock = RoleLock::take(layout, "proxy", Purpose::Command).context(
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
        ("waiting", Value::from(status.depth)),
        ("bytes", status.bytes.into()),
        ("oldest_waiting", status.oldest.map(|at| at.to_string()).into()),
        ("kept_segments", status.kept_segments.into()),
        ("stale", status.stale.into()),
        ("refused", status.refused.into()),
        ("damaged", status.faults().damaged.into()),
    ];
    tracing::debug!(?recovery, "journal recovered");
    journal.shutdown().await;
    if format.json {
        let mut object: serde_json::Map<_, _> = rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        if let Some((word, count)) = changed {
            object.insert(word.to_owned(), count.into());
        }
        output::json(&object)?;
    } else {
        if let Some((word, count)) = changed {
            output::note(&format!("{count} {} {word}", if count == 1 { "entry" } else { "entries" }));
        }
        for (key, value) in &rows {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            output::data(&format!("{key:16} {}", if value == "null" { "-" } else { &value }));
        }
    }
    Ok(ExitCode::SUCCESS)
}
