//! `backup`: made, listed and proven through the main server, whether it runs or not; restored while it is stopped.

mod restore;
mod undone;
mod watching;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use mb_api::dto::{BackupRow, BackupState, CreateBackup, VerifyBackup};

use super::Format;
use crate::access::Access;
use crate::layout::Layout;
use crate::output;
use watching::watch;

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Make a backup: rows, certificates, keys, settings and logs, sealed with `MB_BACKUP__PASSPHRASE` or a key file
    Create(CreateArgs),
    /// List the backups, the newest first
    List(Format),
    /// Prove a backup by restoring it into a scratch place
    Verify(VerifyArgs),
    /// Put a backup back, while the system is stopped
    Restore(restore::RestoreArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Another folder than the configured one; it is not tidied up
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The backup's folder, or its name in the configured folder
    path: PathBuf,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(layout: &Layout, command: BackupCommand) -> Result<ExitCode> {
    let args = match command {
        BackupCommand::Restore(args) => return restore::run(layout, args).await,
        others => others,
    };
    let access = Access::open(layout).await?;
    let done = match &args {
        BackupCommand::Create(args) => create(&access, args).await,
        BackupCommand::Verify(args) => verify(&access, args).await,
        BackupCommand::List(format) => list(&access, *format).await,
        BackupCommand::Restore(_) => Ok(()),
    };
    access.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn create(access: &Access, args: &CreateArgs) -> Result<()> {
    let to = args.to.as_deref().map(std::path::absolute).transpose().context("find the folder")?;
    let ask = CreateBackup { to: to.map(|to| to.display().to_string()) };
    let begun = access.client.create_backup(&ask).await.context("make a backup")?;
    let ended = watch(access, begun, args.format).await.context("make a backup")?;
    let made = ended.backup.context("the main server does not say which backup it made")?;
    if args.format.json {
        return output::json(&made);
    }
    output::note(&format!("{} rows, {} messages", shown(made.rows), shown(made.messages)));
    output::data(&made.path);
    Ok(())
}

async fn verify(access: &Access, args: &VerifyArgs) -> Result<()> {
    let named = args.path.display();
    let ask = VerifyBackup { backup: place(&args.path)? };
    let begun = access.client.verify_backup(&ask).await.with_context(|| format!("verify {named}"))?;
    let ended = watch(access, begun, args.format).await.with_context(|| format!("verify {named}"))?;
    if args.format.json {
        return output::json(&ended);
    }
    let found = ended.verified.context("the main server does not say what it found")?;
    output::note("every checksum is right, every seal opens; restored into a scratch database and counted there:");
    output::data(&format!(
        "{named}: {} rows in {} tables, {} messages, {} files",
        found.rows, found.tables, found.messages, found.files
    ));
    Ok(())
}

async fn list(access: &Access, format: Format) -> Result<()> {
    let backups = access.client.backups().await.context("list backups")?;
    if format.json {
        return output::json(&backups);
    }
    if backups.data.is_empty() {
        output::note(&format!("there are no backups in {}", backups.dir));
    }
    for row in backups.data {
        output::data(&line(&row));
    }
    Ok(())
}

fn line(row: &BackupRow) -> String {
    let state = match row.state {
        BackupState::Good => "good",
        BackupState::Damaged => "damaged",
    };
    let verified = row.verified_at.map_or_else(|| "not verified".to_owned(), |at| format!("verified {at}"));
    let what = row.problem.clone().unwrap_or_else(|| {
        format!("{:>12} bytes {:>10} messages  {}  {verified}", shown(row.bytes), shown(row.messages), sealed(row))
    });
    format!("{}  {state:7}  {what}", row.name)
}

fn sealed(row: &BackupRow) -> &str {
    row.sealed.as_deref().unwrap_or("-")
}

fn shown(count: Option<u64>) -> String {
    count.map_or_else(|| "-".to_owned(), |count| count.to_string())
}

/// What is there as a path is named in full, for the main server may run in another folder.
fn place(path: &std::path::Path) -> Result<String> {
    let path = if path.exists() { std::path::absolute(path).context("find the backup")? } else { path.to_owned() };
    Ok(path.display().to_string())
}
