//! Which claims are open. One record per claim, not per entry, and it goes with the last entry given back: memory follows
//! what workers hold, not how much they have handled.

use std::collections::BTreeMap;
use std::time::Instant;

/// Open leases by number. A later number never ends earlier: every lease lasts equally long.
#[derive(Debug, Default)]
pub(super) struct Leases {
    last: u64,
    open: BTreeMap<u64, Lease>,
}

#[derive(Debug)]
struct Lease {
    end: Instant,
    places: Vec<u64>,
    held: usize,
}

impl Leases {
    /// The number of the lease that [`Leases::grant`] makes next.
    pub(super) fn next_id(&self) -> u64 {
        self.last + 1
    }

    pub(super) fn grant(&mut self, end: Instant, places: Vec<u64>) {
        self.last += 1;
        self.open.insert(self.last, Lease { end, held: places.len(), places });
    }

    /// One entry of a lease is no longer held.
    pub(super) fn give_back(&mut self, id: u64) {
        if let Some(lease) = self.open.get_mut(&id) {
            lease.held -= 1;
            if lease.held == 0 {
                self.open.remove(&id);
            }
        }
    }

    pub(super) fn first_end(&self) -> Option<Instant> {
        self.open.first_key_value().map(|(_, lease)| lease.end)
    }

    /// The oldest lease if its time is over, with every place it was granted for.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<(u64, Vec<u64>)> {
        let first = self.open.first_entry().filter(|entry| entry.get().end <= now)?;
        let (id, lease) = first.remove_entry();
        Some((id, lease.places))
    }

    /// No open leases, but numbers go on, so that an old tag never fits a new lease.
    pub(super) fn renewed(self) -> Self {
        Self { last: self.last, open: BTreeMap::new() }
    }
}
