//! One segment file: created whole before it counts, written front to back, never written again once sealed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mb_core::{KeyId, MessageId};

use super::format::{self, DATA_START, Frame, FrameRead, Kind, SegmentHeader, to_usize};
use super::index::file::{IndexFile, Summary};
use super::index::{Index, MemoryIndex};
use crate::disk::{Disk, File};

/// Zeros are written and synced in pieces of this size: a shutdown does not wait for a whole segment, nor does the sync
/// of a group wait for more than this to get out of the disk's way.
const ZEROS: usize = 1 << 20;

/// Read at once when a frame's length is not known yet; most frames are shorter.
const FIRST_READ: usize = 1024;

/// A segment and what is known of it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) seed: u32,
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    marks: Mutex<Marks>,
    index: Mutex<Index>,
}

/// What changes while a segment is written and read.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    /// Bytes on disk, without the index file.
    pub(crate) size: u64,
    /// Where the durable data ends.
    pub(crate) end: u64,
    /// The sequence after its last durable entry.
    pub(crate) next_seq: u64,
    /// The last sequence that was durable before its first group, 0 for none; `None` if that is not known any more.
    pub(crate) follows: Option<u64>,
    /// Since when all its entries are confirmed, as far as this process saw it.
    pub(crate) kept_since: Option<tokio::time::Instant>,
    /// Entries found damaged.
    pub(crate) damaged: u64,
    /// Nothing is appended any more.
    pub(crate) sealed: bool,
    /// The signed keys it carries, and where.
    pub(crate) keys: Vec<(KeyId, u32)>,
}

impl Marks {
    pub(crate) fn fresh(header: &SegmentHeader, size: u64) -> Self {
        Self {
            size,
            end: DATA_START,
            next_seq: header.first_seq,
            follows: None,
            kept_since: None,
            damaged: 0,
            sealed: false,
            keys: Vec::new(),
        }
    }
}

/// A frame read by itself.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) seq: u64,
    pub(crate) kind: Kind,
    pub(crate) tag: Option<[u8; 16]>,
    /// The envelope, or the signed key.
    pub(crate) body: Bytes,
}

impl Segment {
    /// Makes a segment that is wholly on disk, header and length and name, before anyone writes to it. `between` is called
    /// after each piece with the time that it took; its error ends the making.
    pub(crate) fn create(
        disk: &Disk,
        dir: &Path,
        header: SegmentHeader,
        between: impl Fn(Duration) -> io::Result<()>,
    ) -> io::Result<Self> {
        let path = path_of(dir, header.first_seq);
        let temporary = path.with_extension("tmp");
        let file = disk.create(&temporary)?;
        let written = Self::fill(&file, &header, between);
        if let Err(error) = written {
            drop(file);
            // The space of half a file is wanted back at once; if that fails too, the next start removes it.
            let _ = disk.remove(&temporary);
            return Err(error);
        }
        disk.rename(&temporary, &path)?;
        disk.sync_dir(dir)?;
        let marks = Marks::fresh(&header, header.capacity);
        Ok(Self::new(header, file, path, marks, Index::Memory(MemoryIndex::default())))
    }

    /// Makes room in the index for about as many entries as the segment before had.
    pub(crate) fn expect_entries(&self, count: usize) {
        *self.index() = Index::Memory(MemoryIndex::sized_for(count));
    }

    fn fill(file: &File, header: &SegmentHeader, between: impl Fn(Duration) -> io::Result<()>) -> io::Result<()> {
        let zeros = vec![0; ZEROS.min(to_usize(header.capacity))];
        let mut at = 0;
        while at < header.capacity {
            let piece = to_usize((header.capacity - at).min(zeros.len() as u64));
            let started = Instant::now();
            file.write_all_at(&zeros[..piece], at)?;
            file.sync_data()?;
            at += piece as u64;
            between(started.elapsed())?;
        }
        file.write_all_at(&header.encode(), 0)?;
        file.sync_all()
    }

    pub(crate) fn new(header: SegmentHeader, file: File, path: PathBuf, marks: Marks, index: Index) -> Self {
        let seed = format::seed(&header.id);
        Self { header, seed, file, path, marks: Mutex::new(marks), index: Mutex::new(index) }
    }

