//! What is done about messages: they are tried now, withdrawn, sent again, or their content is removed.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use mb_api::dto::ReplayMessages;
use mb_core::{DestinationName, DomainName, MessageId, Timestamp, TopicGlob};

use super::super::{about, destinations, values, with_client};
use crate::cli::Format;
use crate::layout::Layout;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct OneMessage {
    /// The message's id
    #[arg(value_parser = values::message)]
    id: MessageId,
}

#[derive(Debug, Args)]
pub(crate) struct ExpungeArgs {
    #[command(flatten)]
    which: OneMessage,
    /// Do it without asking
    #[arg(long, required = true)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The destination
    #[arg(long, value_name = "NAME", value_parser = values::destination)]
    destination: DestinationName,
    /// Its domain
    #[arg(long, value_parser = values::domain, default_value = "default")]
    domain: DomainName,
    /// Accepted at or after
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    since: Timestamp,
    /// Accepted before; by default now
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    until: Option<Timestamp>,
    /// Only those about these, of what the destination takes
    #[arg(long, value_name = "GLOB", value_parser = values::glob)]
    topic: Option<TopicGlob>,
    /// Only count them
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn retry(layout: &Layout, OneMessage { id }: OneMessage) -> Result<ExitCode> {
    let retried =
        with_client(layout, async |client| client.retry_message(&id).await.map_err(about("message", id))).await?;
    let text = match retried.hastened + retried.redriven {
        0 => "nothing to try: nothing waits for a later attempt, and nothing was given up that may be sent again; \
              `admin messages show` says where it is"
            .to_owned(),
        _ => format!("{} waiting, {} given up: tried now", retried.hastened, retried.redriven),
    };
    output::note(&text);
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn cancel(layout: &Layout, OneMessage { id }: OneMessage) -> Result<ExitCode> {
    with_client(layout, async |client| client.cancel_message(&id).await.map_err(about("message", id))).await?;
    output::note(&format!("{id} is withdrawn"));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn expunge(layout: &Layout, args: ExpungeArgs) -> Result<ExitCode> {
    let id = args.which.id;
    with_client(layout, async |client| client.expunge_message(&id).await.map_err(about("message", id))).await?;
    output::note(&format!("the content of {id} is removed; journals and backups hold it sealed until they age out"));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn replay(layout: &Layout, args: ReplayArgs) -> Result<ExitCode> {
    let (dry_run, format) = (args.dry_run, args.format);
    let sent = with_client(layout, async |client| {
        let destination = destinations::find(client, &args.domain, &args.destination).await?;
        // The end is fixed, so that what comes in meanwhile makes it no later.
        let until = args.until.unwrap_or_else(|| mb_core::Clock::System.now());
        let (since, topics) = (args.since, args.topic);
        let mut ask = ReplayMessages { since, until: Some(until), topics, message_id: None, dry_run, cursor: None };
        let mut sent = 0;
        loop {
            let step = client.replay_messages(destination.id, &ask).await.context("replay messages")?;
            sent += step.sent;
            ask.cursor = step.next;
            if ask.cursor.is_none() {
                return Ok(sent);
            }
        }
    })
    .await?;
    if format.json {
        output::json(&serde_json::json!({ "sent": sent, "dry_run": dry_run }))?;
    } else {
        let done = if dry_run { "would be sent" } else { "are sent" };
        output::note(&format!("{sent} messages {done} again"));
    }
    Ok(ExitCode::SUCCESS)
}
