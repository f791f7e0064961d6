//! Which files of a backup are put back: what is missing, and nothing over what is there.
//!
//! What lies in the data directory is newer than the backup: a certificate that was renewed, a master key that was rotated.
//! Master keys are merged, for rows of both times must open. The CA and every other certificate go with their key: of a
//! pair that differs nothing is written. Settings that differ are put beside, for a person to compare.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Component, Path};

use mb_core::KeyId;
use mb_crypto::files as disk;
use mb_crypto::master::{MasterKey, MasterKeys};

use super::BackupConfig;
use super::error::BackupError;
use super::files::{AUDIT_HEAD, FOLDERS, LOGS, MARK, SETTINGS};
use super::sealed;
use super::tar::{Entry, Reader};

/// No certificate, key or settings file is larger.
const MAX_SMALL: u64 = 1 << 20;
/// What settings of the backup are called beside those that are there.
const FROM_BACKUP: &str = ".from-backup";
/// What the audit log's end is called that belongs to the database that was there.
const SET_ASIDE: &str = ".before-restore";

/// What became of the files.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Placed {
    /// Files that were missing.
    pub written: u64,
    /// Files that were there already, the same.
    pub same: u64,
    /// What is there is another and stayed.
    pub kept: Vec<String>,
    /// What was done otherwise, in words.
    pub notes: Vec<String>,
}

/// Puts back the files of the archive at `path`.
pub(super) fn place(config: &BackupConfig, path: &Path) -> Result<Placed, BackupError> {
    let failed = || BackupError::io("open", path);
    let mut archive = Reader::new(sealed::open(path, config.key()?)?);
    let mut placing = Placing { config, known: master_keys(config)?, placed: Placed::default(), pair: None };
    while let Some(entry) = archive.next().map_err(failed())? {
        if !is_ours(&entry.path) {
            continue;
        }
        if entry.path.starts_with("logs/") {
            placing.log(&entry, &mut archive)?;
        } else if entry.size <= MAX_SMALL {
            let mut content = Vec::new();
            archive.read_to_end(&mut content).map_err(failed())?;
            placing.small(entry, content)?;
        }
    }
    placing.settle_pair()?;
    placing.set_audit_head_aside()?;
    Ok(placing.placed)
}

/// The master keys that are here.
fn master_keys(config: &BackupConfig) -> Result<BTreeSet<KeyId>, BackupError> {
    let keys = MasterKeys::open(&config.data_dir.join("secrets/encryption.key"))?;
    Ok(keys.map(|keys| keys.list().into_iter().map(|(id, _)| id).collect()).unwrap_or_default())
}

/// Whether it belongs where backups are taken from. Whoever can seal could write any path into an archive.
pub(super) fn is_ours(path: &str) -> bool {
    let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) && !path.contains('\\');
    let folder = path.split_once('/').map(|(first, _)| first);
    let place = folder.map_or(SETTINGS.contains(&path), |folder| FOLDERS.contains(&folder) || folder == LOGS);
    plain && place && path != MARK && path != AUDIT_HEAD
}

/// A file of the backup in memory.
struct Small {
    entry: Entry,
    content: Vec<u8>,
}

/// How a file of the backup compares with the one in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Empty,
    Same,
    Other,
}

struct Placing<'a> {
    config: &'a BackupConfig,
    known: BTreeSet<KeyId>,
    placed: Placed,
    /// A certificate whose key may come next.
    pair: Option<Small>,
}