    /// Its first sequence, which is its name.
    pub(crate) fn first_seq(&self) -> u64 {
        self.header.first_seq
    }

    pub(crate) fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds durable entries to the index in memory.
    pub(crate) fn index_all(&self, entries: impl Iterator<Item = (MessageId, u32)>) {
        if let Index::Memory(index) = &mut *self.index() {
            entries.for_each(|(id, offset)| index.insert(id, offset));
        }
    }

    /// Writes the index file of a sealed segment and frees the index in memory.
    pub(crate) fn write_index(&self, disk: &Disk) -> io::Result<()> {
        let marks = self.marks().clone();
        let summary = Summary {
            id: self.header.id,
            first_seq: self.first_seq(),
            next_seq: marks.next_seq,
            end: marks.end,
            follows: marks.follows,
            damaged: marks.damaged,
            keys: marks.keys,
        };
        let path = self.index_path();
        // The index is copied, so that lookups and the writer do not wait for the disk.
        let (entries, range) = match &*self.index() {
            Index::Memory(memory) => (memory.entries(), memory.range()),
            Index::File(_) => return Ok(()),
        };
        let file = IndexFile::write(disk, &path, &summary, entries, range)?;
        *self.index() = Index::File(file);
        Ok(())
    }

    pub(crate) fn index_path(&self) -> PathBuf {
        self.path.with_extension("idx")
    }

    /// Removes its files. The name of the segment goes last: an index without its segment is swept at the next start.
    pub(crate) fn remove(&self, disk: &Disk) -> io::Result<()> {
        if matches!(*self.index(), Index::File(_)) {
            disk.remove(&self.index_path())?;
        }
        disk.remove(&self.path)
    }

    /// Reads the frame at an offset; `None` if it is damaged.
    pub(crate) fn frame_at(&self, offset: u32) -> io::Result<Option<Stored>> {
        let mut need = FIRST_READ;
        loop {
            let mut bytes = vec![0; need];
            let read = self.file.read_at(&mut bytes, u64::from(offset))?;
            bytes.truncate(read);
            let bytes = Bytes::from(bytes);
            match Frame::read(&bytes, self.seed) {
                FrameRead::Whole(frame) => return Ok(Some(Stored::of(&frame, &bytes))),
                FrameRead::Short(more) if read == need => need = more,
                _ => return Ok(None),
            }
        }
    }

    /// Reads a part of the file; shorter if the file ends before.
    pub(crate) fn read(&self, start: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let read = self.file.read_sound_at(&mut bytes, start)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Where an id's frame starts, if it is here.
    pub(crate) fn offset_of(&self, id: MessageId) -> io::Result<Option<u32>> {
        self.index().offset_of(id)
    }

    /// Reads one of its signed keys.
    pub(crate) fn key(&self, id: KeyId) -> io::Result<Option<Bytes>> {
        let place = self.marks().keys.iter().find(|(key, _)| *key == id).map(|(_, offset)| *offset);
        let Some(offset) = place else { return Ok(None) };
        Ok(self.frame_at(offset)?.filter(|frame| frame.kind == Kind::Key).map(|frame| frame.body))
    }
}

impl Stored {
    pub(crate) fn of(frame: &Frame<'_>, whole: &Bytes) -> Self {
        let body = if frame.is_message() { frame.envelope() } else { frame.payload };
        Self { seq: frame.seq, kind: frame.kind, tag: frame.tag(), body: format::share(whole, body) }
    }
}

/// The file of the segment that starts with this sequence.
pub(crate) fn path_of(dir: &Path, first_seq: u64) -> PathBuf {
    dir.join(format!("{first_seq:016x}.seg"))
}

/// Reads a segment's header; `None` if neither copy is whole.
pub(crate) fn read_header(file: &File) -> io::Result<Option<SegmentHeader>> {
    let mut bytes = vec![0; to_usize(DATA_START)];
    let read = file.read_at(&mut bytes, 0)?;
    Ok(SegmentHeader::decode(&bytes[..read]))
}
