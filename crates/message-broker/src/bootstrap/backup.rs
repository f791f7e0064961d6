//! From the configuration to what is backed up and how.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use mb_crypto::backup_key::BackupKey;
use mb_server::backup::{BackupConfig, TimeOfDay};

use crate::config::Resolved;
use crate::layout::Layout;

/// What to do where there is nothing to seal with.
const NO_KEY: &str = "there is nothing to seal a backup with: set MB_BACKUP__PASSPHRASE (at least 12 characters) or \
                      MB_BACKUP__PASSPHRASE_FILE, or name a key file in backup.key_file";

/// A key that cannot be used keeps no main server from starting: it says so where a backup is asked for or due.
pub(crate) fn settings(layout: &Layout, resolved: &Resolved) -> BackupConfig {
    let (root, backup) = (absolute(layout.root()), &resolved.config.backup);
    let key = match key(&root, resolved) {
        Ok(Some(key)) => Ok(key),
        Ok(None) => Err(NO_KEY.to_owned()),
        Err(error) => Err(format!("backups cannot be sealed: {error:#}")),
    };
    BackupConfig {
        version: env!("CARGO_PKG_VERSION"),
        logs: root.join(&resolved.config.log.dir),
        dir: backup.place(&root),
        key,
        daily: TimeOfDay::parse(&backup.at).filter(|_| backup.enabled),
        keep: Duration::from_hours(24 * backup.keep_days),
        data_dir: root,
    }
}

/// The passphrase, if there is one; else the key file, if one is named.
fn key(root: &Path, resolved: &Resolved) -> Result<Option<BackupKey>> {
    if let Some(passphrase) = resolved.secret("MB_BACKUP__PASSPHRASE")?.filter(|text| !text.expose().is_empty()) {
        return BackupKey::from_passphrase(&passphrase).context("MB_BACKUP__PASSPHRASE").map(Some);
    }
    let file = &resolved.config.backup.key_file;
    if file.is_empty() {
        return Ok(None);
    }
    BackupKey::from_file(&root.join(file)).context("backup.key_file").map(Some)
}

/// Paths are shown to whoever asks from elsewhere.
fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
