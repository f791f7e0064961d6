//! What the journal tells about itself: to health, metrics, the command line and the message status.

use std::fmt;
use std::time::Duration;

use mb_core::{Header, JournalBacklog, JournalFaults, MessageId, Timestamp};

/// The journal's state; cheap to ask for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JournalStatus {
    /// Entries that the store has not confirmed.
    pub depth: u64,
    /// Those of them that are handed over, or may be at any moment; the rest waits on the disk until there is room.
    pub open: u64,
    /// The most that may be.
    pub open_bound: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// The most that they may take.
    pub bytes_bound: u64,
    /// When the oldest unconfirmed entry was accepted.
    pub oldest: Option<Timestamp>,
    /// Confirmed segments that are kept.
    pub kept_segments: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Entries that were found damaged in the segments still here.
    pub damaged_entries: u64,
    /// Segments set aside in `damaged/`; an operator removes them.
    pub damaged_segments: u64,
    /// Entries set aside in `stale/` because they are older than the horizon.
    pub stale: u64,
    /// Entries set aside in `refused/` because the store refuses them again and again.
    pub refused: u64,
    /// Appends are refused because of the bound or a full disk.
    pub full: bool,
    /// The store's epoch as last seen.
    pub epoch: Option<[u8; 16]>,
    /// Why it is not healthy; empty if it is.
    pub degraded: Vec<Degraded>,
}

impl JournalStatus {
    /// What an operator has to look at. A segment that was set aside is at least one entry, also when nobody can say any more
    /// what stood in it.
    pub fn faults(&self) -> JournalFaults {
        let damaged = self.damaged_entries.max(self.damaged_segments);
        JournalFaults { damaged, stale: self.stale, refused: self.refused }
    }

    /// What waits for the store.
    pub const fn backlog(&self) -> JournalBacklog {
        JournalBacklog { waiting: self.depth, oldest: self.oldest }
    }
}

/// A reason for not being healthy while entries are still taken and served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Degraded {
    /// Entries were damaged on disk.
    Damaged,
    /// Entries are older than the horizon and wait for an operator.
    Stale,
    /// Entries that the store does not take wait for an operator.
    Refused,
    /// The last write or sync failed.
    WriteFailed,
    /// The journal's files could not be read.
    ReadFailed,
    /// The journal's own files (watermark, index, copies) could not be written.
    UpkeepFailed,
    /// The journal is full.
    Full,
}

impl fmt::Display for Degraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "entries were damaged on disk: see journal/damaged",
            Self::Stale => "entries older than the horizon wait for journal replay or discard",
            Self::Refused => "entries that the main server refuses wait for journal replay or discard",
            Self::WriteFailed => "the last write to the journal failed",
            Self::ReadFailed => "the journal could not be read",
            Self::UpkeepFailed => "the journal's own files could not be written",
            Self::Full => "the journal is full",
        })
    }
}

/// What opening the journal found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Recovery {
    /// Entries that wait for confirmation.
    pub waiting: u64,
    /// Segments found.
    pub segments: u64,
    /// Segments that had to be read because they had no sound index.
    pub scanned: u64,
    /// Entries that were acknowledged and cannot be read any more.
    pub damaged: u64,
    /// Bytes of a torn tail that were cut; none of them was acknowledged.
    pub cut: u64,
    /// How long it took.
    pub took: Duration,
}

/// An entry that is still on this disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// When it was accepted.
    pub queued_at: Timestamp,
    /// The clear fields of its envelope.
    pub header: Header,
    /// Whether the store has confirmed it.
    pub confirmed: bool,
}

/// An entry that was set aside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AsideEntry {
    /// The message.
    pub id: MessageId,
    /// When it was accepted.
    pub queued_at: Timestamp,
}
