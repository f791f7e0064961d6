//! `admin clients`: who may submit, and how much.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use mb_api::dto::{ClientQuery, SetClientRateLimit, SetClientStatus};
use mb_core::{ClientName, ClientStatus, DomainName};

use super::table::{Table, optional};
use super::values::{self, Own};
use super::{about, list, with_client};
use crate::cli::Format;
use crate::layout::Layout;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum ClientsCommand {
    /// List clients by name; archived ones only if asked for
    List(ListArgs),
    /// Refuse a client from its next request on
    Suspend(Which),
    /// Let a suspended or archived client submit again
    Resume(Which),
    /// Refuse a client and leave it out of lists; its messages stay
    Archive(Which),
    /// Limit the messages that a client may send in 60 seconds
    RateLimit {
        #[command(flatten)]
        which: Which,
        /// Messages; 0 is no limit, 'default' the domain's or the proxies' own
        limit: Own,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The client
    #[arg(value_parser = values::client)]
    name: ClientName,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those of this domain
    #[arg(long, value_parser = values::domain)]
    domain: Option<DomainName>,
    /// Only those with this status
    #[arg(long, value_parser = values::client_status())]
    status: Option<ClientStatus>,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(layout: &Layout, command: ClientsCommand) -> Result<ExitCode> {
    match command {
        ClientsCommand::List(args) => list(layout, args).await,
        ClientsCommand::Suspend(which) => set_status(layout, &which, ClientStatus::Suspended).await,
        ClientsCommand::Resume(which) => set_status(layout, &which, ClientStatus::Active).await,
        ClientsCommand::Archive(which) => set_status(layout, &which, ClientStatus::Archived).await,
        ClientsCommand::RateLimit { which, limit } => set_rate_limit(layout, &which, limit).await,
    }
}

async fn set_status(layout: &Layout, Which { name }: &Which, status: ClientStatus) -> Result<ExitCode> {
    with_client(layout, async |client| {
        client.set_client_status(name, &SetClientStatus { status }).await.map_err(about("client", name))
    })
    .await?;
    output::note(&format!("{name} is {status}"));
    Ok(ExitCode::SUCCESS)
}

async fn set_rate_limit(layout: &Layout, Which { name }: &Which, Own(rate_limit): Own) -> Result<ExitCode> {
    let ask = SetClientRateLimit { rate_limit };
    with_client(layout, async |client| client.set_client_rate_limit(name, &ask).await.map_err(about("client", name)))
        .await?;
    output::note(&match rate_limit {
        None => format!("{name} has no limit of its own"),
        Some(0) => format!("{name} has no limit"),
        Some(limit) => format!("{name} may send {limit} messages in 60 seconds"),
    });
    Ok(ExitCode::SUCCESS)
}

async fn list(layout: &Layout, args: ListArgs) -> Result<ExitCode> {
    let query = ClientQuery { domain: args.domain, status: args.status, ..ClientQuery::default() };
    let page = with_client(layout, async |client| {
        let fetch = async |limit, cursor| client.clients(&ClientQuery { limit, cursor, ..query.clone() }).await;
        list::all(fetch).await.context("list clients")
    });
    let page = page.await?;
    if args.format.json {
        output::json(&page)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["client", "domain", "status", "rate limit", "created", "changed"]);
    for row in page.data {
        table.row([
            row.client_id.to_string(),
            row.domain.to_string(),
            row.status.to_string(),
            optional(row.rate_limit),
            row.created_at.to_string(),
            row.changed_at.to_string(),
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}
