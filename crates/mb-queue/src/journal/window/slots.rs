//! The window's entries by their place, oldest first.
//!
//! Entries are confirmed nearly in their order, so a ring of neighbours holds them. One that stays open for long must not
//! hold all that come after it: when the ring gets much longer than what is open, open entries at its head move apart.

use std::collections::{BTreeMap, VecDeque};

use super::{Slot, State};

/// See the module.
#[derive(Debug)]
pub(super) struct Slots {
    ring: VecDeque<Slot>,
    /// The place of the ring's first slot; places are never used twice.
    base: u64,
    /// Open entries from before the ring.
    apart: BTreeMap<u64, Slot>,
    /// The most slots of the ring while there is something to move.
    longest: usize,
}

impl Slots {
    /// None yet; the first gets the place `base`.
    pub(super) fn new(base: u64, longest: usize) -> Self {
        Self { ring: VecDeque::new(), base, apart: BTreeMap::new(), longest: longest.max(1) }
    }

    /// The place that the next one gets.
    pub(super) fn next_place(&self) -> u64 {
        self.base + self.ring.len() as u64
    }

    pub(super) fn push(&mut self, slot: Slot) -> u64 {
        let place = self.next_place();
        self.ring.push_back(slot);
        place
    }

    pub(super) fn get(&mut self, place: u64) -> Option<&mut Slot> {
        match place.checked_sub(self.base) {
            Some(index) => self.ring.get_mut(usize::try_from(index).ok()?),
            None => self.apart.get_mut(&place),
        }
    }

    /// The oldest one that is open.
    pub(super) fn oldest(&self) -> Option<&Slot> {
        self.apart.values().next().or_else(|| self.ring.front())
    }

    /// Forgets what is confirmed and lies before everything open; call it after every confirmation.
    pub(super) fn trim(&mut self, confirmed: u64) {
        if confirmed < self.base {
            self.apart.remove(&confirmed);
        }
        while let Some(slot) = self.ring.front()
            && (slot.state == State::Confirmed || self.ring.len() > self.longest)
        {
            if let Some(slot) = self.ring.pop_front() {
                if slot.state != State::Confirmed {
                    self.apart.insert(self.base, slot);
                }
                self.base += 1;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn ring_len(&self) -> usize {
        self.ring.len()
    }

    /// Whether no entry with a sequence from `first` to before `next` is open.
    pub(super) fn is_settled(&self, first: u64, next: u64) -> bool {
        let from = self.ring.partition_point(|slot| slot.entry.seq < first);
        let near = self.ring.iter().skip(from).take_while(|slot| slot.entry.seq < next);
        let is_in = |slot: &&Slot| (first..next).contains(&slot.entry.seq);
        near.chain(self.apart.values().filter(is_in)).all(|slot| slot.state == State::Confirmed)
    }
}
