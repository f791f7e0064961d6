//! Making a backup.
//!
//! The rows flow from the database through the seal into the file, a few pieces at a time. Key files are copied after the
//! rows: whatever the rows are sealed under was there before them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mb_core::Timestamp;
use mb_crypto::files as disk;
use mb_store::{Contents, Store};
use tokio::sync::mpsc;

use super::BackupConfig;
use super::error::BackupError;
use super::files;
use super::folder::{self, ARRIVING, Listed};
use super::manifest::{self, DATABASE, FILES, FileMark, Manifest, Mark};
use super::progress::{Progress, Step};
use super::sealed::SealedFile;
use super::tar::{self, Entry};

/// Pieces between the database and the seal.
const IN_FLIGHT: usize = 4;

/// Makes a backup in `dir` and says what it is.
pub(super) async fn create(
    config: Arc<BackupConfig>,
    store: &Store,
    dir: &Path,
    now: Timestamp,
    progress: Arc<Progress>,
) -> Result<Listed, BackupError> {
    config.key()?;
    let (name, created_at) = free_name(dir, now);
    let arriving = dir.join(format!(".{name}_{}{ARRIVING}", std::process::id()));
    disk::create_directory(&arriving)?;
    let made = write(&config, store, &arriving, created_at, &progress).await;
    let placed = made.and_then(|()| place(dir, &arriving, &name));
    if placed.is_err() {
        // The first error is the one to tell; what stays is removed by a later run.
        std::fs::remove_dir_all(&arriving).ok();
    }
    placed.map(|path| folder::look(&path, name, created_at))
}

/// Of two in one second the later one bears the next second's name.
fn free_name(dir: &Path, now: Timestamp) -> (String, Timestamp) {
    let mut at = now;
    loop {
        let name = manifest::name_at(at);
        if !dir.join(&name).exists() {
            return (name, at);
        }
        at = at.plus(std::time::Duration::from_secs(1));
    }
}

async fn write(
    config: &Arc<BackupConfig>,
    store: &Store,
    folder: &Path,
    created_at: Timestamp,
    progress: &Arc<Progress>,
) -> Result<(), BackupError> {
    let schema = store.migration_status().await?.last().map_or(0, |newest| newest.version);
    progress.begin(Step::Database);
    let (contents, database) = rows(config, store, folder.join(DATABASE), progress).await?;
    progress.begin(Step::Files);
    let mark = Mark {
        version: config.version.to_owned(),
        schema,
        created_at,
        rows: contents.0,
        database_sha256: database.sha256.clone(),
    };
    let (config, progress, folder) = (Arc::clone(config), Arc::clone(progress), folder.to_owned());
    blocking(move || {
        let files = pack(&config, &mark, &folder.join(FILES), &progress)?;
        Manifest::new(mark, config.key()?.describe(), database, files).write(&folder)?;
        Ok(disk::flush_directory(&folder)?)
    })
    .await
}

/// Seals all rows.
async fn rows(
    config: &Arc<BackupConfig>,
    store: &Store,
    path: PathBuf,
    progress: &Arc<Progress>,
) -> Result<(Contents, FileMark), BackupError> {
    let (pieces, mut arriving) = mpsc::channel::<Vec<u8>>(IN_FLIGHT);
    let (sealing_config, sealing_progress) = (Arc::clone(config), Arc::clone(progress));
    let sealing = blocking(move || {
        let mut file = SealedFile::create(&path, sealing_config.key()?, &sealing_progress)?;
        while let Some(piece) = arriving.blocking_recv() {
            file.write_all(&piece).map_err(BackupError::io("write", &path))?;
        }
        file.finish()
    });
    let exporting = progress.unless_stopped(async { Ok(store.export(pieces).await?) });
    let (exported, sealed) = tokio::join!(exporting, sealing);
    // A disk that is full ends the export too: the seal's error is the cause then.
    let sealed = sealed?;
    Ok((exported?, sealed))
}

fn pack(config: &BackupConfig, mark: &Mark, path: &Path, progress: &Progress) -> Result<FileMark, BackupError> {
    let failed = || BackupError::io("write", path);
    let mut out = SealedFile::create(path, config.key()?, progress)?;
    let text = serde_json::to_vec(mark).map_err(std::io::Error::other).map_err(failed())?;
    let entry = Entry { path: files::MARK.to_owned(), size: text.len() as u64, is_private: true };
    tar::append(&mut out, &entry, text.as_slice()).map_err(failed())?;
    for (name, file) in files::find(config)? {
        files::append(&mut out, &name, &file)?;
    }
    tar::finish(&mut out).map_err(failed())?;
    out.finish()
}

/// Gives it its name, which says that it is whole.
fn place(dir: &Path, arriving: &Path, name: &str) -> Result<PathBuf, BackupError> {
    let path = dir.join(name);
    std::fs::rename(arriving, &path).map_err(BackupError::io("rename", arriving))?;
    disk::flush_directory(dir)?;
    Ok(path)
}

/// Files and seals are no work for threads that serve requests.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(BackupError::Stopped))
}
