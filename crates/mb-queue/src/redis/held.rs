//! What a worker holds of the stream: a pure state machine.
//!
//! Units are claimed from Redis as a whole and handed out envelope by envelope. A unit is settled when each of its envelopes
//! is acked or given back, and only while its lease lasts; afterwards it is somebody else's.
//!
//! Redis knows units only as a whole, and one of which a part is dealt with goes back as it is: to put the rest into the
//! stream as a unit of its own needs memory, which Redis may not have. What was dealt with is remembered here and not handed out
//! again; another worker registers it once more, and the store knows it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::progress::Progress;
use super::unit;
use crate::journal::window::Tag;
use crate::queue::{Claim, Claimed, Entry};

/// What is to be told to Redis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Settled {
    /// The unit is dealt with.
    Done(String),
    /// The unit goes to whoever wants it, unless its lease ends first.
    Back(String, Instant),
}

impl Settled {
    pub(super) fn is_back(&self) -> bool {
        matches!(self, Self::Back(..))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Held {
    lease: Duration,
    last: u64,
    /// By number, which is the order of their leases' ends.
    units: BTreeMap<u64, Unit>,
    /// Units of which something was not handed out yet.
    waiting: VecDeque<u64>,
    /// Of units that went back.
    progress: Progress,
}

#[derive(Debug)]
struct Unit {
    id: String,
    keys: Vec<Bytes>,
    envelopes: Vec<Bytes>,
    marks: Vec<Mark>,
    /// Envelopes without a mark.
    open: usize,
    /// The first open envelope that was not handed out.
    next: usize,
    taken: Instant,
    deliveries: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mark {
    Open,
    Acked,
    Back,
}

impl Held {
    pub(super) fn new(lease: Duration) -> Self {
        Self { lease, last: 0, units: BTreeMap::new(), waiting: VecDeque::new(), progress: Progress::default() }
    }

    /// Takes a unit that Redis gave, the how-manieth time. How many envelopes it has; what is no unit, or
    /// an empty one, is done with.
    pub(super) fn put(&mut self, now: Instant, id: String, bytes: Vec<u8>, deliveries: u32) -> Result<usize, Settled> {
        self.expire(now);
        let Some((keys, envelopes)) = unit::decode(bytes).filter(|(_, envelopes)| !envelopes.is_empty()) else {
            return Err(Settled::Done(id));
        };
        let count = envelopes.len();
        let mut marks = vec![Mark::Open; count];
        for place in self.progress.take(&id, count) {
            if let Some(mark) = marks.get_mut(place) {
                *mark = Mark::Acked;
            }
        }
        let open = marks.iter().filter(|mark| **mark == Mark::Open).count();
        let mut unit = Unit { id, keys, envelopes, marks, open, next: 0, taken: now, deliveries };
        unit.skip_acked();
        self.last += 1;
        self.waiting.push_back(self.last);
        self.units.insert(self.last, unit);
        Ok(count)
    }

    pub(super) fn holds(&self, id: &str) -> bool {
        self.units.values().any(|unit| unit.id == id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// Whether there are envelopes that were not handed out.
    pub(super) fn has_waiting(&self) -> bool {
        self.waiting.iter().any(|number| self.units.contains_key(number))
    }

    /// Hands out envelopes until either bound is reached; one is given whatever its size. Units that waited for a quarter of
    /// their lease go back instead: what is left of it would not be enough.
    pub(super) fn claim(&mut self, now: Instant, max: Claim, settled: &mut Vec<Settled>) -> Claimed {
        self.expire(now);
        let mut claimed = Claimed::default();
        let mut size = 0;
        while claimed.entries.len() < max.entries.max(1) {
            let Some(&number) = self.waiting.front() else { break };
            let Some(unit) = self.units.get_mut(&number) else {
                self.waiting.pop_front();
                continue;
            };
            if unit.taken + self.lease / 4 <= now {
                self.waiting.pop_front();
                self.give_back_rest(number, settled);
                continue;
            }
            let envelope = unit.envelopes[unit.next].clone();
            size += envelope.len() as u64;
            if size > max.bytes && !claimed.entries.is_empty() {
                break;
            }
            for key in &unit.keys {
                if !claimed.keys.contains(key) {
                    claimed.keys.push(key.clone());
                }
            }
            let tag = Tag { place: unit.next as u64, lease: number };
            claimed.entries.push(Entry { tag, envelope, deliveries: unit.deliveries });
            unit.next += 1;
            unit.skip_acked();
            if unit.next == unit.envelopes.len() {
                self.waiting.pop_front();
            }
        }
        claimed
    }

    /// The store answered for these.
    pub(super) fn ack(&mut self, now: Instant, tags: &[Tag], settled: &mut Vec<Settled>) {
        self.mark(now, tags, Mark::Acked, settled);
    }

    /// Others may have these.
    pub(super) fn give_back(&mut self, now: Instant, tags: &[Tag], settled: &mut Vec<Settled>) {
        self.mark(now, tags, Mark::Back, settled);
    }

    /// Gives back what was not handed out.
    pub(super) fn give_back_waiting(&mut self, settled: &mut Vec<Settled>) {
        for number in std::mem::take(&mut self.waiting) {
            self.give_back_rest(number, settled);
        }
    }

    fn give_back_rest(&mut self, number: u64, settled: &mut Vec<Settled>) {
        let Some(unit) = self.units.get_mut(&number) else { return };
        for mark in unit.marks.iter_mut().skip(unit.next).filter(|mark| **mark == Mark::Open) {
            *mark = Mark::Back;
            unit.open -= 1;
        }
        self.settle(number, settled);
    }

    fn mark(&mut self, now: Instant, tags: &[Tag], mark: Mark, settled: &mut Vec<Settled>) {
        self.expire(now);
        for tag in tags {
            let Some(unit) = self.units.get_mut(&tag.lease) else { continue };
            let place = usize::try_from(tag.place).unwrap_or(usize::MAX);
            if let Some(held) = unit.marks.get_mut(place).filter(|held| **held == Mark::Open) {
                *held = mark;
                unit.open -= 1;
                self.settle(tag.lease, settled);
            }
        }
    }

    /// Lets go of a unit if nothing of it is open.
    fn settle(&mut self, number: u64, settled: &mut Vec<Settled>) {
        if self.units.get(&number).is_none_or(|unit| unit.open > 0) {
            return;
        }
        let Some(unit) = self.units.remove(&number) else { return };
        settled.push(if unit.marks.iter().all(|mark| *mark == Mark::Acked) {
            Settled::Done(unit.id)
        } else {
            self.progress.remember(&unit.id, unit.marks.len(), unit.acked());
            Settled::Back(unit.id, unit.taken + self.lease)
        });
    }

    /// Lets go of units whose lease is over.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(first) = self.units.first_entry()
            && first.get().taken + self.lease <= now
        {
            let unit = first.remove();
            self.progress.remember(&unit.id, unit.marks.len(), unit.acked());
        }
    }
}

impl Unit {
    /// The places of what was dealt with.
    fn acked(&self) -> Vec<usize> {
        let places = self.marks.iter().enumerate();
        places.filter(|(_, mark)| **mark == Mark::Acked).map(|(place, _)| place).collect()
    }

    fn skip_acked(&mut self) {
        while self.marks.get(self.next) == Some(&Mark::Acked) {
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tests::support::{ALL, NOW, envelope, id, ids, ids_of, signed_key};

    const LEASE: Duration = Duration::from_mins(1);

    fn unit_of(range: std::ops::Range<u32>) -> Vec<u8> {
        let envelopes: Vec<_> = range.map(|n| envelope(id(n), NOW, 1, 10)).collect();
        unit::encode(envelopes.iter(), &[signed_key(1)])
    }

    fn held(now: Instant) -> Held {
        let mut held = Held::new(LEASE);
        assert_eq!(held.put(now, "1-0".to_owned(), unit_of(0..4), 1), Ok(4));
        assert_eq!(held.put(now, "2-0".to_owned(), unit_of(4..5), 3), Ok(1));
        held
    }

    fn tags(claimed: &Claimed) -> Vec<Tag> {
        claimed.entries.iter().map(|entry| entry.tag).collect()
    }

    #[test]
    fn a_unit_is_done_when_all_of_it_is() {
        let (now, mut settled) = (Instant::now(), Vec::new());
        let mut held = held(now);
        let all = held.claim(now, ALL, &mut settled);
        assert_eq!((ids_of(&all), all.keys.len()), (ids(0..5), 1));
        assert_eq!(all.entries.iter().map(|entry| entry.deliveries).collect::<Vec<_>>(), [1, 1, 1, 1, 3]);
        held.ack(now, &tags(&all)[..3], &mut settled);
        assert!(settled.is_empty());
        held.ack(now, &tags(&all)[2..], &mut settled);
        assert_eq!(settled, ["1-0", "2-0"].map(|id| Settled::Done(id.to_owned())));
        assert!(held.is_empty());
    }

    #[test]
    fn a_unit_goes_back_whole_and_only_its_rest_is_handed_out_again() {
        let (now, mut settled) = (Instant::now(), Vec::new());
        let mut held = held(now);
        let all = tags(&held.claim(now, ALL, &mut settled));
        held.give_back(now, &all[4..], &mut settled);
        assert_eq!(settled, [Settled::Back("2-0".to_owned(), now + LEASE)]);
        held.ack(now, &[all[0], all[2]], &mut settled);
        held.give_back(now, &[all[1], all[3]], &mut settled);
        assert_eq!(settled.pop(), Some(Settled::Back("1-0".to_owned(), now + LEASE)));
        assert_eq!(held.put(now, "1-0".to_owned(), unit_of(0..4), 2), Ok(4));
        let rest = held.claim(now, ALL, &mut settled);
        assert_eq!(ids_of(&rest), [id(1), id(3)]);
        settled.clear();
        held.ack(now, &tags(&rest), &mut settled);
        assert_eq!(settled, [Settled::Done("1-0".to_owned())]);
    }

    #[test]
    fn what_was_dealt_with_before_a_lease_ended_is_not_handed_out_again() {
        let (now, mut settled) = (Instant::now(), Vec::new());
        let mut held = held(now);
        let all = tags(&held.claim(now, ALL, &mut settled));
        held.ack(now, &all[..3], &mut settled);
        assert_eq!(held.put(now + LEASE, "1-0".to_owned(), unit_of(0..4), 2), Ok(4));
        assert_eq!(ids_of(&held.claim(now + LEASE, ALL, &mut settled)), [id(3)]);
        assert!(settled.is_empty());
    }

    #[test]
    fn a_lease_that_is_over_changes_nothing() {
        let (now, mut settled) = (Instant::now(), Vec::new());
        let mut held = held(now);
        let all = tags(&held.claim(now, ALL, &mut settled));
        held.ack(now + LEASE, &all, &mut settled);
        held.give_back(now + LEASE, &all, &mut settled);
        assert!(settled.is_empty() && held.is_empty());
    }

    #[test]
    fn what_waited_too_long_goes_back_instead_of_out() {
        let (now, mut settled) = (Instant::now(), Vec::new());
        let mut held = held(now);
        let one = held.claim(now, Claim { entries: 1, bytes: 1 }, &mut settled);
        let none = held.claim(now + LEASE / 4, ALL, &mut settled);
        assert!(none.entries.is_empty());
        assert_eq!(settled, [Settled::Back("2-0".to_owned(), now + LEASE)]);
        held.ack(now + LEASE / 4, &tags(&one), &mut settled);
        assert_eq!(settled.last(), Some(&Settled::Back("1-0".to_owned(), now + LEASE)));
    }

    #[test]
    fn what_is_no_unit_is_done_with() {
        let mut held = Held::new(LEASE);
        let refused = held.put(Instant::now(), "1-0".to_owned(), b"nonsense".to_vec(), 1);
        assert_eq!(refused, Err(Settled::Done("1-0".to_owned())));
        assert!(held.is_empty());
    }
}
