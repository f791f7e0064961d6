//! `admin notices`: what a person should know and nobody asked for.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use mb_api::dto::NoticeQuery;
use mb_core::NoticeId;

use super::table::{Table, optional};
use super::{about, list, values, with_client};
use crate::cli::Format;
use crate::layout::Layout;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum NoticesCommand {
    /// List open notices, newest first
    List {
        /// The resolved ones as well
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Resolve a notice
    Resolve {
        /// The notice's id
        #[arg(value_parser = values::notice)]
        id: NoticeId,
    },
}

pub(crate) async fn run(layout: &Layout, command: NoticesCommand) -> Result<ExitCode> {
    match command {
        NoticesCommand::List { all, format } => list(layout, all.then_some(true), format).await,
        NoticesCommand::Resolve { id } => {
            with_client(layout, async |client| client.resolve_notice(&id).await.map_err(about("notice", id))).await?;
            output::note("resolved");
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn list(layout: &Layout, resolved: Option<bool>, format: Format) -> Result<ExitCode> {
    let page = with_client(layout, async |client| {
        let fetch = async |limit, cursor| client.notices(&NoticeQuery { resolved, limit, cursor }).await;
        list::all(fetch).await.context("list notices")
    });
    let page = page.await?;
    if format.json {
        output::json(&page)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["id", "level", "kind", "about", "first", "last", "count", "resolved", "detail"]);
    for row in page.data {
        table.row([
            row.id.to_string(),
            row.level.to_string(),
            row.kind.to_string(),
            row.about,
            row.first_at.to_string(),
            row.last_at.to_string(),
            row.count.to_string(),
            optional(row.resolved_at),
            serde_json::Value::from(row.detail).to_string(),
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}
