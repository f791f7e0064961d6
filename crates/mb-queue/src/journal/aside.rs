//! Entries that wait for an operator, who has them forwarded again or discarded: those older than the horizon, for the
//! store may have forgotten that it had them, so that forwarding one could store it twice; and those that the store
//! refuses again and again, which would hold up the journal for ever.
//!
//! A file in `stale/` or `refused/` is `MBJSTL01`, CRC32C of the rest (4), and a hand-over batch with the keys that its
//! envelopes use.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use mb_core::envelope::SignedKey;
use mb_core::handover::Batch;

use super::Journal;
use super::format::{Label, be32, share};
use super::inbox::Incoming;
use super::status::AsideEntry;
use crate::disk::Disk;
use crate::error::JournalError;

const MAGIC: &[u8; 8] = b"MBJSTL01";
const HEAD: usize = 12;

/// The most entries in one file.
pub(crate) const PER_FILE: usize = 1000;

/// Why entries were set aside; each reason has a directory of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aside {
    /// Older than the horizon.
    Stale,
    /// Refused by the store, or fatal to it, again and again.
    Refused,
}

impl Aside {
    /// Every reason.
    pub(crate) const ALL: [Self; 2] = [Self::Stale, Self::Refused];

    /// Names the directory and its files.
    const fn name(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Refused => "refused",
        }
    }

    /// The directory of the files.
    pub(crate) fn dir(self, journal: &Path) -> PathBuf {
        journal.join(self.name())
    }
}

/// Writes envelopes with their keys, and syncs them.
pub(crate) fn write(disk: &Disk, journal: &Path, reason: Aside, keys: &[Bytes], envelopes: &[Bytes]) -> io::Result<()> {
    let mut name = [0; 16];
    getrandom::fill(&mut name).map_err(io::Error::other)?;
    let batch = Batch {
        keys: keys.iter().map(|key| &key[..]).collect(),
        envelopes: envelopes.iter().map(|envelope| &envelope[..]).collect(),
    };
    let mut bytes = vec![0; HEAD];
    batch.encode(&mut bytes);
    bytes[..8].copy_from_slice(MAGIC);
    let crc = crc32c::crc32c(&bytes[HEAD..]);
    bytes[8..HEAD].copy_from_slice(&crc.to_be_bytes());
    let name = format!("{:032x}.{}", u128::from_be_bytes(name), reason.name());
    disk.replace(&reason.dir(journal).join(name), &bytes)
}

/// The files, in no order that means anything.
pub(crate) fn files(disk: &Disk, journal: &Path, reason: Aside) -> io::Result<Vec<PathBuf>> {
    disk.list(&reason.dir(journal), reason.name())
}

/// How many entries wait.
pub(crate) fn count(disk: &Disk, journal: &Path, reason: Aside) -> io::Result<u64> {
    let files = files(disk, journal, reason)?;
    // A damaged file counts too: it is as much for the operator to look at.
    Ok(files.iter().map(|path| read(disk, path).map_or(1, |entries| entries.len() as u64)).sum())
}

/// What a file holds, ready to be written to the journal again. A damaged file is an error: nothing may drop it silently.
pub(crate) fn read(disk: &Disk, path: &Path) -> io::Result<Vec<Incoming>> {
    let bytes = Bytes::from(disk.read(path)?);
    let body =
        bytes.get(HEAD..).filter(|body| bytes.starts_with(MAGIC) && be32(&bytes, 8) == Some(crc32c::crc32c(body)));
    let batch = body.and_then(Batch::parse).ok_or(io::ErrorKind::InvalidData)?;
    let entries = batch.envelopes.iter().filter_map(|envelope| {
        let label = Label::of(envelope)?;
        let key = batch.keys.iter().find(|key| SignedKey::peek_id(key) == Some(label.key_id));
        Some(Incoming {
            label,
            envelope: share(&bytes, envelope),
            key: key.map(|key| share(&bytes, key)).unwrap_or_default(),
            tag: None,
            replayed: true,
        })
    });
    Ok(entries.collect())
}

/// The signed keys in files that were read once: a file never changes, and who asks for the keys asks again and again.
#[derive(Debug, Default)]
pub(crate) struct AsideKeys(Mutex<HashMap<PathBuf, Vec<Bytes>>>);

