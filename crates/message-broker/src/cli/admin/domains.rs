//! `admin domains`: the tenants and the rules that each sets for its clients.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use mb_api::dto::{CreateDomain, DomainRow, DomainSettings};
use mb_api::page::PageQuery;
use mb_core::{DomainName, DomainRules, SenderRule};

use super::table::{Table, optional};
use super::values::{self, Own};
use super::{about, list, with_client};
use crate::cli::Format;
use crate::layout::Layout;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum DomainsCommand {
    /// List domains by name
    List(Format),
    /// Add a domain
    Create {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        rules: Rules,
        #[command(flatten)]
        format: Format,
    },
    /// Set some of a domain's rules; they hold from the next message on
    Set {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        rules: SomeRules,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The domain
    #[arg(value_parser = values::domain)]
    name: DomainName,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Rules {
    /// Whether a message must name its sender's number
    #[arg(long, value_name = "RULE", value_parser = values::sender_rule())]
    sender_number: Option<SenderRule>,
    /// The most characters of a body, up to 65536
    #[arg(long, value_name = "N")]
    body_limit: Option<u32>,
    /// Messages that each client may send in 60 seconds; 0 is no limit, 'default' the proxies' own
    #[arg(long, value_name = "N")]
    rate_limit: Option<Own>,
    /// Days after which messages are deleted, 30 or more; 'default' is what holds for all
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<Own>,
    /// Days after which their contents are; 'default' is what holds for all
    #[arg(long, value_name = "DAYS")]
    body_retention_days: Option<Own>,
}

/// The same, at least one of them.
#[derive(Clone, Copy, Debug, Args)]
#[group(
    required = true,
    multiple = true,
    args = ["sender_number", "body_limit", "rate_limit", "retention_days", "body_retention_days"]
)]
pub(crate) struct SomeRules {
    #[command(flatten)]
    rules: Rules,
}

impl Rules {
    fn over(self, settings: DomainSettings) -> DomainSettings {
        DomainSettings {
            sender_number: self.sender_number.unwrap_or(settings.sender_number),
            body_limit: self.body_limit.unwrap_or(settings.body_limit),
            rate_limit: self.rate_limit.map_or(settings.rate_limit, |Own(limit)| limit),
            retention_days: self.retention_days.map_or(settings.retention_days, |Own(days)| days),
            body_retention_days: self.body_retention_days.map_or(settings.body_retention_days, |Own(days)| days),
        }
    }
}

pub(crate) async fn run(layout: &Layout, command: DomainsCommand) -> Result<ExitCode> {
    match command {
        DomainsCommand::List(format) => list(layout, format).await,
        DomainsCommand::Create { which, rules, format } => create(layout, which, rules, format).await,
        DomainsCommand::Set { which, rules } => set(layout, &which, rules.rules).await,
    }
}

async fn create(layout: &Layout, which: Which, rules: Rules, format: Format) -> Result<ExitCode> {
    let settings = Some(rules.over(DomainRules::default().into()));
    let ask = CreateDomain { name: which.name, settings };
    let created =
        with_client(layout, async |client| client.create_domain(&ask).await.map_err(about("domain", &ask.name)));
    let created: DomainRow = created.await?;
    if format.json {
        output::json(&created)?;
    } else {
        output::note("created");
        output::data(created.id.as_str());
    }
    Ok(ExitCode::SUCCESS)
}

async fn set(layout: &Layout, Which { name }: &Which, rules: Rules) -> Result<ExitCode> {
    with_client(layout, async |client| {
        let settings = client.domain(name).await.map_err(about("domain", name))?.settings;
        client.set_domain(name, &rules.over(settings)).await.map_err(about("domain", name))
    })
    .await?;
    output::note(&format!("the rules of {name} are set"));
    Ok(ExitCode::SUCCESS)
}

async fn list(layout: &Layout, format: Format) -> Result<ExitCode> {
    let page = with_client(layout, async |client| {
        let fetch = async |limit, cursor| client.domains(&PageQuery { limit, cursor }).await;
        list::all(fetch).await.context("list domains")
    });
    let page = page.await?;
    if format.json {
        output::json(&page)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table =
        Table::new(&["domain", "sender number", "body limit", "rate limit", "retention days", "body days", "created"]);
    for row in page.data {
        table.row([
            row.id.to_string(),
            row.settings.sender_number.to_string(),
            row.settings.body_limit.to_string(),
            optional(row.settings.rate_limit),
            optional(row.settings.retention_days),
            optional(row.settings.body_retention_days),
            row.created_at.to_string(),
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}
