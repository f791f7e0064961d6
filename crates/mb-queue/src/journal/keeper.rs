//! The thread that does everything nobody waits for: the next segment, index files, the watermark, dropping what is kept
//! long enough, setting aside what is stale or damaged, and finding out that a disk that failed works again.
//!
//! It turns once a second and whenever it is rung for. A step that fails is logged once, shown as degraded, and tried again
//! in the next turn.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use super::aside::Aside;
use super::format::{SegmentHeader, next_first_seq};
use super::index::Index;
use super::segment::Segment;
use super::watermark::Watermark;
use super::{aside, damaged, gone};
use crate::error::AppendError;

/// How often it turns by itself; also how long a segment that the disk refused is not tried again.
const TURN: Duration = Duration::from_secs(1);

/// While the next segment is made ahead of need, pauses are this many times as long as the disk was busy with it.
const PAUSES: u32 = 3;

/// The keeper's bell.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    state: Mutex<Bell>,
    bell: Condvar,
    stopping: AtomicBool,
}

#[derive(Debug, Default)]
struct Bell {
    rung: bool,
    stopped: bool,
}

/// What the keeper remembers between turns.
#[derive(Debug)]
pub(crate) struct Upkeep {
    /// What is on disk.
    saved: Option<Watermark>,
    /// The first sequence of the next segment.
    next_first_seq: u64,
    /// When the disk last refused a segment.
    refused_at: Option<Instant>,
    /// When the keeper first saw that the journal cannot be written.
    failed_since: Option<Instant>,
}

impl Keeper {
    fn lock(&self) -> MutexGuard<'_, Bell> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a turn now.
    pub(crate) fn ring(&self) {
        self.lock().rung = true;
        self.bell.notify_all();
    }

    /// Ends the thread after a last turn.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.lock().stopped = true;
        self.bell.notify_all();
    }

    /// Waits for a ring or the time; whether it goes on.
    fn wait(&self) -> bool {
        let idle = |bell: &mut Bell| !bell.rung && !bell.stopped;
        let waited = self.bell.wait_timeout_while(self.lock(), TURN, idle);
        let (mut bell, _) = waited.unwrap_or_else(PoisonError::into_inner);
        bell.rung = false;
        !bell.stopped
    }

    /// Waits for the time or the stop: for another thread that has to try again later.
    pub(crate) fn wait_stopped(&self, time: Duration) {
        drop(self.bell.wait_timeout_while(self.lock(), time, |bell| !bell.stopped));
    }
}

/// Keeps the journal until it is stopped.
pub(super) fn run(shared: &Shared) {
    while shared.keeper.wait() {
        shared.upkeep().turn(shared);
    }
    shared.upkeep().finish(shared);
}

impl Upkeep {
    pub(crate) fn new(saved: Option<Watermark>, next_first_seq: u64) -> Self {
        Self { saved, next_first_seq, refused_at: None, failed_since: None }
    }

    /// One turn. What the hot path may need comes first.
    pub(crate) fn turn(&mut self, shared: &Shared) {
        self.supply(shared);
        let steps = [
            self.probe(shared),
            copy_damaged(shared),
            write_indexes(shared),
            self.save_watermark(shared).and_then(|()| self.drop_kept(shared)),
            set_aside(shared, Aside::Stale),
            set_aside(shared, Aside::Refused),
        ];
        let mut failed = false;
        for error in steps.into_iter().filter_map(Result::err) {
            failed = true;
            if shared.health.upkeep_failed.raise() {
                tracing::error!(error = %error, "journal upkeep failed");
            }
        }
        if !failed {
            shared.health.upkeep_failed.clear();
        }
    }

    fn finish(&mut self, shared: &Shared) {
        if let Some(unused) = shared.supply.close()
            && let Err(error) = unused.remove(&shared.disk)
        {
            tracing::warn!(error = %error, "unused journal segment stays until the next start");
        }
        for error in [write_indexes(shared), self.save_watermark(shared)].into_iter().filter_map(Result::err) {
            tracing::warn!(error = %error, "journal was not put in order; the next start will read more of it");
        }
    }

    /// Makes the next segment if the writer has taken the last one.
    pub(crate) fn supply(&mut self, shared: &Shared) {
        let waits = self.refused_at.is_some_and(|at| at.elapsed() < TURN);
        if waits || !shared.supply.is_empty() {
            return;
        }
        let made = self.make(shared);
        if made.is_ok() {
            shared.health.full.clear();
            shared.health.no_segment.clear();
        }
        shared.supply.put(made);
    }

