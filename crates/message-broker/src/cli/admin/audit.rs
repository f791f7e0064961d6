//! `admin audit`: who did what, and whether the log is whole.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use mb_api::client::Client;
use mb_api::dto::{AuditFault, AuditQuery, AuditVerifyQuery};
use mb_core::Timestamp;
use serde::Serialize;

use super::list::Stretch;
use super::table::{Table, shown, word};
use super::{values, with_client};
use crate::cli::Format;
use crate::layout::Layout;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List the audit log, newest first; all filters hold at once
    List(ListArgs),
    /// Check that nothing was removed or changed; exits 1 if something was
    Verify(Format),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only what this one did
    #[arg(long)]
    actor: Option<String>,
    /// Only actions that begin so, e.g. user.
    #[arg(long)]
    action: Option<String>,
    /// Only what was done to this
    #[arg(long)]
    object: Option<String>,
    /// At or after
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    from: Option<Timestamp>,
    /// Before
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    to: Option<Timestamp>,
    #[command(flatten)]
    stretch: Stretch,
    #[command(flatten)]
    format: Format,
}

/// What checking the whole log found.
#[derive(Debug, Default, Serialize)]
struct Report {
    intact: bool,
    rows: u64,
    checkpoints: u64,
    last_position: Option<u64>,
    signed_position: Option<u64>,
    unchained: u64,
    faults: Vec<AuditFault>,
}

pub(crate) async fn run(layout: &Layout, command: AuditCommand) -> Result<ExitCode> {
    match command {
        AuditCommand::List(args) => list(layout, args).await,
        AuditCommand::Verify(format) => verify(layout, format).await,
    }
}

async fn list(layout: &Layout, args: ListArgs) -> Result<ExitCode> {
    let query = AuditQuery {
        actor: args.actor,
        action: args.action,
        object: args.object,
        from: args.from,
        to: args.to,
        limit: None,
        cursor: None,
    };
    let page = with_client(layout, async |client| {
        let fetch = async |limit, cursor| client.audit(&AuditQuery { limit, cursor, ..query.clone() }).await;
        args.stretch.rows(fetch).await.context("list the audit log")
    });
    let page = page.await?;
    if args.format.json {
        output::json(&page)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["id", "at", "actor", "action", "object", "detail"]);
    for row in page.data {
        table.row([
            row.id.to_string(),
            row.at.to_string(),
            row.actor,
            row.action,
            row.object,
            serde_json::Value::from(row.detail).to_string(),
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}

async fn verify(layout: &Layout, format: Format) -> Result<ExitCode> {
    let report = with_client(layout, async |client| check(client).await.context("check the audit log")).await?;
    if format.json {
        output::json(&report)?;
    } else {
        for fault in &report.faults {
            output::data(&format!("{} at {}: {}", word(fault.kind), fault.position, shown(&fault.detail)));
        }
        let word = if report.intact { "intact" } else { "not intact" };
        let signed = report.signed_position.map_or_else(|| "none".to_owned(), |position| format!("up to {position}"));
        output::data(&format!(
            "{word}: {}, {}, signed: {signed}, not yet chained: {}",
            output::counted(report.rows, "row"),
            output::counted(report.checkpoints, "checkpoint"),
            report.unchained
        ));
    }
    Ok(if report.intact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Stretch by stretch to the end.
async fn check(client: &Client) -> Result<Report> {
    let mut whole = Report { intact: true, ..Report::default() };
    let mut query = AuditVerifyQuery::default();
    loop {
        let part = client.verify_audit(&query).await?;
        whole.intact &= part.intact;
        whole.rows += part.rows;
        whole.checkpoints += part.checkpoints;
        whole.last_position = part.last_position.or(whole.last_position);
        whole.signed_position = part.signed_position.or(whole.signed_position);
        whole.unchained = part.unchained;
        whole.faults.extend(part.faults);
        if part.next.is_none() {
            return Ok(whole);
        }
        query.cursor = part.next;
    }
}
