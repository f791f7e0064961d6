//! `backup restore`: files and rows of a backup, put back onto a stopped system.
//!
//! The settings that lie in the backup come first, as far as the data directory has none: they may say where the database
//! is. Everything is proven before anything is changed, and everything may be repeated.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use mb_core::Clock;
use mb_server::backup::{self, BackupConfig, Checked, Placed, Progress};
use mb_store::{Contents, Store};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::undone::ShutOut;
use super::watching::Telling;
use crate::bootstrap;
use crate::cli::Format;
use crate::config::{self, Resolved};
use crate::layout::{Layout, read_text};
use crate::lock::{Purpose, RoleLock};
use crate::output;

/// Who is named in the audit log.
const ACTOR: &str = "system:backup-restore";
/// The lease by which main servers know who leads.
const LEASE: &str = "jobs";
/// How much longer than its lease a main server that was killed is waited for.
const MARGIN: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup's folder, or its name in the configured folder
    path: PathBuf,
    /// Really replace all that the database holds
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(layout: &Layout, args: RestoreArgs) -> Result<ExitCode> {
    if !args.yes {
        bail!("a restore replaces all that the database holds: repeat it with --yes");
    }
    layout.create()?;
    let _lock = RoleLock::take(layout, "main-server", Purpose::Command)
        .context("a backup is restored while the system is stopped: stop the main server, then repeat")?;
    let resolved = Resolved::load(layout.root(), &config::environment_pairs())?;
    let settings = Arc::new(bootstrap::backup::settings(layout, &resolved));
    if let Err(reason) = &settings.key {
        bail!("{reason}");
    }
    let path = find(&settings, &args.path)?;
    let progress = Arc::new(Progress::new(CancellationToken::new()));
    let telling = !args.format.json;
    let checking = Checked::open(Arc::clone(&settings), &path, Arc::clone(&progress));
    let checked = told(telling, &progress, checking).await.with_context(|| format!("read {}", path.display()))?;
    if telling {
        output::note("the backup is whole");
    }
    refuse_newer(layout, &resolved).await?;
    let placed = checked.place_files().await.context("put files back")?;
    // The backup's own settings may have come with them.
    let resolved = Resolved::load(layout.root(), &config::environment_pairs())?;
    let store = bootstrap::open_store(layout, &resolved.config, &Clock::System).await?;
    let filled = fill(&store, &resolved, &checked, &progress, telling).await;
    let settled = match filled {
        Ok((contents, before)) => settle(layout, &store, before).await.map(|(undone, again)| (contents, undone, again)),
        Err(error) => Err(error),
    };
    store.close().await;
    let (contents, undone, again) = settled?;
    report(&Restored { path: &path, placed: &placed, contents: &contents, undone: &undone, again }, args.format)?;
    Ok(ExitCode::SUCCESS)
}

/// What a newer program has made is left alone, before anything is put there. Where the settings are still to come with the
/// backup, nothing is known to be there.
async fn refuse_newer(layout: &Layout, resolved: &Resolved) -> Result<()> {
    if resolved.config.store.is_embedded() && !resolved.config.store_path(layout.root()).exists() {
        return Ok(());
    }
    let store = bootstrap::open_store(layout, &resolved.config, &Clock::System).await?;
    let known = store.migration_status().await.context("read the migrations of the database");
    store.close().await;
    known.map(drop)
}

/// A folder, or the name of one among the backups.
fn find(settings: &BackupConfig, named: &Path) -> Result<PathBuf> {
    let path =
        if named.is_dir() { named.to_owned() } else { backup::locate(&settings.dir, &named.display().to_string()) };
    if path.is_dir() { Ok(path) } else { bail!("there is no backup {}", path.display()) }
}

async fn fill(
    store: &Store,
    resolved: &Resolved,
    checked: &Checked,
    progress: &Arc<Progress>,
    telling: bool,
) -> Result<(Contents, ShutOut)> {
    store.migrate().await.context("migrate the database")?;
    let before = ShutOut::of(store).await?;
    if !resolved.config.store.is_embedded() {
        keep_main_servers_out(store, Duration::from_secs(resolved.config.server.lease)).await?;
    }
    let importing = checked.import(store, ACTOR, progress);
    let restored = told(telling, progress, importing).await.context(
        "put the rows back; the database is half restored now, and no main server starts on it until this was repeated",
    )?;
    Ok((restored.contents, before))
}

/// Takes back what this machine's revocation list names, and looks for what was undone.
async fn settle(layout: &Layout, store: &Store, before: ShutOut) -> Result<(ShutOut, u64)> {
    let again = bootstrap::take_in(layout, &read_text(&layout.ca_certificate())?, store).await?;
    Ok((before.undone(&ShutOut::of(store).await?), again))
}

/// Main servers of other machines may use the same database.
async fn keep_main_servers_out(store: &Store, lease: Duration) -> Result<()> {
    let holder = format!("restore-{}", std::process::id());
    let give_up = tokio::time::Instant::now() + lease + MARGIN;
    while !store.try_lead(LEASE, &holder, lease).await.context("look for other main servers")? {
        if tokio::time::Instant::now() >= give_up {
            bail!("another main server works on this database: stop all of them, then repeat");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// Waits for `work` and tells how far it is.
async fn told<T>(telling: bool, progress: &Progress, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut line = Telling::default();
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(Duration::from_millis(500)) => {
                if telling {
                    let (step, bytes) = progress.now();
                    line.tell(step.as_str(), bytes);
                }
            }
        }
    }
}

struct Restored<'a> {
    path: &'a Path,
    placed: &'a Placed,
    contents: &'a Contents,
    undone: &'a ShutOut,
    /// Certificates that were revoked again.
    again: u64,
}

fn report(restored: &Restored<'_>, format: Format) -> Result<()> {
    let Restored { path, placed, contents, undone, again } = restored;
    let rows = contents.0.values().sum::<u64>();
    let messages = contents.0.get("messages").copied().unwrap_or(0);
    if format.json {
        return output::json(&json!({
            "path": path,
            "rows": rows,
            "messages": messages,
            "tables": contents.0,
            "files_written": placed.written,
            "files_same": placed.same,
            "files_kept": placed.kept,
            "notes": placed.notes,
            "revoked_again": again,
            "active_again": { "clients": undone.clients, "users": undone.users },
        }));
    }
    for note in &placed.notes {
        output::note(note);
    }
    for kept in &placed.kept {
        output::note(&format!("kept as it is, the backup's is another: {kept}"));
    }
    if *again > 0 {
        output::note(&format!("{again} certificates revoked again, as certs/crl.pem says"));
    }
    for words in undone.words() {
        output::note(&words);
    }
    output::note(
        "who was suspended, archived or disabled since the backup is so no more: admin clients list, admin users list",
    );
    output::note(&format!("{} files put back, {} were there", placed.written, placed.same));
    output::note("everybody is signed out; proxies offer again what they keep as soon as the main server runs");
    output::data(&format!("{rows} rows, {messages} messages"));
    Ok(())
}
