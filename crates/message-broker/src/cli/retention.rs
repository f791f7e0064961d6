//! `retention`: for how long things are kept, and a run that removes what was kept for long enough; through the same routes
//! whether the system runs or not.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use mb_api::client::Client;
use mb_api::dto::{RetentionProgress, RetentionSettings, RetentionTerms, RunRetention};

use super::Format;
use crate::access::Access;
use crate::layout::Layout;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum RetentionCommand {
    /// Show for how long things are kept
    Show(Format),
    /// Set some of it for all; domains can have days of their own: admin domains set
    Set(SetArgs),
    /// Remove what was kept for long enough; may be broken off and repeated
    Run(RunArgs),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true, args = ["body_days", "metadata_days", "audit_days"])]
#[expect(clippy::struct_field_names, reason = "they are the names of the options")]
pub(crate) struct SetArgs {
    /// Days that contents of messages are kept
    #[arg(long, value_name = "DAYS")]
    body_days: Option<u32>,
    /// Days that messages are known at all, 30 or more
    #[arg(long, value_name = "DAYS")]
    metadata_days: Option<u32>,
    /// Days that the audit log is kept, 30 or more
    #[arg(long, value_name = "DAYS")]
    audit_days: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Only count what would be removed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(layout: &Layout, command: RetentionCommand) -> Result<ExitCode> {
    let access = Access::open(layout).await?;
    let done = match command {
        RetentionCommand::Show(format) => show(&access.client, format).await,
        RetentionCommand::Set(args) => set(&access.client, &args).await,
        RetentionCommand::Run(args) => remove(&access.client, &args).await,
    };
    access.close().await;
    done
}

async fn show(client: &Client, format: Format) -> Result<ExitCode> {
    let terms = client.retention().await.context("read for how long things are kept")?;
    if format.json {
        output::json(&terms)?;
        return Ok(ExitCode::SUCCESS);
    }
    let RetentionTerms { settings, domains } = terms;
    output::data(&format!("bodies {} days, messages {} days", settings.body_days, settings.metadata_days));
    output::data(&format!("audit log {} days", settings.audit_days));
    for domain in domains {
        output::data(&format!(
            "domain {}: bodies {} days, messages {} days",
            domain.id, domain.body_days, domain.metadata_days
        ));
    }
    Ok(ExitCode::SUCCESS)
}

async fn set(client: &Client, args: &SetArgs) -> Result<ExitCode> {
    let now = client.retention().await.context("read for how long things are kept")?.settings;
    let settings = RetentionSettings {
        body_days: args.body_days.unwrap_or(now.body_days),
        metadata_days: args.metadata_days.unwrap_or(now.metadata_days),
        audit_days: args.audit_days.unwrap_or(now.audit_days),
    };
    client.set_retention(&settings).await.context("set for how long things are kept")?;
    output::note("set; retention run --dry-run says what is too old by that");
    Ok(ExitCode::SUCCESS)
}

async fn remove(client: &Client, args: &RunArgs) -> Result<ExitCode> {
    let (mut sum, mut cursor) = (RetentionProgress::default(), None);
    loop {
        let ask = RunRetention { dry_run: args.dry_run, cursor };
        let part = client.run_retention(&ask).await.context("remove what was kept for long enough")?;
        sum.bodies += part.bodies;
        sum.messages += part.messages;
        sum.dead_letters += part.dead_letters;
        sum.audit_rows += part.audit_rows;
        cursor = part.next;
        if cursor.is_none() {
            break;
        }
    }
    if args.format.json {
        output::json(&sum)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::note(if args.dry_run { "would be removed:" } else { "removed:" });
    for (what, count) in [
        ("bodies", sum.bodies),
        ("messages", sum.messages),
        ("dead letters", sum.dead_letters),
        ("audit rows", sum.audit_rows),
    ] {
        output::data(&format!("{what:12}  {count}"));
    }
    Ok(ExitCode::SUCCESS)
}