    /// The next segment; confirmed ones give way to it if there is no room.
    fn make(&mut self, shared: &Shared) -> Result<Segment, AppendError> {
        let capacity = shared.config.segment_size();
        while shared.table.bytes() + capacity > shared.config.max_bytes {
            if !self.make_room(shared).map_err(|error| refused(shared, &error))? {
                return Err(AppendError::Full);
            }
        }
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| AppendError::Failed)?;
        let header = SegmentHeader { id, first_seq: self.next_first_seq, capacity, created_at: shared.clock.now() };
        let between = |took| pause(shared, took);
        loop {
            match Segment::create(&shared.disk, &shared.config.dir, header, between) {
                Ok(segment) => {
                    self.next_first_seq = next_first_seq(header.first_seq, capacity);
                    segment.expect_entries(shared.table.newest().map_or(0, |newest| newest.index().len()));
                    return Ok(segment);
                }
                Err(error) => {
                    let is_full = error.kind() == io::ErrorKind::StorageFull;
                    if !(is_full && self.make_room(shared).map_err(|error| refused(shared, &error))?) {
                        self.refused_at = Some(Instant::now());
                        return Err(refused(shared, &error));
                    }
                }
            }
        }
    }

    /// Tries the disk some time after a failed write. Without it a proxy that is taken out of service for being unhealthy
    /// would stay so, because only the next append would show that the disk works again.
    fn probe(&mut self, shared: &Shared) -> io::Result<()> {
        if !shared.health.write_failed.is_up() {
            self.failed_since = None;
            return Ok(());
        }
        if self.failed_since.get_or_insert_with(Instant::now).elapsed() < TURN {
            return Ok(());
        }
        let now = shared.handover.watermark();
        now.save(&shared.disk, &shared.config.dir)?;
        self.saved = Some(now);
        self.failed_since = None;
        shared.health.write_failed.clear();
        tracing::info!("journal can be written again");
        Ok(())
    }

    fn save_watermark(&mut self, shared: &Shared) -> io::Result<()> {
        let now = shared.handover.watermark();
        if self.saved != Some(now) {
            now.save(&shared.disk, &shared.config.dir)?;
            self.saved = Some(now);
            gone::forget(&shared.disk, &shared.config.dir, now.seq)?;
        }
        Ok(())
    }

    /// Drops the oldest confirmed segment, whatever it is kept for.
    fn make_room(&mut self, shared: &Shared) -> io::Result<bool> {
        if let Err(error) = self.save_watermark(shared) {
            // On a full disk room matters more; what is dropped is remembered by itself then.
            tracing::debug!(error = %error, "watermark not saved before a segment is dropped");
        }
        drop_one(shared, self.saved, |_| true)
    }

    /// Drops confirmed segments that are kept long enough or take too much, oldest first.
    fn drop_kept(&self, shared: &Shared) -> io::Result<()> {
        let config = &shared.config;
        loop {
            let bytes = shared.handover.kept(&shared.table).bytes;
            let is_unwanted = |segment: &Segment| {
                let marks = segment.marks();
                let is_empty = marks.next_seq == segment.first_seq();
                let is_old = marks.kept_since.is_some_and(|since| since.elapsed() > config.keep_for);
                is_empty || is_old || bytes > config.keep_bytes()
            };
            if !drop_one(shared, self.saved, is_unwanted)? {
                return Ok(());
            }
        }
    }
}

/// Leaves the disk to the writer for a while, unless that has nothing to write to; an error at the end.
fn pause(shared: &Shared, took: Duration) -> io::Result<()> {
    if shared.keeper.stopping.load(Ordering::Relaxed) {
        return Err(io::Error::other("the journal is shutting down"));
    }
    if shared.supply.has_been_used() && !shared.supply.is_awaited() {
        shared.keeper.wait_stopped(took * PAUSES);
    }
    Ok(())
}

/// Said once, not with every try; a stop is no failure.
fn refused(shared: &Shared, error: &io::Error) -> AppendError {
    if shared.keeper.stopping.load(Ordering::Relaxed) {
        tracing::debug!(error = %error, "journal segment is not made any more");
    } else if shared.health.no_segment.raise() {
        tracing::error!(error = %error, "journal segment cannot be made");
    }
    if error.kind() == io::ErrorKind::StorageFull { AppendError::Full } else { AppendError::Failed }
}

