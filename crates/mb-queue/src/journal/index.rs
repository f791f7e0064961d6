//! Which message ids a segment holds, and where.
//!
//! The segment being written keeps its ids in memory; once sealed they go into a sorted file beside it, so memory stays
//! flat however much is kept. Ids made here (UUIDv7) carry their time, so a range is enough to skip a segment; those of
//! an idempotency key (UUIDv8) are random, so a Bloom filter does it.

pub(crate) mod bloom;
pub(crate) mod file;

use std::collections::HashMap;
use std::io;

use mb_core::MessageId;

use file::IndexFile;

/// The index of one segment.
#[derive(Debug)]
pub(crate) enum Index {
    /// Being written, or not yet written out.
    Memory(MemoryIndex),
    /// Sealed.
    File(IndexFile),
}

/// Ids and their offsets, in memory.
#[derive(Debug, Default)]
pub(crate) struct MemoryIndex {
    offsets: HashMap<MessageId, u32>,
    range: IdRange,
}

/// The least and greatest UUIDv7 of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct IdRange(pub(crate) Option<(MessageId, MessageId)>);

impl IdRange {
    fn add(&mut self, id: MessageId) {
        self.0 = Some(self.0.map_or((id, id), |(least, most)| (least.min(id), most.max(id))));
    }

    pub(crate) fn contains(&self, id: MessageId) -> bool {
        self.0.is_some_and(|(least, most)| (least..=most).contains(&id))
    }

    /// The greatest.
    pub(crate) fn newest(&self) -> Option<MessageId> {
        self.0.map(|(_, most)| most)
    }
}

impl MemoryIndex {
    /// An index that will hold about as many ids as the last one did, so that it does not have to grow while it is written to.
    pub(crate) fn sized_for(entries: usize) -> Self {
        Self { offsets: HashMap::with_capacity(entries), range: IdRange::default() }
    }

    /// Adds an id. The first offset of an id stands.
    pub(crate) fn insert(&mut self, id: MessageId, offset: u32) {
        if id.version() == 7 {
            self.range.add(id);
        }
        self.offsets.entry(id).or_insert(offset);
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len()
    }

    pub(crate) fn range(&self) -> IdRange {
        self.range
    }

    /// All ids with their offsets, in no order.
    pub(crate) fn entries(&self) -> Vec<(MessageId, u32)> {
        self.offsets.iter().map(|(id, offset)| (*id, *offset)).collect()
    }
}

impl Index {
    /// Where the id's frame starts, if this segment holds it.
    pub(crate) fn offset_of(&self, id: MessageId) -> io::Result<Option<u32>> {
        match self {
            Self::Memory(index) => Ok(index.offsets.get(&id).copied()),
            Self::File(file) => file.offset_of(id),
        }
    }

    /// How many ids it holds.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Memory(index) => index.len(),
            Self::File(file) => file.len(),
        }
    }

    pub(crate) fn range(&self) -> IdRange {
        match self {
            Self::Memory(index) => index.range,
            Self::File(file) => file.range(),
        }
    }
}
