//! Entries older than the horizon: the store may have forgotten that it had them, so forwarding one could store it twice.
//! They are set aside until an operator has them forwarded or discarded.
//!
//! A file in `stale/` is `MBJSTL01`, CRC32C of the rest (4), and a hand-over batch with the keys that its envelopes use.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use mb_core::envelope::SignedKey;
use mb_core::handover::Batch;

use super::format::{Label, be32, share};
use super::inbox::Incoming;
use super::status::StaleEntry;
use crate::disk::Disk;

const MAGIC: &[u8; 8] = b"MBJSTL01";
const HEAD: usize = 12;

/// The most entries in one file.
pub(crate) const PER_FILE: usize = 1000;

/// The directory of the files.
pub(crate) fn dir(journal: &Path) -> PathBuf {
    journal.join("stale")
}

/// Writes envelopes with their keys, and syncs them.
pub(crate) fn write(disk: &Disk, journal: &Path, keys: &[Bytes], envelopes: &[Bytes]) -> io::Result<()> {
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
    disk.replace(&dir(journal).join(format!("{:032x}.stale", u128::from_be_bytes(name))), &bytes)
}

/// The files, in no order that means anything.
pub(crate) fn files(disk: &Disk, journal: &Path) -> io::Result<Vec<PathBuf>> {
    disk.list(&dir(journal), "stale")
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

/// All entries that are set aside, oldest first.
pub(crate) fn list(disk: &Disk, journal: &Path) -> io::Result<Vec<StaleEntry>> {
    let mut entries = Vec::new();
    for path in files(disk, journal)? {
        let read = read(disk, &path)?;
        entries.extend(read.iter().map(|entry| StaleEntry { id: entry.label.id, queued_at: entry.label.queued_at }));
    }
    entries.sort_unstable_by_key(|entry| (entry.queued_at, entry.id));
    Ok(entries)
}
