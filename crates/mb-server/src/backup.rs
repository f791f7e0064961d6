//! Backups: all that the main server keeps - rows, certificates, keys, settings, logs - as of one moment, sealed, in a
//! folder of its own.
//!
//! A folder `backup_YYYYMMDD_HHMMSS` holds `manifest.json`, `database.age` and `files.age`. It is written under another
//! name, brought to the disk and renamed: what bears the name of a backup is whole. Memory stays the same however large
//! the database is. `journal/` and `proxy/` are never part of it: what they hold is newer than any backup, and what brings
//! a restored store up to date.

mod create;
mod error;
mod files;
mod folder;
mod job;
mod manifest;
mod placing;
mod progress;
mod restore;
mod schedule;
mod sealed;
mod tar;
#[cfg(test)]
pub(crate) mod tests;
mod verify;

use std::path::PathBuf;
use std::time::Duration;

use mb_crypto::backup_key::BackupKey;

pub use error::BackupError;
pub use folder::{Content, Listed, list};
pub(crate) use job::{Backups, Job, Order, Outcome, begin, measure};
pub use manifest::locate;
pub use placing::Placed;
pub use progress::{Progress, Step};
pub use restore::{Checked, Restored};
pub(crate) use schedule::Daily;
pub use schedule::TimeOfDay;

/// What is backed up, where to and how.
#[derive(Debug)]
pub struct BackupConfig {
    /// The product's version.
    pub version: &'static str,
    /// Where certificates, secrets and settings lie.
    pub data_dir: PathBuf,
    /// Where the log files lie.
    pub logs: PathBuf,
    /// Where backups are put.
    pub dir: PathBuf,
    /// What seals, or why there is nothing to seal with.
    pub key: Result<BackupKey, String>,
    /// When the daily one is made, UTC; `None`: none is made.
    pub daily: Option<TimeOfDay>,
    /// How long backups are kept.
    pub keep: Duration,
}

impl BackupConfig {
    fn key(&self) -> Result<&BackupKey, BackupError> {
        self.key.as_ref().map_err(|reason| BackupError::NoKey(reason.clone()))
    }
}
