//! The queue as workers see it: claim, then acknowledge or give back. It distributes; it is never the truth.
//!
//! Backends are the variants of one enum and share one contract suite.

#[cfg(test)]
mod contract;

use std::time::Duration;

use bytes::Bytes;

use crate::journal::Journal;
use crate::journal::window::Tag;
use crate::redis::RedisQueue;

/// Where workers get entries from.
#[derive(Clone, Debug)]
pub enum Queue {
    /// The journal of this process.
    Embedded(Journal),
    /// A stream on Redis.
    Redis(RedisQueue),
}

/// Bounds of one claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// The most entries.
    pub entries: usize,
    /// The most bytes of envelopes; one entry is given whatever its size.
    pub bytes: u64,
}

/// What a claim got.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Claimed {
    /// Leased entries; empty only when the queue is shut down.
    pub entries: Vec<Entry>,
    /// Every encoded signed key that these envelopes use, once. One that is lost is missing here.
    pub keys: Vec<Bytes>,
}

/// A leased entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// To acknowledge it with.
    pub tag: Tag,
    /// The encoded envelope.
    pub envelope: Bytes,
    /// How often it was claimed, this time included.
    pub deliveries: u32,
}

/// What a worker sees of its queue.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QueueFigures {
    /// What waits: units of one or more envelopes in Redis; embedded, entries that the store has not confirmed.
    pub depth: u64,
    /// For how long it cannot be used.
    pub failing_for: Duration,
    /// Units that each consumer has taken and not acknowledged; one process has no consumers to tell apart.
    pub pending: Vec<(String, u64)>,
}

impl Queue {
    /// What is seen of it; cheap.
    pub fn figures(&self) -> QueueFigures {
        match self {
            Self::Embedded(journal) => QueueFigures { depth: journal.status().depth, ..QueueFigures::default() },
            Self::Redis(queue) => {
                let health = queue.health();
                QueueFigures { depth: health.depth(), failing_for: health.failing_for(), pending: health.pending() }
            }
        }
    }

    /// Leases entries to a worker. Waits, without polling, until there is at least one, and returns at once what there is.
    /// Safe to cancel: what was on its way is claimable again.
    pub async fn claim(&self, worker: &str, max: Claim) -> Claimed {
        match self {
            Self::Embedded(journal) => {
                let claimed = journal.claim(max).await;
                tracing::trace!(worker, entries = claimed.entries.len(), "claimed");
                claimed
            }
            Self::Redis(queue) => queue.claim(max).await,
        }
    }

    /// The store answered for these entries. A lease that is over changes nothing.
    #[expect(clippy::unused_async, reason = "a queue that confirms over the network would wait here")]
    pub async fn ack(&self, tags: &[Tag]) {
        match self {
            Self::Embedded(journal) => journal.ack(tags),
            Self::Redis(queue) => queue.ack(tags),
        }
    }

    /// As [`Queue::ack`], for entries of which the main server itself said, under this epoch of its store, that they are
    /// there. A queue that is the journal need not ask again; any other only acknowledges.
    #[expect(clippy::unused_async, reason = "a queue that confirms over the network would wait here")]
    pub async fn ack_present(&self, epoch: [u8; 16], tags: &[Tag]) {
        match self {
            Self::Embedded(journal) => journal.ack_present(epoch, tags),
            Self::Redis(queue) => queue.ack(tags),
        }
    }

    /// Gives entries back; they are claimable at once. A lease that is over changes nothing.
    #[expect(clippy::unused_async, reason = "a queue that confirms over the network would wait here")]
    pub async fn nack(&self, tags: &[Tag]) {
        match self {
            Self::Embedded(journal) => journal.nack(tags),
            Self::Redis(queue) => queue.nack(tags),
        }
    }
}