impl Placing<'_> {
    fn small(&mut self, entry: Entry, content: Vec<u8>) -> Result<(), BackupError> {
        let file = Small { entry, content };
        let path = file.entry.path.as_str();
        if let Some(certificate) = self.pair.take() {
            if path.strip_suffix(".key").is_some_and(|stem| certificate.entry.path.strip_suffix(".crt") == Some(stem)) {
                return self.pair(&certificate, &file);
            }
            self.single(&certificate)?;
        }
        if path.strip_prefix("certs/").and_then(|name| name.strip_suffix(".crt")).is_some() {
            self.pair = Some(file);
            return Ok(());
        }
        if path.starts_with("secrets/encryption.") {
            return self.master_key(&file);
        }
        self.single(&file)
    }

    /// The last certificate has no key beside it.
    fn settle_pair(&mut self) -> Result<(), BackupError> {
        let last = self.pair.take();
        last.map_or(Ok(()), |certificate| self.single(&certificate))
    }

    fn pair(&mut self, certificate: &Small, key: &Small) -> Result<(), BackupError> {
        if self.compare(certificate)? == Place::Other || self.compare(key)? == Place::Other {
            if certificate.entry.path == "certs/ca.crt" {
                self.placed.notes.push(
                    "certs/ca.crt and certs/ca.key are another authority's than the backup's and stay: the restored \
                     store starts only with the backup's; move the two files away and repeat if these are not meant"
                        .to_owned(),
                );
            }
            self.placed.kept.extend([certificate.entry.path.clone(), key.entry.path.clone()]);
            return Ok(());
        }
        // The key first: a certificate without one keeps a start from succeeding, a key alone does not.
        self.single(key)?;
        self.single(certificate)
    }

    /// A master key that is not here is added, under another name where another key has taken its place.
    fn master_key(&mut self, file: &Small) -> Result<(), BackupError> {
        let path = &file.entry.path;
        // The public half is written anew from the key.
        let text = std::str::from_utf8(&file.content).ok().filter(|_| path.strip_suffix(".key").is_some());
        let Some(text) = text else { return Ok(()) };
        let id = MasterKey::from_text(text)?.id();
        if self.known.contains(&id) {
            self.placed.same += 1;
        } else if !self.config.data_dir.join(path).exists() {
            self.write(path, file)?;
        } else {
            let beside = format!("secrets/encryption.{id}.key");
            self.placed.notes.push(format!("master key {id} was added as {beside}: it opens what the backup holds"));
            self.write(&beside, file)?;
        }
        self.known.insert(id);
        Ok(())
    }

    fn single(&mut self, file: &Small) -> Result<(), BackupError> {
        let path = &file.entry.path;
        match self.compare(file)? {
            Place::Empty => self.write(path, file)?,
            Place::Same => self.placed.same += 1,
            Place::Other if SETTINGS.contains(&path.as_str()) => {
                let beside = format!("{path}{FROM_BACKUP}");
                self.write(&beside, file)?;
                self.placed.notes.push(format!("{path} stays as it is; the backup's is {beside}"));
                self.placed.kept.push(path.clone());
            }
            Place::Other => self.placed.kept.push(path.clone()),
        }
        Ok(())
    }

    fn compare(&self, file: &Small) -> Result<Place, BackupError> {
        let path = self.config.data_dir.join(&file.entry.path);
        match std::fs::read(&path) {
            Ok(content) if content == file.content => Ok(Place::Same),
            Ok(_) => Ok(Place::Other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Place::Empty),
            Err(error) => Err(BackupError::io("read", &path)(error)),
        }
    }

    fn write(&mut self, path: &str, file: &Small) -> Result<(), BackupError> {
        let path = self.config.data_dir.join(path);
        if file.entry.is_private {
            disk::write_private(&path, &file.content)?;
        } else {
            disk::write_public(&path, &file.content)?;
        }
        self.placed.written += 1;
        Ok(())
    }

    /// A log may be long, so it goes straight to the disk; one that is there is never touched.
    fn log(&mut self, entry: &Entry, content: &mut impl Read) -> Result<(), BackupError> {
        let name = entry.path.trim_start_matches("logs/");
        let path = self.config.logs.join(name);
        if path.exists() {
            self.placed.same += 1;
            return Ok(());
        }
        let arriving = path.with_file_name(format!(".{}.tmp", name.rsplit('/').next().unwrap_or(name)));
        std::fs::remove_file(&arriving).ok();
        let file = if entry.is_private { disk::create_private(&arriving) } else { disk::create_public(&arriving) }?;
        let copied = copy(content, file);
        copied.and_then(|()| std::fs::rename(&arriving, &path)).map_err(BackupError::io("write", &path))?;
        self.placed.written += 1;
        Ok(())
    }

    /// The database that it belongs to is about to go.
    fn set_audit_head_aside(&mut self) -> Result<(), BackupError> {
        let head = self.config.data_dir.join(AUDIT_HEAD);
        let aside = self.config.data_dir.join(format!("{AUDIT_HEAD}{SET_ASIDE}"));
        match std::fs::rename(&head, &aside) {
            Ok(()) => {
                let note = format!("{AUDIT_HEAD} is set aside as {AUDIT_HEAD}{SET_ASIDE}: the audit log is older now");
                self.placed.notes.push(note);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(BackupError::io("set aside", &head)(error)),
        }
    }
}

fn copy(content: &mut impl Read, mut file: File) -> io::Result<()> {
    io::copy(content, &mut file)?;
    file.flush()?;
    file.sync_all()
}
