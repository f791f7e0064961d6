//! Proving a backup by restoring it into a scratch place.

use std::path::Path;
use std::sync::Arc;

use mb_core::Clock;
use mb_store::{Contents, Store};

use super::BackupConfig;
use super::create::blocking;
use super::error::BackupError;
use super::manifest;
use super::progress::Progress;
use super::restore::Checked;

/// Below the data directory while a backup is verified. One is at a time; what a crash left is replaced.
const SCRATCH: &str = "verify.scratch";
/// Who is named in the scratch store.
const ACTOR: &str = "system:backup-verify";

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verified {
    pub(crate) files: u64,
    pub(crate) tables: u64,
    pub(crate) rows: u64,
    pub(crate) messages: u64,
}

/// Opens everything, restores the rows into a scratch database and counts them there.
pub(super) async fn verify(
    config: Arc<BackupConfig>,
    path: &Path,
    clock: &Clock,
    progress: Arc<Progress>,
) -> Result<Verified, BackupError> {
    let scratch = config.data_dir.join(SCRATCH);
    let checked = Checked::open(config, path, Arc::clone(&progress)).await?;
    clear(&scratch).await?;
    mb_crypto::files::create_directory(&scratch)?;
    let counted = Box::pin(count(&checked, &scratch, clock, &progress)).await;
    let cleared = clear(&scratch).await;
    let found = counted?;
    cleared?;
    let wanted = checked.contents();
    compare(path, &wanted, &found)?;
    manifest::note_verified(path, clock.now());
    Ok(Verified {
        files: checked.files,
        tables: wanted.0.len() as u64,
        rows: wanted.0.values().sum(),
        messages: wanted.0.get("messages").copied().unwrap_or(0),
    })
}

async fn count(
    checked: &Checked,
    scratch: &Path,
    clock: &Clock,
    progress: &Arc<Progress>,
) -> Result<Contents, BackupError> {
    let address = format!("sqlite://{}", scratch.join("scratch.db").display());
    let store = Store::open(&address, clock.clone()).await?;
    let counted = async {
        store.migrate().await?;
        checked.import(&store, ACTOR, progress).await?;
        Ok(store.contents().await?)
    };
    let counted = counted.await;
    store.close().await;
    counted
}

/// The restore notes itself in the audit log and in the settings; everything else is as it was.
fn compare(path: &Path, wanted: &Contents, found: &Contents) -> Result<(), BackupError> {
    for (table, &count) in &found.0 {
        let expected = wanted.0.get(table).copied().unwrap_or(0);
        let of_the_restore = match table.as_str() {
            "audit_log" => 1,
            // Since when the epoch is, and with which policy it was announced.
            "settings" => 2,
            _ => 0,
        };
        if !(expected..=expected + of_the_restore).contains(&count) {
            let reason = format!("{count} rows of {table} were restored, the manifest says {expected}");
            return Err(BackupError::broken(path, reason));
        }
    }
    Ok(())
}

async fn clear(scratch: &Path) -> Result<(), BackupError> {
    let scratch = scratch.to_owned();
    blocking(move || match std::fs::remove_dir_all(&scratch) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(BackupError::io("remove", &scratch)(error)),
        _ => Ok(()),
    })
    .await
}
