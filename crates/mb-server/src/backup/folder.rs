//! The folder of backups: which there are, and which are kept no longer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mb_core::Timestamp;

use super::error::BackupError;
use super::manifest::{self, Manifest};

/// What bears another name than a backup's: on its way in or out.
pub(super) const ARRIVING: &str = ".arriving";
const LEAVING: &str = ".leaving";
/// What was on its way for so long was broken off.
const BROKEN_OFF: Duration = Duration::from_hours(24);

/// A backup.
#[derive(Clone, Debug)]
pub struct Listed {
    /// `backup_YYYYMMDD_HHMMSS`.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// As its name says.
    pub created_at: Timestamp,
    /// When it was last proven.
    pub verified_at: Option<Timestamp>,
    /// What its manifest says, or what is wrong with it.
    pub content: Result<Content, String>,
}

/// What is in a backup, as its manifest says.
#[derive(Clone, Debug)]
pub struct Content {
    /// The product's version that made it.
    pub version: String,
    /// The number of the newest migration in it.
    pub schema: i64,
    /// Rows of all tables.
    pub rows: u64,
    /// Messages among them.
    pub messages: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// `passphrase`, or the recipient it is sealed to.
    pub sealed: String,
}

impl From<&Manifest> for Content {
    fn from(manifest: &Manifest) -> Self {
        Self {
            version: manifest.mark.version.clone(),
            schema: manifest.mark.schema,
            rows: manifest.mark.rows.values().sum(),
            messages: manifest.mark.rows.get("messages").copied().unwrap_or(0),
            bytes: manifest.size(),
            sealed: manifest.sealed.clone(),
        }
    }
}

/// The backups in a folder, the newest first; whether their sealed files are what they should be is not looked at. A
/// folder that is not there has none.
///
/// # Errors
/// The folder cannot be read.
pub fn list(dir: &Path) -> Result<Vec<Listed>, BackupError> {
    let mut found = entries(dir)?
        .into_iter()
        .filter_map(|name| {
            let created_at = manifest::time_of(&name)?;
            Some(look(&dir.join(&name), name, created_at))
        })
        .collect::<Vec<_>>();
    found.sort_by(|a, b| b.name.cmp(&a.name));
    Ok(found)
}

pub(super) fn look(path: &Path, name: String, created_at: Timestamp) -> Listed {
    let content = Manifest::read(path).map(|manifest| Content::from(&manifest)).map_err(|error| error.in_full());
    Listed { name, path: path.to_owned(), created_at, verified_at: manifest::verified_at(path), content }
}

/// When the newest good backup was made, and when one was verified last.
pub(crate) fn newest(dir: &Path) -> Result<(Option<Timestamp>, Option<Timestamp>), BackupError> {
    let all = list(dir)?;
    let made = all.iter().find(|backup| backup.content.is_ok()).map(|backup| backup.created_at);
    Ok((made, all.iter().filter_map(|backup| backup.verified_at).max()))
}

/// Removes backups that are older than `keep`, but never the newest good one; and what was broken off. How many backups
/// went.
pub(super) fn prune(dir: &Path, keep: Duration, now: Timestamp) -> Result<u64, BackupError> {
    let all = list(dir)?;
    let newest = all.iter().find(|backup| backup.content.is_ok()).map(|backup| backup.name.clone());
    let mut gone = 0;
    for backup in all {
        if newest.as_ref() != Some(&backup.name) && now.since(backup.created_at) > keep {
            remove(dir, &backup.name)?;
            gone += 1;
        }
    }
    for name in entries(dir)? {
        let path = dir.join(&name);
        let is_on_its_way = name.starts_with('.') && (name.ends_with(ARRIVING) || name.ends_with(LEAVING));
        if is_on_its_way && (name.ends_with(LEAVING) || is_broken_off(&path)) {
            std::fs::remove_dir_all(&path).map_err(BackupError::io("remove", &path))?;
        }
    }
    Ok(gone)
}

/// It loses its name first: what is half gone is no backup.
fn remove(dir: &Path, name: &str) -> Result<(), BackupError> {
    let (path, leaving) = (dir.join(name), dir.join(format!(".{name}{LEAVING}")));
    std::fs::rename(&path, &leaving).map_err(BackupError::io("remove", &path))?;
    std::fs::remove_dir_all(&leaving).map_err(BackupError::io("remove", &leaving))
}

/// Another main server's may be on its way into the same folder.
fn is_broken_off(path: &Path) -> bool {
    let touched = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let age = |path: &Path| std::fs::metadata(path).ok()?.modified().ok()?.elapsed().ok();
    touched.chain([path.to_owned()]).filter_map(|path| age(&path)).min().is_some_and(|age| age > BROKEN_OFF)
}

fn entries(dir: &Path) -> Result<Vec<String>, BackupError> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(BackupError::io("list", dir))?,
    };
    Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}
