//! What an operator may set about the journal.

use std::path::PathBuf;
use std::time::Duration;

/// Bounds and times of a journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalConfig {
    /// The directory that holds it; created if it is missing.
    pub dir: PathBuf,
    /// Size of a segment file in bytes; at most 1 GiB, and at most a quarter of `max_bytes`.
    pub segment_bytes: u64,
    /// Bound of all segments together in bytes; their index files take a few percent more. Confirmed segments give way
    /// first; then appends are refused as full.
    pub max_bytes: u64,
    /// How long confirmed segments are kept, as long as they take no more than a quarter of `max_bytes`.
    pub keep_for: Duration,
    /// Entries that may be handed over and not yet confirmed.
    pub window_entries: usize,
    /// Bytes of the same.
    pub window_bytes: u64,
    /// How long a claimed entry belongs to its worker.
    pub lease: Duration,
    /// An acknowledged entry that the store lacks is not claimable again before this time since it was last claimed.
    pub reforward_after: Duration,
    /// An entry in another queue counts as lost when one that was forwarded later has been confirmed for this long.
    pub passed_after: Duration,
    /// Entries older than this are set aside instead of being handed over.
    pub horizon: Duration,
    /// Entries that may wait to be written.
    pub max_waiting: usize,
}

/// No segment is larger: offsets are kept in 32 bits.
const MAX_SEGMENT: u64 = 1 << 30;

impl JournalConfig {
    /// The defaults, for a directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 64 << 20,
            max_bytes: 10 << 30,
            keep_for: Duration::from_hours(48),
            window_entries: 50_000,
            window_bytes: 64 << 20,
            lease: Duration::from_mins(1),
            reforward_after: Duration::from_mins(1),
            passed_after: Duration::from_secs(30),
            horizon: mb_core::policy::HORIZON,
            max_waiting: 65_536,
        }
    }

    /// The size that segments really have: whole sectors, within the bounds.
    pub(crate) fn segment_size(&self) -> u64 {
        let size = self.segment_bytes.min(self.max_bytes / 4).min(MAX_SEGMENT);
        (size - size % 512).max(8192)
    }

    /// The most bytes that kept segments may take.
    pub(crate) fn keep_bytes(&self) -> u64 {
        self.max_bytes / 4
    }
}
