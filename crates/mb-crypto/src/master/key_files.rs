//! Where master keys lie: `encryption.key` is the active one, `encryption.next.key` is prepared to follow it, and
//! `encryption.ID.key` was active before.
//!
//! Each step of a rotation is one file that is wholly there or not, and the old key is written down before the new one
//! takes its place: whenever it is cut short, every key that sealed anything is on disk. Several main servers share their
//! keys by copying these files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mb_core::KeyId;

use super::keys::Held;
use super::{MasterKey, public_to_text};
use crate::{CryptoError, files};

/// The files of one main server's keys.
#[derive(Debug)]
pub(super) struct KeyFiles {
    active: PathBuf,
}

impl KeyFiles {
    pub(super) fn new(active: &Path) -> Self {
        Self { active: active.to_owned() }
    }

    fn beside(&self, part: &str) -> PathBuf {
        let stem = self.active.file_stem().unwrap_or_default().to_string_lossy();
        self.active.with_file_name(format!("{stem}.{part}.key"))
    }

    fn prepared(&self) -> PathBuf {
        self.beside("next")
    }

    fn retired(&self, id: KeyId) -> PathBuf {
        self.beside(&id.to_string())
    }

    /// Everything that is there; `None` without an active key. A rotation that was cut short shows a key twice: it counts
    /// once, in the part that it has got to.
    pub(super) fn read(&self) -> Result<Option<Held>, CryptoError> {
        if !self.active.exists() {
            return Ok(None);
        }
        let active = Arc::new(read(&self.active)?);
        self.keep_public_half(&active)?;
        let prepared = if self.prepared().exists() { Some(Arc::new(read(&self.prepared())?)) } else { None };
        let mut retired = Vec::new();
        for id in self.retired_ids()? {
            let key = read(&self.retired(id))?;
            if key.id() != active.id() {
                retired.push(Arc::new(key));
            }
        }
        let known = |key: &Arc<MasterKey>| key.id() == active.id() || retired.iter().any(|old| old.id() == key.id());
        let prepared = prepared.filter(|key| !known(key));
        Ok(Some(Held { active, prepared, retired }))
    }

    /// That there is no active key.
    pub(super) fn gone(&self) -> CryptoError {
        let source = std::io::ErrorKind::NotFound.into();
        CryptoError::File { action: "read", path: self.active.clone(), source }
    }

    fn retired_ids(&self) -> Result<Vec<KeyId>, CryptoError> {
        let directory = self.active.parent().unwrap_or_else(|| Path::new("."));
        let failed = |source| CryptoError::File { action: "list", path: directory.to_owned(), source };
        let mut ids = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_string_lossy();
            let id =
                name.strip_suffix(".key").and_then(|name| name.rsplit_once('.')).and_then(|(_, id)| KeyId::parse(id));
            ids.extend(id.filter(|id| self.retired(*id).ends_with(&*name)));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    pub(super) fn write_first(&self, key: &MasterKey) -> Result<(), CryptoError> {
        write(&self.active, key)?;
        self.keep_public_half(key)
    }

    /// Writes the active key's public half where it is missing or another key's.
    fn keep_public_half(&self, key: &MasterKey) -> Result<(), CryptoError> {
        let mut name = self.active.file_name().unwrap_or_default().to_owned();
        name.push(".pub");
        let (path, text) = (self.active.with_file_name(name), public_to_text(&key.public()));
        if std::fs::read(&path).is_ok_and(|bytes| bytes == text.as_bytes()) {
            return Ok(());
        }
        files::write_public(&path, text.as_bytes())
    }

    pub(super) fn write_prepared(&self, key: &MasterKey) -> Result<(), CryptoError> {
        write(&self.prepared(), key)
    }

    pub(super) fn activate(&self, before: &MasterKey, next: &MasterKey) -> Result<(), CryptoError> {
        write(&self.retired(before.id()), before)?;
        write(&self.active, next)?;
        self.keep_public_half(next)?;
        remove(&self.prepared())
    }

    pub(super) fn remove(&self, id: KeyId, prepared: bool) -> Result<(), CryptoError> {
        remove(&if prepared { self.prepared() } else { self.retired(id) })
    }
}

fn read(path: &Path) -> Result<MasterKey, CryptoError> {
    let text = files::read_private(path)?;
    MasterKey::from_text(text.expose()).map_err(|error| match error {
        CryptoError::Malformed { what, detail } => {
            CryptoError::Malformed { what, detail: format!("{}: {detail}", path.display()) }
        }
        other => other,
    })
}

fn write(path: &Path, key: &MasterKey) -> Result<(), CryptoError> {
    files::write_private(path, key.to_text().expose().as_bytes())
}

/// What is not there is removed.
fn remove(path: &Path) -> Result<(), CryptoError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(CryptoError::File { action: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
