//! `admin clients`: who may submit, and how much.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use mb_api::dto::{ClientQuery, CreateEnrolment, SetClientRateLimit, SetClientStatus};
use mb_core::{ClientName, ClientStatus, DomainName, Role};

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
    /// Make a token with which a client gets a certificate for a key of its own (see `enroll`)
    Enroll(EnrollArgs),
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

#[derive(Debug, Args)]
pub(crate) struct EnrollArgs {
    #[command(flatten)]
    which: Which,
    /// The domain (tenant); created if unknown
    #[arg(long, value_parser = values::domain)]
    domain: Option<DomainName>,
    /// What the certificate entitles to [default: client]
    #[arg(long, value_parser = values::certificate_role())]
    role: Option<Role>,
    /// The certificate's validity in days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: Option<u32>,
    /// Minutes for which the token is good [default: a day]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=43200))]
    minutes: Option<u32>,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(layout: &Layout, command: ClientsCommand) -> Result<ExitCode> {
    match command {
        ClientsCommand::List(args) => list(layout, args).await,
        ClientsCommand::Suspend(which) => set_status(layout, &which, ClientStatus::Suspended).await,
        ClientsCommand::Resume(which) => set_status(layout, &which, ClientStatus::Active).await,
        ClientsCommand::Archive(which) => set_status(layout, &which, ClientStatus::Archived).await,
        ClientsCommand::Enroll(args) => enroll(layout, args).await,
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

async fn enroll(layout: &Layout, args: EnrollArgs) -> Result<ExitCode> {
    let EnrollArgs { which: Which { name }, domain, role, days, minutes, format } = args;
    let ask = CreateEnrolment { domain, role, validity_days: days, token_minutes: minutes };
    let made =
        with_client(layout, async |client| client.offer_enrolment(&name, &ask).await.map_err(about("client", &name)));
    let made = made.await?;
    // By the fingerprint whoever enrols knows the main server.
    let token = format!("{}.{}", made.token.secret().expose(), made.ca_fingerprint);
    if format.json {
        let (expires_at, ca_fingerprint) = (made.expires_at, made.ca_fingerprint);
        output::json(&serde_json::json!({
            "name": name, "token": token, "expires_at": expires_at, "ca_fingerprint": ca_fingerprint,
        }))?;
    } else {
        output::note(&format!("{name} enrols with this token, once, until {}:", made.expires_at));
        output::data(&token);
    }
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
