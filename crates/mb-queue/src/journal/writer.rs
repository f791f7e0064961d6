//! The one thread that writes: it takes everything that waits, writes it as one group, syncs once, and answers all of it.
//!
//! There are no timers: a lone entry is written at once, and while a sync is under way the next group gathers by itself. A
//! write or sync that fails is final for its segment, because the kernel may have dropped the pages and would report the
//! next sync of them as a success; those who waited are told, and the next segment is opened.

mod group;
mod work;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use mb_core::{KeyId, MessageId};

use super::Shared;
use super::format::{self, DATA_START};
use super::handover::Published;
use super::inbox::Call;
use super::segment::Segment;
use crate::error::AppendError;

use group::{Group, Known, Stop};
use work::Work;

/// The segment being written.
struct Active {
    segment: Arc<Segment>,
    /// Where the next group starts.
    offset: u64,
    next_seq: u64,
    /// Keys that stand in it.
    keys: Vec<KeyId>,
}

/// The state of the writing thread.
struct Writer<'a> {
    shared: &'a Shared,
    active: Option<Active>,
    /// The last sequence that is durable anywhere.
    durable_seq: u64,
    arrived: VecDeque<Call>,
    work: VecDeque<Work>,
    group: Group,
}

/// Writes until the inbox is closed and empty.
pub(super) fn run(shared: &Shared, durable_seq: u64) {
    let mut writer = Writer {
        shared,
        active: None,
        durable_seq,
        arrived: VecDeque::new(),
        work: VecDeque::new(),
        group: Group::default(),
    };
    while writer.gather() {
        match writer.turn() {
            Ok(()) => {}
            Err(error) => writer.refuse_all(error),
        }
    }
    if let Some(active) = writer.active.take() {
        active.segment.marks().sealed = true;
    }
}

impl Writer<'_> {
    /// Takes over what arrived, once all that arrived before is done; so what waits stays bounded. `false` at the end.
    fn gather(&mut self) -> bool {
        if self.work.is_empty() {
            if !self.shared.inbox.drain(&mut self.arrived) {
                return false;
            }
            self.work.extend(self.arrived.drain(..).map(Work::new));
        }
        true
    }

    /// Writes one group.
    fn turn(&mut self) -> Result<(), AppendError> {
        if self.active.is_none() {
            self.active = Some(self.next_segment()?);
        }
        let Some(active) = &mut self.active else { return Ok(()) };
        let shared = self.shared;
        let stop = self.group.fill(&mut self.work, active, |id| stored(shared, id));
        if self.group.has_frames() {
            match self.commit() {
                Ok(depth) => {
                    self.group.answer(&mut self.work, depth);
                    // Only now: who waits for an answer comes before who carries messages on.
                    self.shared.handover.announce();
                }
                Err(error) => self.fail(&error),
            }
        } else {
            self.group.answer(&mut self.work, 0);
        }
        if stop == Stop::SegmentFull {
            self.seal();
        }
        Ok(())
    }

    fn next_segment(&self) -> Result<Active, AppendError> {
        let taken = self.shared.supply.take(&self.shared.table);
        self.shared.keeper.ring();
        let segment = match taken {
            Ok(segment) => segment,
            Err(error) => {
                self.shared.health.full.set(error == AppendError::Full);
                return Err(error);
            }
        };
        self.shared.health.full.set(false);
        segment.marks().follows = Some(self.durable_seq);
        let next_seq = segment.first_seq();
        Ok(Active { segment, offset: DATA_START, next_seq, keys: Vec::new() })
    }

    /// Writes and syncs the group and makes its entries known. Returns how many entries were unconfirmed before it.
    fn commit(&mut self) -> io::Result<u64> {
        let Some(active) = &mut self.active else { return Err(io::ErrorKind::NotFound.into()) };
        let bytes = self.group.finish(active.segment.seed, active.offset, self.durable_seq);
        let end = active.offset + bytes.len() as u64;
        active.segment.file.write_all_at(bytes, active.offset)?;
        let started = Instant::now();
        active.segment.file.sync_data()?;
        self.shared.fsync.add(started.elapsed());
        self.shared.health.write_failed.clear();

        let segment = &active.segment;
        segment.index_all(self.group.index_entries());
        for (id, offset, key) in self.group.new_keys() {
            segment.marks().keys.push((id, offset));
            self.shared.keys.add(id, key);
            active.keys.push(id);
        }
        let next_seq = active.next_seq + self.group.len() as u64;
        let published = Published { segment, start: active.offset, end, next_seq };
        let depth = self.shared.handover.publish(&published, self.group.loaded());
        self.durable_seq = next_seq - 1;
        active.next_seq = next_seq;
        active.offset = end;
        Ok(depth)
    }

    fn fail(&mut self, error: &io::Error) {
        let is_full = error.kind() == io::ErrorKind::StorageFull;
        self.shared.health.full.set(is_full);
        if self.shared.health.write_failed.raise() {
            tracing::error!(error = %error, "journal cannot be written");
        }
        Group::refuse(&mut self.work, if is_full { AppendError::Full } else { AppendError::Failed });
        self.seal();
    }

    /// Ends the active segment; nothing touches it again but reads.
    fn seal(&mut self) {
        if let Some(active) = self.active.take() {
            active.segment.marks().sealed = true;
            self.shared.keeper.ring();
        }
    }

    fn refuse_all(&mut self, error: AppendError) {
        self.work.drain(..).for_each(|work| work.refuse(error));
    }
}

/// Tag and time of a message with an idempotency key that is in the journal already.
fn stored(shared: &Shared, id: MessageId) -> Option<Known> {
    let (_, stored) = shared.lookup(id)?;
    Some((stored.tag, format::Label::of(&stored.body)?.queued_at))
}
