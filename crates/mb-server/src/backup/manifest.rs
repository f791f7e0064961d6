//! What stands in clear beside the sealed files: enough to know a backup, and to see that its files are the ones it was
//! made with. Nothing of a message, a client or a person.
//!
//! The sealed files carry a [`Mark`] of their own, so that files of two backups do not pass as one with a manifest that
//! was written for them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mb_core::Timestamp;
use mb_crypto::files;
use mb_store::Contents;
use serde::{Deserialize, Serialize};

use super::error::BackupError;

/// The manifest's name in a backup.
pub(super) const MANIFEST: &str = "manifest.json";
/// All rows.
pub(super) const DATABASE: &str = "database.age";
/// Certificates, keys, settings and logs.
pub(super) const FILES: &str = "files.age";
/// When it was verified; written beside the rest afterwards.
const VERIFIED: &str = "verified.json";

/// The format that this program writes.
const FORMAT: u32 = 1;
/// How a backup's name begins; the rest is when it was made, `YYYYMMDD_HHMMSS`, UTC.
const PREFIX: &str = "backup_";

/// `manifest.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    #[serde(flatten)]
    pub(super) mark: Mark,
    /// `passphrase`, or the recipient `age1...`.
    pub(super) sealed: String,
    pub(super) files: BTreeMap<String, FileMark>,
}

/// By what a backup is known; it stands in the sealed files too.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The product's version.
    pub(super) version: String,
    /// The number of the newest migration.
    pub(super) schema: i64,
    pub(super) created_at: Timestamp,
    /// Rows per table.
    pub(super) rows: BTreeMap<String, u64>,
    /// The sealed rows' digest.
    pub(super) database_sha256: String,
}

/// A file as it was written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct FileMark {
    pub(super) size: u64,
    /// Lower hexadecimal.
    pub(super) sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Verified {
    verified_at: Timestamp,
}

impl Manifest {
    pub(super) fn new(mark: Mark, sealed: String, database: FileMark, files: FileMark) -> Self {
        let files = BTreeMap::from([(DATABASE.to_owned(), database), (FILES.to_owned(), files)]);
        Self { format: FORMAT, mark, sealed, files }
    }

    /// Reads the manifest of the backup in `folder` and compares the sizes of the files with it.
    pub(super) fn read(folder: &Path) -> Result<Self, BackupError> {
        let path = folder.join(MANIFEST);
        let text = files::read_public(&path)?;
        let manifest: Self =
            serde_json::from_str(&text).map_err(|error| BackupError::broken(&path, format!("no manifest: {error}")))?;
        if manifest.format != FORMAT {
            let reason = format!("it is of format {}, this program knows {FORMAT}", manifest.format);
            return Err(BackupError::broken(&path, reason));
        }
        for name in [DATABASE, FILES] {
            let file = folder.join(name);
            let size = std::fs::metadata(&file).map_err(BackupError::io("inspect", &file))?.len();
            let wanted = manifest.file(folder, name)?.size;
            if size != wanted {
                return Err(BackupError::broken(&file, format!("it has {size} bytes, the manifest says {wanted}")));
            }
        }
        Ok(manifest)
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), BackupError> {
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::other);
        let path = folder.join(MANIFEST);
        let text = text.map_err(BackupError::io("write", &path))?;
        Ok(files::write_private(&path, text.as_bytes())?)
    }

    pub(super) fn file(&self, folder: &Path, name: &str) -> Result<&FileMark, BackupError> {
        let missing = || BackupError::broken(&folder.join(MANIFEST), format!("it does not name {name}"));
        self.files.get(name).ok_or_else(missing)
    }

    /// The bytes of all sealed files.
    pub(super) fn size(&self) -> u64 {
        self.files.values().map(|file| file.size).sum()
    }

    pub(super) fn contents(&self) -> Contents {
        Contents(self.mark.rows.clone())
    }
}

/// When the backup in `folder` was verified last.
pub(super) fn verified_at(folder: &Path) -> Option<Timestamp> {
    let text = files::read_public(&folder.join(VERIFIED)).ok()?;
    serde_json::from_str::<Verified>(&text).ok().map(|verified| verified.verified_at)
}

/// Notes that it was verified. Where the folder cannot be written the result stands all the same.
pub(super) fn note_verified(folder: &Path, at: Timestamp) {
    let text = serde_json::to_string(&Verified { verified_at: at }).unwrap_or_default();
    if let Err(error) = files::write_private(&folder.join(VERIFIED), text.as_bytes()) {
        tracing::warn!(%error, "verification not noted beside the backup");
    }
}

/// The name of a backup that is made at `at`.
pub(super) fn name_at(at: Timestamp) -> String {
    let digits = |range: std::ops::Range<usize>| at.to_string()[range].replace(['-', ':'], "");
    format!("{PREFIX}{}_{}", digits(0..10), digits(11..19))
}

/// When the backup of that name was made; `None` for a name of something else.
pub(super) fn time_of(name: &str) -> Option<Timestamp> {
    let (date, time) = name.strip_prefix(PREFIX)?.split_once('_')?;
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(date, 8) || !digits(time, 6) {
        return None;
    }
    Timestamp::parse_rfc3339(&format!(
        "{}-{}-{}T{}:{}:{}Z",
        &date[..4],
        &date[4..6],
        &date[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    ))
}

/// Where the backup of that name or path is: a name is looked for in `dir`.
pub fn locate(dir: &Path, named: &str) -> PathBuf {
    if time_of(named).is_some() { dir.join(named) } else { PathBuf::from(named) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_when() {
        let at = Timestamp::parse_rfc3339("2026-11-25T02:00:07.5Z").expect("a time");
        assert_eq!(name_at(at), "backup_20261125_020007");
        assert_eq!(time_of("backup_20261125_020007"), Timestamp::parse_rfc3339("2026-11-25T02:00:07Z"));
        for other in ["backup_20261125", "backup_20261125_0200077", "backup_20261325_020007", ".backup_x", "notes"] {
            assert_eq!(time_of(other), None, "{other}");
        }
    }
}
