//! `admin destinations`: where messages go.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::{ArgGroup, Args, Subcommand};
use mb_api::client::Client;
use mb_api::dto::{
    CreateDestination, DestinationQuery, DestinationRow, DestinationSettings, DestinationTest, SecretText,
    SetDestinationState,
};
use mb_core::{ClientName, DestinationKind, DestinationName, DestinationState, DomainName, RetrySchedule, TopicGlob};

use super::table::{Table, optional, shown};
use super::{about, list, values, with_client};
use crate::access::Access;
use crate::cli::Format;
use crate::layout::{Layout, read_secret, read_text};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum DestinationsCommand {
    /// List destinations
    List {
        /// Only those of this domain
        #[arg(long, value_parser = values::domain)]
        domain: Option<DomainName>,
        #[command(flatten)]
        format: Format,
    },
    /// Add a destination; its secret is shown this once
    Create(CreateArgs),
    /// Set some of what a destination takes and how it is reached
    Update {
        #[command(flatten)]
        which: Which,
        /// Where messages are posted to
        #[arg(long)]
        url: Option<String>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Serve a destination, and forget how it fared
    Enable(Which),
    /// Let what a destination should take wait
    Pause(Which),
    /// Let what a destination should take become dead letters
    Disable(Which),
    /// Send a signed trial and show the whole exchange; exits 1 unless it was taken
    Test {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        format: Format,
    },
    /// Give a destination another secret; the one before is used too for 24 hours
    RotateSecret {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        format: Format,
    },
    /// Delete a destination; what it has not taken becomes dead letters
    Delete {
        #[command(flatten)]
        which: Which,
        /// Do it without asking
        #[arg(long, required = true)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The destination
    #[arg(value_parser = values::destination)]
    name: DestinationName,
    /// Its domain
    #[arg(long, value_parser = values::domain, default_value = "default")]
    domain: DomainName,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("kind").required(true).args(["url", "pull"]))]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    which: Which,
    /// Messages are posted there: https://..., or http://... to an address that the configuration allows
    #[arg(long)]
    url: Option<String>,
    /// Messages are fetched
    #[arg(long)]
    pull: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Only messages about these, as in 'orders.*,invoices.**'
    #[arg(long, value_name = "GLOB", value_delimiter = ',', value_parser = values::glob)]
    topics: Option<Vec<TopicGlob>>,
    /// Only messages of these clients
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = values::client)]
    clients: Option<Vec<ClientName>>,
    /// When messages are tried again, as in '5s,30s,2m' or 'fixed:30s*10000'
    #[arg(long, value_name = "SCHEDULE", value_parser = values::schedule)]
    retry: Option<RetrySchedule>,
    /// The most requests at once, of each worker
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// The most requests in a second, of each worker; 0 is no limit
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// File of CA certificates to trust instead of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File of a certificate to show
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_certificate: Option<PathBuf>,
    /// File of its key
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    client_key: Option<PathBuf>,
}

impl Settings {
    fn read(self, url: Option<String>) -> Result<DestinationSettings> {
        let text = |path: Option<PathBuf>| path.map(|path| read_text(&path)).transpose();
        let key = self.client_key.map(|path| read_secret(&path)).transpose()?;
        Ok(DestinationSettings {
            url,
            topics: self.topics,
            clients: self.clients,
            retry: self.retry,
            concurrency: self.concurrency,
            rate: self.rate,
            ca: text(self.ca)?,
            client_certificate: text(self.client_certificate)?,
            client_key: key.map(|key| SecretText::new(key.expose().clone())),
        })
    }
}

pub(crate) async fn run(layout: &Layout, command: DestinationsCommand) -> Result<ExitCode> {
    match command {
        DestinationsCommand::List { domain, format } => list(layout, domain, format).await,
        DestinationsCommand::Create(args) => create(layout, args).await,
        DestinationsCommand::Update { which, url, settings } => {
            let settings = settings.read(url)?;
            change(layout, which, "set", async |client, row| client.set_destination(row.id, &settings).await).await
        }
        DestinationsCommand::Enable(which) => set_state(layout, which, DestinationState::Enabled).await,
        DestinationsCommand::Pause(which) => set_state(layout, which, DestinationState::Paused).await,
        DestinationsCommand::Disable(which) => set_state(layout, which, DestinationState::Disabled).await,
        DestinationsCommand::Test { which, format } => test(layout, which, format).await,
        DestinationsCommand::RotateSecret { which, format } => rotate_secret(layout, which, format).await,
        DestinationsCommand::Delete { which, .. } => {
            change(layout, which, "deleted", async |client, row| client.delete_destination(row.id).await).await
        }
    }
}

/// The destination of that name.
pub(super) async fn find(client: &Client, domain: &DomainName, name: &DestinationName) -> Result<DestinationRow> {
    let query =
        DestinationQuery { domain: Some(domain.clone()), name: Some(name.clone()), ..DestinationQuery::default() };
    let found = client.destinations(&query).await.context("look for the destination")?;
    found.data.into_iter().next().ok_or_else(|| anyhow!("there is no destination {name} in domain {domain}"))
}

