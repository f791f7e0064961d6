//! `admin messages`: find messages, show one, open it.

mod actions;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use mb_api::dto::{MessageDetail, MessageDetailQuery, MessageQuery, SecretText};
use mb_core::{ClientName, DomainName, MessageId, MessageIdPrefix, MessageState, Secret, Timestamp, Topic};

use super::list::Stretch;
use super::table::{Table, optional, shown};
use super::{about, values, with_client};
use crate::cli::Format;
use crate::layout::Layout;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum MessagesCommand {
    /// List messages, newest first; all filters hold at once
    List(ListArgs),
    /// Show one message, why it is where it is, and what was tried
    Show(ShowArgs),
    /// Have a message tried now: what waits for a later time, and what had been given up
    Retry(actions::OneMessage),
    /// Withdraw a message that was not tried yet
    Cancel(actions::OneMessage),
    /// Send messages of a time again to a destination: a new one gets last week
    Replay(actions::ReplayArgs),
    /// Remove a message's content from the store for good
    Expunge(actions::ExpungeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = values::state())]
    status: Option<MessageState>,
    /// Accepted at or after
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    from: Option<Timestamp>,
    /// Accepted before
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    to: Option<Timestamp>,
    /// Only those about this
    #[arg(long, value_parser = values::topic)]
    topic: Option<Topic>,
    /// Only those with this sender's whole number
    #[arg(long, value_name = "NUMBER", value_parser = values::secret)]
    sender: Option<Secret<String>>,
    /// Only those of this client
    #[arg(long, value_name = "NAME", value_parser = values::client)]
    client_id: Option<ClientName>,
    /// Only those of this domain
    #[arg(long, value_parser = values::domain)]
    domain: Option<DomainName>,
    /// Only those whose id begins so
    #[arg(long, value_name = "PREFIX", value_parser = values::message_prefix)]
    id: Option<MessageIdPrefix>,
    #[command(flatten)]
    stretch: Stretch,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The message's id
    #[arg(value_parser = values::message)]
    id: MessageId,
    /// Show number, body and metadata, which is recorded in the audit log
    #[arg(long)]
    decrypt: bool,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(layout: &Layout, command: MessagesCommand) -> Result<ExitCode> {
    match command {
        MessagesCommand::List(args) => list(layout, args).await,
        MessagesCommand::Show(args) => show(layout, &args).await,
        MessagesCommand::Retry(which) => actions::retry(layout, which).await,
        MessagesCommand::Cancel(which) => actions::cancel(layout, which).await,
        MessagesCommand::Replay(args) => actions::replay(layout, args).await,
        MessagesCommand::Expunge(args) => actions::expunge(layout, args).await,
    }
}

async fn list(layout: &Layout, args: ListArgs) -> Result<ExitCode> {
    let query = MessageQuery {
        status: args.status,
        from: args.from,
        to: args.to,
        topic: args.topic,
        sender: args.sender.map(|number| SecretText::new(number.expose().clone())),
        client_id: args.client_id,
        domain: args.domain,
        q: args.id,
        limit: None,
        cursor: None,
    };
    let page = with_client(layout, async |client| {
        let fetch = async |limit, cursor| client.messages(&MessageQuery { limit, cursor, ..query.clone() }).await;
        args.stretch.rows(fetch).await.context("list messages")
    });
    let page = page.await?;
    if args.format.json {
        output::json(&page)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["id", "queued", "client", "domain", "topic", "sender", "status", "attempts"]);
    for row in page.data {
        table.row([
            row.id.to_string(),
            row.queued_at.to_string(),
            row.client_id.to_string(),
            row.domain.to_string(),
            row.topic.to_string(),
            row.sender_number_masked.unwrap_or_default(),
            row.status.to_string(),
            row.attempt_count.to_string(),
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}

async fn show(layout: &Layout, args: &ShowArgs) -> Result<ExitCode> {
    let query = MessageDetailQuery { body: Some(args.decrypt) };
    let detail =
        with_client(layout, async |client| client.message(&args.id, &query).await.map_err(about("message", args.id)));
    let detail = detail.await?;
    if args.format.json {
        output::json(&detail)?;
    } else {
        print(&detail);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(detail: &MessageDetail) {
    let row = &detail.row;
    let line = |name: &str, value: String| output::data(&format!("{name:14}  {}", shown(&value)));
    line("id", row.id.to_string());
    line("client", row.client_id.to_string());
    line("domain", row.domain.to_string());
    line("topic", row.topic.to_string());
    line("status", row.status.to_string());
    line("sender", row.sender_number_masked.clone().unwrap_or_default());
    line("queued", row.queued_at.to_string());
    line("registered", detail.registered_at.to_string());
    line("deliver at", optional(detail.deliver_at));
    line("expires", optional(detail.expires_at));
    line("delivered", optional(row.delivered_at));
    line("failed", optional(detail.failed_at));
    line("last error", row.last_error.clone().unwrap_or_default());
    let secret = |value: &SecretText| value.secret().expose().clone();
    if let Some(number) = &detail.sender_number {
        line("sender number", secret(number));
    }
    if let Some(body) = &detail.message_body {
        line("body", secret(body));
    }
    if let Some(metadata) = &detail.metadata {
        line("metadata", serde_json::Value::from(metadata.0.clone()).to_string());
    }
    for delivery in &detail.deliveries {
        let name = optional(delivery.name.as_ref());
        let next = delivery.next_attempt_at.map(|at| format!(", next attempt {at}")).unwrap_or_default();
        let holder = delivery.lease_holder.as_ref().map(|holder| format!(", held by {holder}")).unwrap_or_default();
        line("delivery", format!("{name} {}: {}{next}{holder}", delivery.state, delivery.explanation));
    }
    for attempt in &detail.attempts {
        let status = optional(attempt.status);
        let detail = attempt.detail.clone().unwrap_or_default();
        let (at, to, took) = (attempt.at, &attempt.destination, attempt.duration_ms);
        line("attempt", format!("{at} {to} {} {status} {took} ms {detail}", attempt.class));
        if let Some(answer) = &attempt.answer {
            line("answer", secret(answer));
        }
    }
}
