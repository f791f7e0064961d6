//! The state of every entry between the watermark and the last one handed over: a pure state machine.
//!
//! ```text
//!            ask: lacking              claim               ack               ask: there
//! Unknown ------------------> Ready ----------> Leased ----------> Acked -----------------> Confirmed
//!    |  ask: there              ^  nack, expiry   |                  | ask: lacking
//!    +----> Confirmed           +-----------------+                  v
//!                               +------------------------------- Delayed   (not before reforward_after since the claim)
//!
//! Leased -- forwarded --> Forwarded -- ask: there --> Confirmed
//!                             | ask: lacking, and lost (`forwards`), not before reforward_after since the claim
//!                             +--> Ready
//! Ready, older than the horizon, or lacking again and again: Aside, until it is set aside; then Confirmed.
//! ```
//!
//! Workers of this process ack what they claimed. A forwarder claims as they do and then says that the entries are in
//! another queue: from there nobody reports back, so the store is asked about them until it has them or they are lost.
//!
//! The watermark is the first entry that is not confirmed. An answer that the store has an entry holds in any state. Times
//! are parameters. Cost per entry is constant, and only the entries of the window are in memory; only open ones count
//! against its bounds, so that a single one that nobody takes does not hold up the rest.

mod confirming;
mod forwards;
mod lease;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mb_core::{MessageId, Timestamp};

use super::aside::Aside;
use forwards::Forwards;
pub(crate) use forwards::Loss;
use lease::Leases;
use slots::Slots;

/// An entry that the store lacked so often after a worker was done with it...
const REFUSALS: u32 = 10;
/// ...over at least this time is set aside.
const REFUSED_FOR: Duration = Duration::from_mins(1);
/// The ring of slots is at most so many times as long as what may be open.
const SPREAD: usize = 2;

/// An entry's place in this process's hand-over order. It means nothing after a restart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Seq(pub(crate) u64);

/// What a worker gives back to acknowledge an entry: valid until its lease ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tag {
    pub(crate) place: u64,
    pub(crate) lease: u64,
}

/// An entry as it comes from the disk or from the writer.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) seq: u64,
    pub(crate) id: MessageId,
    pub(crate) queued_at: Timestamp,
    /// Where its frame starts in its segment.
    pub(crate) offset: u32,
    /// Length of the frame's payload.
    pub(crate) len: u32,
    /// The envelope, if it is at hand.
    pub(crate) bytes: Option<Bytes>,
    /// An operator wants it forwarded whatever its age.
    pub(crate) replayed: bool,
}

/// An entry as it goes to a worker, or aside.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) tag: Tag,
    pub(crate) seq: u64,
    pub(crate) offset: u32,
    pub(crate) len: u32,
    pub(crate) bytes: Option<Bytes>,
    pub(crate) deliveries: u32,
}

/// Bounds of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) entries: usize,
    pub(crate) bytes: u64,
    /// Bytes of envelopes that may wait in memory for a claim; others are read again.
    pub(crate) resident: u64,
    pub(crate) lease: Duration,
    pub(crate) reforward_after: Duration,
    /// See [`crate::JournalConfig::passed_after`].
    pub(crate) passed_after: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Unknown,
    Ready,
    Leased(u64),
    Acked,
    /// In another queue, in this unit.
    Forwarded(u64),
    Delayed,
    /// To be set aside.
    Aside(Aside),
    Confirmed,
}

#[derive(Debug)]
struct Slot {
    entry: Loaded,
    state: State,
    deliveries: u32,
    claimed: Option<Instant>,
    asked: bool,
    refusals: u32,
    /// When the store lacked it for the first time after a worker was done with it.
    first_refused: Option<Instant>,
}

/// The entries from the watermark to the last one loaded.
#[derive(Debug)]
pub(crate) struct Window {
    limits: Limits,
    slots: Slots,
    next_seq: u64,
    open: u64,
    bytes: u64,
    resident: u64,
    ready: VecDeque<u64>,
    to_ask: VecDeque<u64>,
    asked: Vec<u64>,
    delayed: BTreeSet<(Instant, u64)>,
    aside: Vec<(Aside, u64)>,
    leases: Leases,
    forwards: Forwards,
}