fn copy_damaged(shared: &Shared) -> io::Result<()> {
    let mut result = Ok(());
    for segment in shared.health.take_copies() {
        let copied = damaged::copy(&shared.disk, &shared.config.dir, &segment.path, &segment.file);
        if copied.is_err() {
            shared.health.want_copy(&segment);
            result = copied;
        }
    }
    shared.health.damaged_segments.store(damaged::count(&shared.disk, &shared.config.dir)?, Ordering::Relaxed);
    result
}

fn write_indexes(shared: &Shared) -> io::Result<()> {
    for segment in shared.table.all() {
        let is_due = segment.marks().sealed && matches!(*segment.index(), Index::Memory(_));
        if is_due {
            segment.write_index(&shared.disk)?;
        }
    }
    Ok(())
}

/// What the next start reads is the watermark on the disk: a segment that it does not speak of yet is remembered.
fn drop_one(shared: &Shared, saved: Option<Watermark>, is_unwanted: impl FnOnce(&Segment) -> bool) -> io::Result<bool> {
    let Some(segment) = shared.handover.drop_oldest_kept(&shared.table, is_unwanted) else { return Ok(false) };
    let gone = segment.first_seq()..segment.marks().next_seq;
    let is_remembered =
        gone.end <= saved.map_or(0, |saved| saved.seq) || gone::note(&shared.disk, &shared.config.dir, &gone).is_ok();
    segment.remove(&shared.disk)?;
    // On a full disk room comes first, and then there is some.
    if !is_remembered && let Err(error) = gone::note(&shared.disk, &shared.config.dir, &gone) {
        tracing::warn!(error = %error, "a dropped journal segment is not remembered; the next start will miss it");
    }
    Ok(true)
}

/// Copies entries that wait for an operator to files of their own before they count as handled.
fn set_aside(shared: &Shared, reason: Aside) -> io::Result<()> {
    let mut left = shared.handover.take_aside(reason);
    while !left.is_empty() {
        let taken = &left[..left.len().min(aside::PER_FILE)];
        let fetched = shared.fetch(taken.to_vec());
        let envelopes: Vec<_> = fetched.entries.iter().map(|(_, envelope)| envelope.clone()).collect();
        let written = if fetched.failed {
            Err(io::Error::other("entries to set aside cannot be read"))
        } else {
            aside::write(&shared.disk, &shared.config.dir, reason, &fetched.keys, &envelopes)
        };
        if written.is_err() {
            shared.handover.put_back_aside(reason, left.iter().map(|entry| entry.tag.place));
            return written;
        }
        match reason {
            Aside::Stale => tracing::warn!(count = envelopes.len(), "entries older than the horizon were set aside"),
            Aside::Refused => tracing::error!(count = envelopes.len(), "entries that the store refuses were set aside"),
        }
        shared.health.aside(reason).fetch_add(envelopes.len() as u64, Ordering::Relaxed);
        shared.handover.settle(taken.iter().map(|entry| entry.tag.place));
        left.drain(..left.len().min(aside::PER_FILE));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::support::{Rig, deliver, messages, tidy};
    use super::*;
    use crate::Disk;

    #[tokio::test]
    async fn a_dropped_segment_is_remembered_that_the_watermark_on_the_disk_does_not_speak_of() {
        let rig = Rig::new();
        let journal = rig.open();
        journal.append(messages(0..20)).await.expect("stored");
        deliver(&journal, 20).await;
        tidy(&journal);
        let disk = Disk::Simulated(rig.sim.clone());
        let saved = Watermark::load(&disk, &rig.config.dir).expect("powered");
        assert!(saved.is_some_and(|saved| saved.seq > 0), "{saved:?}");
        // All of these are confirmed, and nothing on the disk says so when the power goes.
        journal.append(messages(20..300)).await.expect("stored");
        deliver(&journal, 280).await;
        let mut dropped = 0;
        while drop_one(journal.shared(), saved, |_| true).expect("the disk works") {
            dropped += 1;
        }
        if let Some(saved) = saved {
            saved.save(&disk, &rig.config.dir).expect("powered");
        }
        assert!(dropped > 1, "{dropped}");
        let (_, report) = rig.after_power_cut(1).open_with_report();
        assert_eq!(report.damaged, 0, "what was dropped is not missing");
    }
}
