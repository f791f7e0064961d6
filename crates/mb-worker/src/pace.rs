//! When to claim: at once while little comes in, in larger batches while much does.
//!
//! A transaction that stores a thousand messages writes hardly more index pages than one that stores a hundred. So under
//! load claims keep a distance, in which a batch gathers; a lone message, and the first of a burst, is claimed at once.

use std::time::Duration;

use mb_queue::{Claim, Claimed};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Shared;

/// From so many entries in a claim on, the next one keeps its distance.
const MANY: usize = 64;
/// The distance: with the worst of it a message waits this much longer, at rates at which it waits for the disk anyway.
const DISTANCE: Duration = Duration::from_millis(20);
/// From so many entries in a claim on, the next one keeps a longer distance: at such rates the index pages are what storing
/// costs, and thrice the rows write them hardly more often.
const VERY_MANY: usize = 256;
/// The longer distance.
const LONG_DISTANCE: Duration = Duration::from_millis(60);
/// The most bytes of envelopes in one register call.
const MAX_BYTES: u64 = 2 << 20;

/// Shared by all loops of a worker, so that they take turns.
#[derive(Debug)]
pub(crate) struct Pace {
    not_before: Mutex<Instant>,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { not_before: Mutex::new(Instant::now()) }
    }

    /// The next batch. Safe to cancel.
    pub(crate) async fn claim(&self, shared: &Shared) -> Claimed {
        let most = Claim { entries: shared.config.batch, bytes: MAX_BYTES };
        let mut not_before = self.not_before.lock().await;
        tokio::time::sleep_until(*not_before).await;
        let claimed = shared.queue.claim(&shared.config.name, most).await;
        // A full batch leaves no reason to wait: there is more than one call can carry.
        match claimed.entries.len() {
            count if count >= most.entries => {}
            VERY_MANY.. => *not_before = Instant::now() + LONG_DISTANCE,
            MANY.. => *not_before = Instant::now() + DISTANCE,
            _ => {}
        }
        claimed
    }
}
