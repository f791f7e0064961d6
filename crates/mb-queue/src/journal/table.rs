//! All segments in their order, oldest first; the last one may be being written.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::segment::Segment;

/// What is confirmed and still here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) segments: u64,
    pub(crate) bytes: u64,
}

/// The segments on this disk.
#[derive(Debug, Default)]
pub(crate) struct Table {
    segments: Mutex<VecDeque<Arc<Segment>>>,
}

impl Table {
    pub(crate) fn new(segments: Vec<Arc<Segment>>) -> Self {
        Self { segments: Mutex::new(segments.into()) }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Segment>>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, segment: Arc<Segment>) {
        self.lock().push_back(segment);
    }

    pub(crate) fn newest(&self) -> Option<Arc<Segment>> {
        self.lock().back().cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Segment>> {
        self.lock().iter().cloned().collect()
    }

    /// The segment whose range of sequences this one falls into.
    pub(crate) fn of_seq(&self, seq: u64) -> Option<Arc<Segment>> {
        let segments = self.lock();
        let after = segments.partition_point(|segment| segment.first_seq() <= seq);
        segments.get(after.checked_sub(1)?).cloned()
    }

    /// The segment that follows the one with this first sequence.
    pub(crate) fn after(&self, first_seq: u64) -> Option<Arc<Segment>> {
        let segments = self.lock();
        segments.get(segments.partition_point(|segment| segment.first_seq() <= first_seq)).cloned()
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().iter().map(|segment| segment.marks().size).sum()
    }

    /// The sealed segments whose entries are all settled. Those that are seen so for the first time are kept from now on.
    pub(crate) fn kept(&self, is_settled: impl Fn(u64, u64) -> bool) -> Kept {
        let mut kept = Kept::default();
        for segment in self.lock().iter().filter(|segment| is_kept(segment, &is_settled)) {
            let mut marks = segment.marks();
            marks.kept_since.get_or_insert_with(Instant::now);
            kept.segments += 1;
            kept.bytes += marks.size;
        }
        kept
    }

    /// Takes the oldest kept segment out of the table if `unwanted` says so. Older ones that hold something open stay: a
    /// single entry that nobody takes must not keep everything after it.
    pub(crate) fn take_oldest_kept(
        &self,
        is_settled: impl Fn(u64, u64) -> bool,
        unwanted: impl FnOnce(&Segment) -> bool,
    ) -> Option<Arc<Segment>> {
        let mut segments = self.lock();
        let oldest = segments.iter().position(|segment| is_kept(segment, &is_settled))?;
        if unwanted(&segments[oldest]) { segments.remove(oldest) } else { None }
    }
}

/// `is_settled` is asked about sequences from the first to before the second.
fn is_kept(segment: &Segment, is_settled: impl Fn(u64, u64) -> bool) -> bool {
    let (sealed, next_seq) = {
        let marks = segment.marks();
        (marks.sealed, marks.next_seq)
    };
    sealed && is_settled(segment.first_seq(), next_seq)
}
