//! `migrate [--status]`: the database's schema.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use mb_core::Clock;
use mb_store::{MigrationStatus, Store};

use super::Format;
use crate::bootstrap;
use crate::config::Resolved;
use crate::layout::Layout;
use crate::lock::RoleLock;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Only say which migrations were applied and which are open
    #[arg(long)]
    status: bool,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(layout: &Layout, args: MigrateArgs) -> Result<ExitCode> {
    let resolved = Resolved::of(layout)?;
    let rows = if args.status { status(layout, &resolved).await? } else { migrate(layout, &resolved).await? };
    if args.format.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| serde_json::json!({ "version": row.version, "description": row.description, "applied": row.applied }))
            .collect();
        output::json(&rows)?;
    } else {
        for row in &rows {
            let state = if row.applied { "applied" } else { "open" };
            output::data(&format!("{:04}  {state:8}  {}", row.version, row.description));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn migrate(layout: &Layout, resolved: &Resolved) -> Result<Vec<MigrationStatus>> {
    layout.create()?;
    let _lock = RoleLock::take(layout, "main-server")?;
    let store = bootstrap::open_store(layout, &resolved.config, &Clock::System).await?;
    let applied = store.migrate().await.context("migrate the database")?;
    output::note(&format!("{} migrations applied", applied.len()));
    read(store).await
}

/// Looking needs no lock and makes no database: where there is none, an empty one elsewhere says the same.
async fn status(layout: &Layout, resolved: &Resolved) -> Result<Vec<MigrationStatus>> {
    if !resolved.config.store.is_embedded() || resolved.config.store_path(layout.root()).exists() {
        return read(bootstrap::open_store(layout, &resolved.config, &Clock::System).await?).await;
    }
    let elsewhere = tempfile::tempdir().context("make a temporary folder")?;
    let url = format!("sqlite://{}", elsewhere.path().join("empty.db").display());
    read(Store::open(&url, Clock::System).await.context("open an empty database")?).await
}

async fn read(store: Store) -> Result<Vec<MigrationStatus>> {
    let rows = store.migration_status().await.context("read the migrations");
    store.close().await;
    rows
}
