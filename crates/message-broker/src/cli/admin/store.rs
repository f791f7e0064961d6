//! `admin store`: the store as a whole.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;

use super::with_client;
use crate::cli::Format;
use crate::layout::Layout;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Make every proxy offer again all messages that it keeps; after a failover to a database that may lack some
    NewEpoch(Format),
}

pub(crate) async fn run(layout: &Layout, command: StoreCommand) -> Result<ExitCode> {
    let StoreCommand::NewEpoch(format) = command;
    let made = with_client(layout, async |client| client.new_epoch().await.context("make a new epoch")).await?;
    if format.json {
        output::json(&made)?;
    } else {
        output::note("every proxy offers again all messages that it keeps");
        output::data(&made.epoch.to_string());
    }
    Ok(ExitCode::SUCCESS)
}
