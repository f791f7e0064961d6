//! The files of a backup: certificates, secrets, settings, logs.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::BackupConfig;
use super::error::BackupError;
use super::tar::{self, Entry};

/// Folders that are kept whole. Never `journal/`, never `proxy/`.
pub(super) const FOLDERS: [&str; 2] = ["certs", "secrets"];
/// Files beside them.
pub(super) const SETTINGS: [&str; 2] = [".env", "message-broker.toml"];
/// The folder of logs in the archive, wherever they lie.
pub(super) const LOGS: &str = "logs";
/// The first file of the archive: which backup it belongs to.
pub(super) const MARK: &str = "backup.json";
/// Where the audit log ended: it goes with the database that is there, and with no other.
pub(super) const AUDIT_HEAD: &str = "secrets/audit.head";

/// What belongs to a backup, by its path in the archive.
pub(super) fn find(config: &BackupConfig) -> Result<Vec<(String, PathBuf)>, BackupError> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        walk(&config.data_dir.join(folder), folder, &mut found)?;
    }
    for name in SETTINGS {
        found.push((name.to_owned(), config.data_dir.join(name)));
    }
    walk(&config.logs, LOGS, &mut found)?;
    found.retain(|(path, file)| file.is_file() && path != AUDIT_HEAD && !is_temporary(path));
    Ok(found)
}

/// A file that is written under another name first.
fn is_temporary(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.starts_with('.') && Path::new(name).extension().is_some_and(|extension| extension == "tmp")
}

/// All files below, in the order of their paths: a certificate comes right before its key.
fn walk(folder: &Path, name: &str, found: &mut Vec<(String, PathBuf)>) -> Result<(), BackupError> {
    if !folder.is_dir() {
        return Ok(());
    }
    let failed = || BackupError::io("list", folder);
    let entries = std::fs::read_dir(folder).map_err(failed())?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(failed())?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        // Links are not followed: they lead out of the data directory.
        let kind = entry.file_type().map_err(failed())?;
        if kind.is_dir() {
            walk(&path, &name, found)?;
        } else if kind.is_file() {
            found.push((name, path));
        }
    }
    Ok(())
}

/// Adds a file to the archive; whether it was still there.
pub(super) fn append(out: &mut impl Write, path: &str, file: &Path) -> Result<bool, BackupError> {
    let opened = match File::open(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        opened => opened.map_err(BackupError::io("open", file))?,
    };
    let metadata = opened.metadata().map_err(BackupError::io("inspect", file))?;
    let entry = Entry { path: path.to_owned(), size: metadata.len(), is_private: is_private(&metadata) };
    tar::append(out, &entry, opened).map_err(BackupError::io("back up", file))?;
    Ok(true)
}

#[cfg(unix)]
fn is_private(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & tar::OTHERS == 0
}

/// On Windows the folder's access list says who may read.
#[cfg(windows)]
fn is_private(_metadata: &std::fs::Metadata) -> bool {
    true
}
