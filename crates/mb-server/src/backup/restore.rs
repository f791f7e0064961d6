//! Putting a backup back, onto a stopped system.
//!
//! Everything is read and proven before anything is changed. Files come first, and are only added; then the rows, which
//! replace what the database holds. Broken off anywhere it is repeated from the start: the store says itself that it is
//! half restored.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mb_store::{Contents, Store, check_schema};
use tokio::sync::mpsc;

use super::create::blocking;
use super::error::BackupError;
use super::manifest::{DATABASE, FILES, Manifest, Mark};
use super::placing::{self, Placed};
use super::progress::{Progress, Step};
use super::sealed::{self, BLOCK};
use super::tar::Reader;
use super::{BackupConfig, files};

/// Pieces between the seal and the database.
const IN_FLIGHT: usize = 4;
/// The mark is a few KiB.
const MAX_MARK: u64 = 1 << 20;

/// A backup of which every byte was read and found genuine.
#[derive(Debug)]
pub struct Checked {
    path: PathBuf,
    manifest: Manifest,
    config: Arc<BackupConfig>,
    /// Files in it.
    pub files: u64,
}

/// What a restore has done.
#[derive(Debug)]
pub struct Restored {
    /// Rows per table.
    pub contents: Contents,
}

impl Checked {
    /// Reads all of the backup in `path` and changes nothing.
    ///
    /// # Errors
    /// [`BackupError`]: it is damaged, of another key, of a newer program, or not a backup.
    pub async fn open(config: Arc<BackupConfig>, path: &Path, progress: Arc<Progress>) -> Result<Self, BackupError> {
        let path = path.to_owned();
        blocking(move || {
            let manifest = Manifest::read(&path)?;
            check_schema(manifest.mark.schema)?;
            progress.begin(Step::Checksums);
            for name in [DATABASE, FILES] {
                sealed::check(&path.join(name), manifest.file(&path, name)?, &progress)?;
            }
            progress.begin(Step::Files);
            let files = check_files(&config, &path, &manifest, &progress)?;
            progress.begin(Step::Database);
            let database = path.join(DATABASE);
            let mut rows = sealed::open(&database, config.key()?)?;
            let mut block = vec![0; BLOCK];
            loop {
                let read = rows.read(&mut block).map_err(BackupError::io("open", &database))?;
                if read == 0 {
                    break;
                }
                progress.add(read).map_err(BackupError::io("open", &database))?;
            }
            drop(rows);
            Ok(Self { path, manifest, config, files })
        })
        .await
    }

    /// How many rows each table has in it.
    pub fn contents(&self) -> Contents {
        self.manifest.contents()
    }

    /// Adds the files to the data directory: nothing that is there is replaced.
    ///
    /// # Errors
    /// [`BackupError`]: a file cannot be written.
    pub async fn place_files(&self) -> Result<Placed, BackupError> {
        let (config, path) = (Arc::clone(&self.config), self.path.join(FILES));
        blocking(move || placing::place(&config, &path)).await
    }

    /// Replaces all that `store` holds by the rows of the backup.
    ///
    /// # Errors
    /// [`BackupError`]; the store is half restored then, and says so.
    pub async fn import(&self, store: &Store, actor: &str, progress: &Arc<Progress>) -> Result<Restored, BackupError> {
        progress.begin(Step::Database);
        let (pieces, arriving) = mpsc::channel::<Vec<u8>>(IN_FLIGHT);
        let (config, path, reading) = (Arc::clone(&self.config), self.path.join(DATABASE), Arc::clone(progress));
        let opening = blocking(move || {
            let mut rows = sealed::open(&path, config.key()?)?;
            loop {
                let mut piece = vec![0; BLOCK];
                let read = rows.read(&mut piece).map_err(BackupError::io("open", &path))?;
                piece.truncate(read);
                reading.add(read).map_err(BackupError::io("open", &path))?;
                // Who receives no more has found the stream's end, or a fault that it tells itself.
                if read == 0 || pieces.blocking_send(piece).is_err() {
                    return Ok(());
                }
            }
        });
        let importing = progress.unless_stopped(Box::pin(async { Ok(store.import(arriving, actor).await?) }));
        let (imported, opened) = tokio::join!(importing, opening);
        opened?;
        Ok(Restored { contents: imported? })
    }
}

/// Reads the archive to its end; how many files it holds, its mark left out.
fn check_files(
    config: &BackupConfig,
    folder: &Path,
    manifest: &Manifest,
    progress: &Progress,
) -> Result<u64, BackupError> {
    let path = folder.join(FILES);
    let failed = || BackupError::io("open", &path);
    let mut archive = Reader::new(sealed::open(&path, config.key()?)?);
    let first = archive.next().map_err(failed())?;
    if first.is_none_or(|entry| entry.path != files::MARK) {
        return Err(BackupError::broken(&path, "it does not say which backup it belongs to"));
    }
    let mut text = Vec::new();
    archive.by_ref().take(MAX_MARK).read_to_end(&mut text).map_err(failed())?;
    let mark = serde_json::from_slice::<Mark>(&text).ok();
    if mark.as_ref() != Some(&manifest.mark) || manifest.mark.database_sha256 != manifest.file(folder, DATABASE)?.sha256
    {
        return Err(BackupError::broken(&path, "it is another backup's than the manifest"));
    }
    let mut count = 0;
    while let Some(entry) = archive.next().map_err(failed())? {
        progress.add(usize::try_from(entry.size).unwrap_or(usize::MAX)).map_err(failed())?;
        count += 1;
    }
    Ok(count)
}