impl Window {
    /// An empty window; the next entry to load has at least this sequence.
    pub(crate) fn new(limits: Limits, next_seq: u64) -> Self {
        Self {
            limits,
            slots: Slots::new(0, limits.entries.saturating_mul(SPREAD)),
            next_seq,
            open: 0,
            bytes: 0,
            resident: 0,
            ready: VecDeque::new(),
            to_ask: VecDeque::new(),
            asked: Vec::new(),
            delayed: BTreeSet::new(),
            aside: Vec::new(),
            leases: Leases::default(),
            forwards: Forwards::new(limits.passed_after),
        }
    }

    /// The lowest sequence that is not confirmed.
    pub(crate) fn watermark(&self) -> u64 {
        self.slots.oldest().map_or(self.next_seq, |slot| slot.entry.seq)
    }

    /// The sequence after the last one loaded.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Entries that are not confirmed.
    pub(crate) fn open(&self) -> u64 {
        self.open
    }

    /// When the oldest unconfirmed entry was accepted.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.slots.oldest().map(|slot| slot.entry.queued_at)
    }

    /// How many entries and bytes may be loaded; one entry always fits into an empty window.
    pub(crate) fn room(&self) -> (usize, u64) {
        let entries = self.limits.entries.saturating_sub(usize::try_from(self.open).unwrap_or(usize::MAX));
        let bytes = self.limits.bytes.saturating_sub(self.bytes);
        if self.open == 0 { (entries.max(1), bytes.max(1)) } else { (entries, bytes) }
    }

    pub(crate) fn has_room(&self) -> bool {
        let (entries, bytes) = self.room();
        entries > 0 && bytes > 0
    }

    /// Adds the next entry. An unknown one is asked for before it is handed over.
    pub(crate) fn load(&mut self, mut entry: Loaded, is_unknown: bool) {
        self.next_seq = entry.seq + 1;
        self.open += 1;
        self.bytes += u64::from(entry.len);
        if self.resident >= self.limits.resident {
            entry.bytes = None;
        }
        self.resident += entry.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let (state, queue) =
            if is_unknown { (State::Unknown, &mut self.to_ask) } else { (State::Ready, &mut self.ready) };
        let slot = Slot { entry, state, deliveries: 0, claimed: None, asked: false, refusals: 0, first_refused: None };
        queue.push_back(self.slots.push(slot));
    }

    /// The sequences below are dealt with: they were confirmed before, or are lost.
    pub(crate) fn skip_to(&mut self, seq: u64) {
        self.next_seq = self.next_seq.max(seq);
    }

    /// Empties the window, so that it starts again at a sequence. Whatever was leased is no longer.
    pub(crate) fn rewind(&mut self, next_seq: u64) {
        let slots = Slots::new(self.slots.next_place(), self.limits.entries.saturating_mul(SPREAD));
        let leases = std::mem::take(&mut self.leases).renewed();
        let forwards = self.forwards.renewed();
        *self = Self { slots, leases, forwards, ..Self::new(self.limits, next_seq) };
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(crate) fn has_questions(&self) -> bool {
        !self.to_ask.is_empty()
    }

    /// When something becomes claimable by itself.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let delayed = self.delayed.first().map(|(at, _)| *at);
        [delayed, self.leases.first_end()].into_iter().flatten().min()
    }

    /// Takes claimable entries, oldest first, until either bound is reached; one entry is taken whatever its size. Those
    /// accepted before `horizon` go aside.
    pub(crate) fn claim(&mut self, now: Instant, entries: usize, bytes: u64, horizon: Timestamp) -> Vec<Taken> {
        self.expire(now);
        let mut taken: Vec<Taken> = Vec::with_capacity(entries.min(self.ready.len()));
        let mut size = 0;
        let lease = self.leases.next_id();
        while taken.len() < entries {
            let Some(&place) = self.ready.front() else { break };
            let Some(slot) = self.slots.get(place).filter(|slot| slot.state == State::Ready) else {
                self.ready.pop_front();
                continue;
            };
            if slot.entry.queued_at < horizon && !slot.entry.replayed {
                slot.state = State::Aside(Aside::Stale);
                self.aside.push((Aside::Stale, place));
                self.ready.pop_front();
                continue;
            }
            size += u64::from(slot.entry.len);
            if size > bytes && !taken.is_empty() {
                break;
            }
            self.ready.pop_front();
            slot.state = State::Leased(lease);
            slot.deliveries = slot.deliveries.saturating_add(1);
            slot.claimed = Some(now);
            let taken_bytes = slot.entry.bytes.take();
            self.resident -= taken_bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
            taken.push(slot.taken(Tag { place, lease }, taken_bytes));
        }
        if !taken.is_empty() {
            self.leases.grant(now + self.limits.lease, taken.iter().map(|entry| entry.tag.place).collect());
        }
        taken
    }

    /// Ends leases whose time is over and delays that have passed.
    fn expire(&mut self, now: Instant) {
        while let Some((lease, places)) = self.leases.pop_expired(now) {
            for place in places {
                self.release(Tag { place, lease });
            }
        }
        while let Some(&(at, place)) = self.delayed.first()
            && at <= now
        {
            self.delayed.pop_first();
            if let Some(slot) = self.slot(place).filter(|slot| slot.state == State::Delayed) {
                slot.state = State::Ready;
                self.ready.push_back(place);
            }
        }
    }

    /// The worker is done with an entry; a lease that is over changes nothing.
    pub(crate) fn ack(&mut self, tag: Tag) {
        if let Some(slot) = self.slot(tag.place).filter(|slot| slot.state == State::Leased(tag.lease)) {
            slot.state = State::Acked;
            self.to_ask.push_back(tag.place);
            self.leases.give_back(tag.lease);
        }
    }

    /// As [`Window::ack`], and the store is known to have the entry: nothing is left to ask.
    pub(crate) fn ack_present(&mut self, tag: Tag) {
        if self.slot(tag.place).is_some_and(|slot| slot.state == State::Leased(tag.lease)) {
            self.settle(tag.place);
        }
    }

    /// The worker gives an entry back; a lease that is over changes nothing.
    pub(crate) fn nack(&mut self, tag: Tag) {
        if self.release(tag) {
            self.leases.give_back(tag.lease);
        }
    }

    fn release(&mut self, tag: Tag) -> bool {
        let Some(slot) = self.slot(tag.place).filter(|slot| slot.state == State::Leased(tag.lease)) else {
            return false;
        };
        slot.state = State::Ready;
        self.ready.push_back(tag.place);
        true
    }

    /// The entries that have to be set aside for a reason; each is given out once.
    pub(crate) fn take_aside(&mut self, reason: Aside) -> Vec<Taken> {
        let mut taken = Vec::new();
        for (_, place) in self.aside.extract_if(.., |(why, _)| *why == reason) {
            if let Some(slot) = self.slots.get(place).filter(|slot| slot.state == State::Aside(reason)) {
                let bytes = slot.entry.bytes.clone();
                taken.push(slot.taken(Tag { place, lease: 0 }, bytes));
            }
        }
        taken
    }

    /// Entries that could not be set aside now are tried again.
    pub(crate) fn put_back_aside(&mut self, reason: Aside, places: impl Iterator<Item = u64>) {
        self.aside.extend(places.map(|place| (reason, place)));
    }

    /// Whether the window has been past these sequences, from the first to before the second, and none of them is open.
    pub(crate) fn is_settled(&self, first: u64, next: u64) -> bool {
        next <= self.next_seq && self.slots.is_settled(first, next)
    }

    fn slot(&mut self, place: u64) -> Option<&mut Slot> {
        self.slots.get(place)
    }
}

impl Slot {
    fn is_question(&self) -> bool {
        matches!(self.state, State::Unknown | State::Acked | State::Forwarded(_))
    }

    fn taken(&self, tag: Tag, bytes: Option<Bytes>) -> Taken {
        let Loaded { seq, offset, len, .. } = self.entry;
        Taken { tag, seq, offset, len, bytes, deliveries: self.deliveries }
    }
}
