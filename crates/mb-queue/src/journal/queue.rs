//! The embedded queue: workers lease entries straight from the journal's window.

use std::sync::Arc;

use tokio::time::Instant;

use super::handover::Claimable;
use super::lookup::Fetched;
use super::window::{Loss, Tag, Taken};
use super::{Journal, Shared};
use crate::queue::{Claim, Claimed, Entry};

/// Entries on their way to a worker; if the worker goes away meanwhile, they are claimable again at once.
struct OnTheWay<'a> {
    shared: &'a Shared,
    tags: Vec<Tag>,
}

impl Drop for OnTheWay<'_> {
    fn drop(&mut self) {
        if !self.tags.is_empty() {
            self.shared.handover.nack(&self.tags);
        }
    }
}

impl Journal {
    /// See [`crate::Queue::claim`].
    pub(crate) async fn claim(&self, max: Claim) -> Claimed {
        let shared = self.shared();
        loop {
            let mut ready = std::pin::pin!(shared.handover.ready());
            ready.as_mut().enable();
            let horizon = shared.clock.now().minus(shared.config.horizon);
            match shared.handover.claim(Instant::now().into_std(), max.entries.max(1), max.bytes, horizon) {
                Claimable::Entries(taken) => {
                    let claimed = self.fetch_taken(taken).await;
                    if !claimed.entries.is_empty() {
                        return claimed;
                    }
                }
                Claimable::WaitUntil(Some(at)) => {
                    // Either a ring or the end of a lease: what it was shows in the next round.
                    drop(tokio::time::timeout_at(Instant::from_std(at), ready).await);
                }
                Claimable::WaitUntil(None) => ready.await,
                Claimable::Closed => return Claimed::default(),
            }
        }
    }

    /// Claimed entries are in another queue now, as one unit; its number.
    pub(crate) fn forwarded(&self, now: std::time::Instant, tags: &[Tag]) -> u64 {
        self.shared().handover.forwarded(now, tags)
    }

    /// These units are not in the other queue any more.
    pub(crate) fn missing(&self, units: &[u64], loss: Loss) {
        self.shared().handover.missing(units, loss);
    }

    /// Those of the units that are not settled.
    pub(crate) fn open_units(&self, units: &[u64]) -> Vec<u64> {
        self.shared().handover.open_units(units)
    }

    async fn fetch_taken(&self, taken: Vec<Taken>) -> Claimed {
        let shared = self.shared();
        if taken.iter().all(|entry| entry.bytes.is_some()) {
            return shared.fetch(taken).into();
        }
        let mut on_the_way = OnTheWay { shared, tags: taken.iter().map(|entry| entry.tag).collect() };
        let reader = Arc::clone(shared);
        let fetched = tokio::task::spawn_blocking(move || reader.fetch(taken)).await;
        // What could not be read stays leased, so that it is tried again when the lease ends, not at once and forever.
        on_the_way.tags.clear();
        fetched.map(Claimed::from).unwrap_or_default()
    }

    pub(crate) fn ack(&self, tags: &[Tag]) {
        self.shared().handover.ack(tags);
    }

    pub(crate) fn ack_present(&self, epoch: [u8; 16], tags: &[Tag]) {
        self.shared().handover.ack_present(epoch, tags);
    }

    pub(crate) fn nack(&self, tags: &[Tag]) {
        self.shared().handover.nack(tags);
    }
}

impl From<Fetched> for Claimed {
    fn from(fetched: Fetched) -> Self {
        let entries = fetched.entries.into_iter();
        Self {
            entries: entries
                .map(|(handed, envelope)| Entry { tag: handed.tag, envelope, deliveries: handed.deliveries })
                .collect(),
            keys: fetched.keys,
        }
    }
}