impl AsideKeys {
    /// Those of these files, which are all that there are; blocks. Only files that are new are read.
    fn of(&self, disk: &Disk, files: &[PathBuf]) -> Result<Vec<Bytes>, JournalError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|path, _| files.contains(path));
        for path in files {
            if !known.contains_key(path) {
                known.insert(path.clone(), keys_in(disk, path).map_err(JournalError::io("read", path))?);
            }
        }
        Ok(known.values().flatten().cloned().collect())
    }
}

/// Copies: a part of what was read would keep the whole of it in memory.
fn keys_in(disk: &Disk, path: &Path) -> io::Result<Vec<Bytes>> {
    let mut keys: Vec<_> = read(disk, path)?.into_iter().map(|entry| entry.key).collect();
    keys.sort_unstable();
    keys.dedup();
    Ok(keys.iter().map(|key| Bytes::copy_from_slice(key)).collect())
}

impl Journal {
    /// The signed keys that anything here is sealed under, confirmed and set aside included; blocks.
    ///
    /// # Errors
    /// [`JournalError::Io`] if a file cannot be read; then nobody knows what it needs.
    pub fn signed_keys(&self) -> Result<Vec<Bytes>, JournalError> {
        let shared = self.shared();
        let mut keys = shared.signed_keys().map_err(JournalError::io("read", &shared.config.dir))?;
        let mut files = Vec::new();
        for reason in Aside::ALL {
            files.extend(self.aside_files(reason)?);
        }
        keys.extend(shared.aside_keys.of(&shared.disk, &files)?);
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// The entries that were set aside for a reason, oldest first; blocks.
    ///
    /// # Errors
    /// [`JournalError::Io`] if a file of them cannot be read.
    pub fn aside_list(&self, reason: Aside) -> Result<Vec<AsideEntry>, JournalError> {
        let shared = self.shared();
        let mut entries = Vec::new();
        for path in self.aside_files(reason)? {
            let read = read(&shared.disk, &path).map_err(JournalError::io("read", &path))?;
            entries
                .extend(read.iter().map(|entry| AsideEntry { id: entry.label.id, queued_at: entry.label.queued_at }));
        }
        entries.sort_unstable_by_key(|entry| (entry.queued_at, entry.id));
        Ok(entries)
    }

    /// Takes back what was set aside, to be forwarded whatever its age. Returns how many.
    ///
    /// # Errors
    /// [`JournalError::Io`] for a file that cannot be read or removed; [`JournalError::Append`] if the journal does not
    /// take them. What was not taken back stays set aside.
    pub async fn replay_aside(&self) -> Result<u64, JournalError> {
        let mut count = 0;
        for reason in Aside::ALL {
            for path in self.aside_files(reason)? {
                let shared = self.shared();
                let entries = read(&shared.disk, &path).map_err(JournalError::io("read", &path))?;
                let entries: Vec<_> =
                    entries.into_iter().map(|entry| entry.checked(shared.room())).collect::<Result<_, _>>()?;
                let taken = entries.len() as u64;
                self.append_all(entries).await.map_err(|failed| failed.error)?;
                self.forget_aside(reason, &path, taken)?;
                count += taken;
            }
        }
        Ok(count)
    }

    /// Throws away what was set aside. Returns how many; blocks.
    ///
    /// # Errors
    /// [`JournalError::Io`] for a file that cannot be removed.
    pub fn discard_aside(&self) -> Result<u64, JournalError> {
        let mut count = 0;
        for reason in Aside::ALL {
            for path in self.aside_files(reason)? {
                let held = read(&self.shared().disk, &path).map_or(1, |entries| entries.len() as u64);
                self.forget_aside(reason, &path, held)?;
                count += held;
            }
        }
        Ok(count)
    }

    fn aside_files(&self, reason: Aside) -> Result<Vec<PathBuf>, JournalError> {
        let (disk, dir) = (&self.shared().disk, &self.shared().config.dir);
        files(disk, dir, reason).map_err(JournalError::io("list", reason.dir(dir)))
    }

    fn forget_aside(&self, reason: Aside, path: &Path, held: u64) -> Result<(), JournalError> {
        let shared = self.shared();
        shared.disk.remove(path).map_err(JournalError::io("remove", path))?;
        let less = |count: u64| Some(count.saturating_sub(held));
        let _ = shared.health.aside(reason).fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        Ok(())
    }
}
