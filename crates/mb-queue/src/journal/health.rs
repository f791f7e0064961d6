//! What goes wrong while the journal runs, as flags that clear when it goes right again.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::aside::Aside;
use super::segment::Segment;
use super::status::Degraded;

/// A condition that holds or does not.
#[derive(Debug, Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    /// Sets it; whether it was not set before, so that a failure is logged once.
    pub(crate) fn raise(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, holds: bool) {
        self.0.store(holds, Ordering::Relaxed);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// All conditions of one journal.
#[derive(Debug, Default)]
pub(crate) struct Health {
    pub(crate) full: Flag,
    /// No segment can be made; for the log alone.
    pub(crate) no_segment: Flag,
    /// An index file cannot be read; for the log alone, and until the next start.
    pub(crate) no_index: Flag,
    pub(crate) write_failed: Flag,
    pub(crate) read_failed: Flag,
    pub(crate) upkeep_failed: Flag,
    /// Segments in `damaged/`.
    pub(crate) damaged_segments: AtomicU64,
    /// Entries in `stale/`.
    stale: AtomicU64,
    /// Entries in `refused/`.
    refused: AtomicU64,
    /// Damaged segments that are not copied yet.
    to_copy: Mutex<Vec<Arc<Segment>>>,
}

impl Health {
    /// Entries that were set aside for a reason.
    pub(crate) fn aside(&self, reason: Aside) -> &AtomicU64 {
        match reason {
            Aside::Stale => &self.stale,
            Aside::Refused => &self.refused,
        }
    }

    /// Remembers a damaged segment for its copy.
    pub(crate) fn want_copy(&self, segment: &Arc<Segment>) {
        let mut to_copy = self.to_copy.lock().unwrap_or_else(PoisonError::into_inner);
        if !to_copy.iter().any(|known| known.first_seq() == segment.first_seq()) {
            to_copy.push(Arc::clone(segment));
        }
    }

    pub(crate) fn take_copies(&self) -> Vec<Arc<Segment>> {
        std::mem::take(&mut *self.to_copy.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The reasons for not being healthy.
    pub(crate) fn degraded(&self, damaged_entries: u64) -> Vec<Degraded> {
        let damaged = damaged_entries > 0 || self.damaged_segments.load(Ordering::Relaxed) > 0;
        let all = [
            (damaged, Degraded::Damaged),
            (self.stale.load(Ordering::Relaxed) > 0, Degraded::Stale),
            (self.refused.load(Ordering::Relaxed) > 0, Degraded::Refused),
            (self.write_failed.is_up(), Degraded::WriteFailed),
            (self.read_failed.is_up(), Degraded::ReadFailed),
            (self.upkeep_failed.is_up(), Degraded::UpkeepFailed),
            (self.full.is_up(), Degraded::Full),
        ];
        all.into_iter().filter(|(holds, _)| *holds).map(|(_, reason)| reason).collect()
    }
}
