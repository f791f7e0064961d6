//! One group: the entries that one write and one sync make durable together, and the answers to those who wait for it.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use mb_core::{KeyId, MessageId, Timestamp};

use super::Active;
use super::work::Work;
use crate::error::AppendError;
use crate::journal::Appended;
use crate::journal::format::{Frame, GROUP_HEADER, GroupHeader, Kind, SECTOR, to_u32, to_usize};
use crate::journal::inbox::Incoming;
use crate::journal::window::Loaded;

/// A group takes entries up to this size, so that an answer never waits for more than this to be written.
const GROUP_BYTES: usize = 4 << 20;

/// Why a group takes no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    NothingLeft,
    GroupFull,
    SegmentFull,
}

/// Content tag and time of a message with an idempotency key.
pub(super) type Known = (Option<[u8; 16]>, Timestamp);

/// What a group decides about one entry.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Stored,
    Replayed(Timestamp),
    Conflict,
}

struct Planned {
    entry: Incoming,
    seq: u64,
    offset: u64,
}

/// The group being put together; its memory is used again.
#[derive(Default)]
pub(super) struct Group {
    bytes: Vec<u8>,
    planned: Vec<Planned>,
    verdicts: Vec<Verdict>,
    keys: Vec<(KeyId, u32, Bytes)>,
    tagged: HashMap<MessageId, Known>,
}

impl Group {
    /// Takes entries from the front of the work until a bound is reached. `stored` finds a message with an idempotency key
    /// in the journal.
    pub(super) fn fill(
        &mut self,
        work: &mut VecDeque<Work>,
        active: &Active,
        stored: impl Fn(MessageId) -> Option<Known>,
    ) -> Stop {
        self.clear();
        let room = active.segment.header.capacity - active.offset;
        for call in work.iter_mut() {
            while let Some(entry) = call.front() {
                if entry.tag.is_some()
                    && let Some(verdict) = self.known(entry, &stored)
                {
                    self.verdicts.push(verdict);
                    call.take();
                    continue;
                }
                let is_new_key = !active.keys.contains(&entry.key_id()) && self.is_new_key(entry);
                let size = self.bytes.len() + entry.size(is_new_key);
                if size.next_multiple_of(to_usize(SECTOR)) as u64 > room {
                    return Stop::SegmentFull;
                }
                if size > GROUP_BYTES && self.has_frames() {
                    return Stop::GroupFull;
                }
                if let Some(entry) = call.take() {
                    self.put(entry, is_new_key, active);
                }
            }
        }
        Stop::NothingLeft
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(GROUP_BYTES);
        self.bytes.resize(GROUP_HEADER, 0);
        self.planned.clear();
        self.verdicts.clear();
        self.keys.clear();
        self.tagged.clear();
    }

    fn known(&self, entry: &Incoming, stored: &impl Fn(MessageId) -> Option<Known>) -> Option<Verdict> {
        let (tag, queued_at) = self.tagged.get(&entry.id()).copied().or_else(|| stored(entry.id()))?;
        Some(if tag == entry.tag { Verdict::Replayed(queued_at) } else { Verdict::Conflict })
    }

    fn is_new_key(&self, entry: &Incoming) -> bool {
        !entry.key.is_empty() && !self.keys.iter().any(|(id, ..)| *id == entry.key_id())
    }

    fn put(&mut self, entry: Incoming, is_new_key: bool, active: &Active) {
        let seed = active.segment.seed;
        let seq = active.next_seq + self.planned.len() as u64;
        if is_new_key {
            let offset = to_u32(active.offset + self.bytes.len() as u64);
            Frame::put(&mut self.bytes, seed, seq, Kind::Key, [&entry.key, &[]]);
            self.keys.push((entry.key_id(), offset, entry.key.clone()));
        }
        let offset = active.offset + self.bytes.len() as u64;
        Frame::put(&mut self.bytes, seed, seq, entry.kind(), [entry.tag_bytes(), &entry.envelope]);
        if entry.tag.is_some() {
            self.tagged.insert(entry.id(), (entry.tag, entry.label.queued_at));
        }
        self.verdicts.push(Verdict::Stored);
        self.planned.push(Planned { entry, seq, offset });
    }

    /// Whether there is anything to write.
    pub(super) fn has_frames(&self) -> bool {
        !self.planned.is_empty()
    }

    /// How many entries it writes.
    pub(super) fn len(&self) -> usize {
        self.planned.len()
    }

    /// The bytes to write at `offset`: header, frames, padding.
    pub(super) fn finish(&mut self, seed: u32, offset: u64, follows: u64) -> &[u8] {
        let frames = to_u32((self.planned.len() + self.keys.len()) as u64);
        let header = GroupHeader { len: to_u32(self.bytes.len() as u64), frames, durable: offset, follows };
        self.bytes[..GROUP_HEADER].copy_from_slice(&header.encode(seed, offset));
        self.bytes.resize(self.bytes.len().next_multiple_of(to_usize(SECTOR)), 0);
        &self.bytes
    }

    pub(super) fn index_entries(&self) -> impl Iterator<Item = (MessageId, u32)> {
        self.planned.iter().map(|planned| (planned.entry.id(), to_u32(planned.offset)))
    }

    /// The keys that were not in the segment before, and where they are now.
    pub(super) fn new_keys(&self) -> impl Iterator<Item = (KeyId, u32, Bytes)> {
        self.keys.iter().cloned()
    }

    /// Its entries as the window takes them.
    pub(super) fn loaded(&mut self) -> impl ExactSizeIterator<Item = Loaded> {
        self.planned.drain(..).map(|Planned { entry, seq, offset }| Loaded {
            seq,
            id: entry.id(),
            queued_at: entry.label.queued_at,
            offset: to_u32(offset),
            len: to_u32((entry.tag_bytes().len() + entry.envelope.len()) as u64),
            replayed: entry.replayed,
            bytes: Some(entry.envelope),
        })
    }

    /// Answers every call that the group completed. `depth` is how many entries were unconfirmed before it.
    pub(super) fn answer(&mut self, work: &mut VecDeque<Work>, mut depth: u64) {
        let mut appended = self.verdicts.drain(..).map(|verdict| match verdict {
            Verdict::Stored => {
                depth += 1;
                Appended::Stored { depth }
            }
            Verdict::Replayed(queued_at) => Appended::Replayed { queued_at },
            Verdict::Conflict => Appended::Conflict,
        });
        while let Some(call) = work.front_mut().filter(|call| call.is_in_group()) {
            call.settle(&mut appended);
            if call.front().is_some() {
                break;
            }
            if let Some(call) = work.pop_front() {
                call.answer();
            }
        }
    }

    /// Refuses every call that had an entry in the group.
    pub(super) fn refuse(work: &mut VecDeque<Work>, error: AppendError) {
        while let Some(call) = work.pop_front_if(|call| call.is_in_group()) {
            call.refuse(error);
        }
    }
}
