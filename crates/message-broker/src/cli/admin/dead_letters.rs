//! `admin dead-letters`: list, send again, remove.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use mb_api::client::{Client, ClientError};
use mb_api::dto::{ChooseDeadLetters, DeadLetterQuery, DeadLettersDone};
use mb_core::{DestinationName, DomainName, MessageId, Timestamp};

use super::list::Stretch;
use super::table::{Table, optional};
use super::{destinations, values, with_client};
use crate::cli::Format;
use crate::layout::Layout;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List dead letters, the newest first
    List {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        stretch: Stretch,
        #[command(flatten)]
        format: Format,
    },
    /// Send dead letters again
    Redrive(Choose),
    /// Remove dead letters for good
    Purge(Choose),
}

#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Only those of this domain
    #[arg(long, value_parser = values::domain)]
    domain: Option<DomainName>,
    /// Only those for this destination of the domain (by default: default)
    #[arg(long, value_name = "NAME", value_parser = values::destination)]
    destination: Option<DestinationName>,
    /// Only those for this reason
    #[arg(long)]
    reason: Option<String>,
    /// Only those of this message
    #[arg(long, value_name = "ID", value_parser = values::message)]
    message: Option<MessageId>,
    /// Only those since then
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    since: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub(crate) struct Choose {
    /// These; or --all with a filter
    #[arg(value_name = "ID", required_unless_present = "all")]
    ids: Vec<i64>,
    /// All that match the filter
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    #[command(flatten)]
    filter: Filter,
    /// Only say how many there are
    #[arg(long)]
    preview: bool,
    /// Do it without asking; needed with --all
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    format: Format,
}

impl Filter {
    async fn query(&self, client: &Client) -> Result<DeadLetterQuery> {
        let destination = match &self.destination {
            None => None,
            Some(name) => Some(destinations::find(client, &self.domain.clone().unwrap_or_default(), name).await?.id),
        };
        Ok(DeadLetterQuery {
            domain: self.domain.clone(),
            destination,
            reason: self.reason.clone(),
            message: self.message,
            since: self.since,
            limit: None,
            cursor: None,
        })
    }
}

pub(crate) async fn run(layout: &Layout, command: DeadLettersCommand) -> Result<ExitCode> {
    match command {
        DeadLettersCommand::List { filter, stretch, format } => list(layout, &filter, stretch, format).await,
        DeadLettersCommand::Redrive(choose) => {
            act(layout, choose, "sent again", async |client, ask| client.redrive_dead_letters(ask).await).await
        }
        DeadLettersCommand::Purge(choose) => {
            act(layout, choose, "removed", async |client, ask| client.purge_dead_letters(ask).await).await
        }
    }
}

async fn list(layout: &Layout, filter: &Filter, stretch: Stretch, format: Format) -> Result<ExitCode> {
    let rows = with_client(layout, async |client| {
        let query = filter.query(client).await?;
        let page = async |limit, cursor| client.dead_letters(&DeadLetterQuery { limit, cursor, ..query.clone() }).await;
        stretch.rows(page).await.context("list dead letters")
    });
    let rows = rows.await?;
    if format.json {
        output::json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&[
        "id",
        "at",
        "message",
        "reason",
        "domain",
        "client",
        "topic",
        "destination",
        "attempts",
        "last error",
    ]);
    for row in rows.data {
        table.row([
            row.id.to_string(),
            row.created_at.to_string(),
            row.message_id.to_string(),
            row.reason,
            optional(row.domain),
            optional(row.client_id),
            optional(row.topic),
            optional(row.destination),
            optional(row.attempts),
            row.last_error.unwrap_or_default(),
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}

/// Does something about the letters that were chosen, in steps; each step has done with those that it found, or it ends.
async fn act(
    layout: &Layout,
    choose: Choose,
    done: &str,
    act: impl AsyncFn(&Client, &ChooseDeadLetters) -> Result<DeadLettersDone, ClientError>,
) -> Result<ExitCode> {
    if choose.all && !choose.yes && !choose.preview {
        bail!("this is about all dead letters that match: see with --preview how many, then say --yes");
    }
    let total = with_client(layout, async |client| {
        let matching = choose.filter.query(client).await?;
        let ask = ChooseDeadLetters { ids: choose.ids, matching, preview: choose.preview };
        let mut total = DeadLettersDone { found: 0, done: 0, expired: 0, more: false };
        loop {
            let step = act(client, &ask).await.context("dead letters")?;
            total = DeadLettersDone {
                found: total.found + step.found,
                done: total.done + step.done,
                expired: total.expired + step.expired,
                more: step.more,
            };
            if !step.more || step.done < step.found || ask.preview {
                return Ok(total);
            }
        }
    })
    .await?;
    if choose.format.json {
        output::json(&total)?;
    } else if choose.preview {
        let more = if total.more { " or more" } else { "" };
        output::note(&format!("{}{more} dead letters match", total.found));
    } else {
        output::note(&format!("{} of {} dead letters {done}", total.done, total.found));
        if total.expired > 0 {
            output::note(&format!("{} are not: their messages have expired", total.expired));
        }
    }
    Ok(ExitCode::SUCCESS)
}
