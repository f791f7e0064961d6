//! `admin`: people, clients, domains, messages, the audit log, notices, figures and the store.
//!
//! One file per thing that is administered. Every command goes through the main server's API, over the network or in this
//! process, so it means the same beside a running system and on a stopped one.

mod audit;
mod clients;
mod dead_letters;
mod destinations;
mod domains;
mod list;
mod messages;
mod notices;
mod password;
mod stats;
mod store;
mod table;
mod users;
mod values;

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Subcommand;
use mb_api::client::{Client, ClientError};
use mb_api::problem::ProblemCode;

use crate::access::Access;
use crate::layout::Layout;

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Who may sign in
    #[command(subcommand)]
    Users(users::UsersCommand),
    /// Who may submit
    #[command(subcommand)]
    Clients(clients::ClientsCommand),
    /// Tenants and their rules
    #[command(subcommand)]
    Domains(domains::DomainsCommand),
    /// Where messages go
    #[command(subcommand)]
    Destinations(destinations::DestinationsCommand),
    /// What could not be delivered, or never became a message
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// Find and show messages, send them again, withdraw them
    #[command(subcommand)]
    Messages(messages::MessagesCommand),
    /// Read and check the audit log
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// What a person should know
    #[command(subcommand)]
    Notices(notices::NoticesCommand),
    /// Show figures
    Stats(stats::StatsArgs),
    /// The store as a whole
    #[command(subcommand)]
    Store(store::StoreCommand),
}

pub(crate) async fn run(layout: &Layout, command: AdminCommand) -> Result<ExitCode> {
    match command {
        AdminCommand::Users(command) => users::run(layout, command).await,
        AdminCommand::Clients(command) => clients::run(layout, command).await,
        AdminCommand::Domains(command) => domains::run(layout, command).await,
        AdminCommand::Destinations(command) => destinations::run(layout, command).await,
        AdminCommand::DeadLetters(command) => dead_letters::run(layout, command).await,
        AdminCommand::Messages(command) => messages::run(layout, command).await,
        AdminCommand::Audit(command) => audit::run(layout, command).await,
        AdminCommand::Notices(command) => notices::run(layout, command).await,
        AdminCommand::Stats(args) => stats::run(layout, &args).await,
        AdminCommand::Store(command) => store::run(layout, command).await,
    }
}

/// Does `work` as an administrator. Whatever a person is to type comes before this: it may hold the data directory.
async fn with_client<T>(layout: &Layout, work: impl AsyncFnOnce(&Client) -> Result<T>) -> Result<T> {
    let access = Access::open(layout).await?;
    let outcome = work(&access.client).await;
    access.close().await;
    outcome
}

/// Says of what a refusal speaks; that there is no such thing is said plainly.
fn about(thing: &'static str, name: impl std::fmt::Display) -> impl FnOnce(ClientError) -> anyhow::Error {
    move |error| match error.code() {
        Some(ProblemCode::NotFound) => anyhow!("there is no {thing} {name}"),
        _ => anyhow::Error::new(error).context(format!("{thing} {name}")),
    }
}