async fn change(
    layout: &Layout,
    which: Which,
    done: &str,
    change: impl AsyncFnOnce(&Client, &DestinationRow) -> Result<(), mb_api::client::ClientError>,
) -> Result<ExitCode> {
    with_client(layout, async |client| {
        let row = find(client, &which.domain, &which.name).await?;
        change(client, &row).await.map_err(about("destination", &which.name))
    })
    .await?;
    output::note(&format!("{} is {done}", which.name));
    Ok(ExitCode::SUCCESS)
}

async fn set_state(layout: &Layout, which: Which, state: DestinationState) -> Result<ExitCode> {
    let set = async |client: &Client, row: &DestinationRow| {
        client.set_destination_state(row.id, SetDestinationState { state }).await
    };
    change(layout, which, state.as_str(), set).await
}

async fn create(layout: &Layout, args: CreateArgs) -> Result<ExitCode> {
    let CreateArgs { which, url, pull, settings, format } = args;
    let kind = if pull { DestinationKind::Pull } else { DestinationKind::Webhook };
    let ask = CreateDestination { name: which.name, domain: which.domain, kind, settings: settings.read(url)? };
    let created = with_client(layout, async |client| {
        client.create_destination(&ask).await.map_err(about("destination", &ask.name))
    });
    let created = created.await?;
    if format.json {
        output::json(&created)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::note(&format!("created with id {}", created.row.id));
    match &created.secret {
        Some(secret) => {
            output::note("its messages are signed with this secret, which is shown this once:");
            output::data(secret.secret().expose());
        }
        None => output::data(created.row.name.as_str()),
    }
    Ok(ExitCode::SUCCESS)
}

async fn rotate_secret(layout: &Layout, which: Which, format: Format) -> Result<ExitCode> {
    let rotated = with_client(layout, async |client| {
        let row = find(client, &which.domain, &which.name).await?;
        client.rotate_destination_secret(row.id).await.map_err(about("destination", &which.name))
    });
    let rotated = rotated.await?;
    if format.json {
        output::json(&rotated)?;
    } else {
        output::note(&format!("the secret before is used too until {}", rotated.overlap_until));
        output::data(rotated.secret.secret().expose());
    }
    Ok(ExitCode::SUCCESS)
}

async fn test(layout: &Layout, which: Which, format: Format) -> Result<ExitCode> {
    let access = Access::open(layout).await?;
    let tested = ask_for_trial(&access, &which).await;
    access.close().await;
    let tested = tested?;
    if format.json {
        output::json(&tested)?;
    } else {
        print(&tested);
    }
    let taken = tested.exchange.class == mb_core::AttemptClass::Taken;
    Ok(if taken { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn ask_for_trial(access: &Access, which: &Which) -> Result<DestinationTest> {
    let row = find(&access.client, &which.domain, &which.name).await?;
    if !access.is_running() {
        bail!("the system is stopped, and a trial is made by a worker: start it, then ask again");
    }
    access.client.test_destination(row.id).await.map_err(about("destination", &which.name))
}

fn print(tested: &DestinationTest) {
    let exchange = &tested.exchange;
    let line = |name: &str, value: String| output::data(&format!("{name:10}  {}", shown(&value)));
    line("address", optional(tested.peer.as_ref()));
    for (name, value) in &tested.request_headers {
        line("sent", format!("{name}: {value}"));
    }
    line("sent", tested.request_body.clone());
    line("outcome", exchange.class.to_string());
    line("took", format!("{} ms", exchange.duration_us / 1000));
    line("status", optional(exchange.status));
    line("detail", exchange.detail.clone().unwrap_or_default());
    for (name, value) in &tested.response_headers {
        line("answered", format!("{name}: {value}"));
    }
    line("answered", exchange.answer.clone().unwrap_or_default());
}

async fn list(layout: &Layout, domain: Option<DomainName>, format: Format) -> Result<ExitCode> {
    let rows = with_client(layout, async |client| {
        let query = |limit, cursor| DestinationQuery { domain: domain.clone(), name: None, limit, cursor };
        let page = async |limit, cursor| client.destinations(&query(limit, cursor)).await;
        list::all(page).await.context("list destinations")
    });
    let rows = rows.await?;
    if format.json {
        output::json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table =
        Table::new(&["id", "domain", "name", "kind", "state", "breaker", "url", "topics", "clients", "retry"]);
    for row in rows.data {
        let join = |words: Vec<String>| words.join(",");
        table.row([
            row.id.to_string(),
            row.domain.to_string(),
            row.name.to_string(),
            row.kind.to_string(),
            row.state.to_string(),
            row.breaker.as_str().to_owned(),
            row.url.unwrap_or_default(),
            join(row.topics.iter().map(ToString::to_string).collect()),
            join(row.clients.iter().map(ToString::to_string).collect()),
            row.retry.to_string(),
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}
