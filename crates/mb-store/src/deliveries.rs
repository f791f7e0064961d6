//! Deliveries: each a message on its way to one destination.
//!
//! A delivery waits until it is due, is leased, tried, reported, and in the end final. While it is leased its due time is
//! the lease's end, so a lease that ends makes it due again by itself: one index over due times finds what is to be done,
//! and costs the same however many are scheduled for later. What a report changes depends on the lease that it names. All
//! times are the database's, which every holder shares.

mod administering;
mod carrying;
mod explaining;
mod expunging;
mod figures;
mod finishing;
mod holding;
mod lanes;
mod leasing;
mod replaying;
mod reporting;
mod sweeping;

use std::sync::LazyLock;

use mb_core::{DeliveryState, DestinationId, LeaseId, MessageId, Timestamp};

use crate::backend::Transaction;
use crate::bulk::Bulk;
use crate::error::StoreError;
use crate::value::{Row, Value};

pub use administering::{Cancelled, Redriven, Retried, Retry};
pub use explaining::{DeliveryRow, StoredAttempt};
pub use expunging::MergedExpunged;
pub(crate) use expunging::among;
pub use figures::DestinationFigures;
pub use holding::Held;
pub use lanes::{DestinationLanes, Lane};
pub use leasing::{LEASE, LeaseAsk, Leased, Leasing, NextDue, Whose};
pub use replaying::{Replay, Replayed};
pub use reporting::{AttemptReport, Reported, Reporter, Reports};

#[cfg(test)]
pub(crate) use {
    carrying::HELD,
    finishing::OF_MESSAGES,
    leasing::TAKE,
    reporting::KNOWN,
    sweeping::{EXPIRED, OF_CLOSED},
};

/// Deliveries that were never tried.
pub(crate) const FRESH: i64 = 0;
/// Deliveries that were tried before.
pub(crate) const TRIED: i64 = 1;

/// A delivery to store with its message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewDelivery {
    /// The place of the message in its batch.
    pub message: usize,
    /// Where to.
    pub destination: DestinationId,
    /// How it begins.
    pub begin: Begin,
}

/// How a delivery begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Begin {
    /// It waits for its turn.
    Waiting,
    /// Whoever registers it has it at once.
    Leased {
        /// The lease.
        lease: LeaseId,
        /// Who holds it.
        holder: String,
    },
    /// It is given up at once, for this reason.
    Dead(&'static str),
}

static INSERT: LazyLock<Bulk<10>> = LazyLock::new(|| {
    Bulk::new(
        "deliveries (message_id, destination_id, state, lane, due_at, expires_at, lease_id, leased_by, last_error, \
         created_at)",
    )
});

/// A delivery with what its row takes from the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning<'a> {
    pub(crate) message: MessageIds<'a>,
    pub(crate) delivery: &'a NewDelivery,
}

/// What a delivery takes from its message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageIds<'a> {
    pub(crate) id: &'a MessageId,
    pub(crate) deliver_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Beginning<'_> {
    fn values(&self, now: Timestamp) -> [Value<'_>; 10] {
        let MessageIds { id, deliver_at, expires_at } = self.message;
        let due = deliver_at.map_or(now, |at| at.max(now));
        let (state, due, expiry) = match self.delivery.begin {
            Begin::Waiting => (DeliveryState::Open, Some(due), expires_at),
            Begin::Leased { .. } => (DeliveryState::Open, Some(now.plus(LEASE)), expires_at),
            Begin::Dead(_) => (DeliveryState::Dead, None, None),
        };
        let (lease, holder, error) = match &self.delivery.begin {
            Begin::Waiting => (Value::Null, Value::Null, Value::Null),
            Begin::Leased { lease, holder } => (Value::Blob(lease.as_bytes()), Value::Text(holder), Value::Null),
            Begin::Dead(reason) => (Value::Null, Value::Null, Value::Text(reason)),
        };
        [
            Value::Blob(id.as_bytes()),
            Value::Int(self.delivery.destination.get()),
            Value::Text(state.as_str()),
            Value::Int(FRESH),
            Value::time(due),
            Value::time(expiry),
            lease,
            holder,
            error,
            Value::Time(now),
        ]
    }
}

/// Inserts deliveries in the transaction of their messages.
pub(crate) async fn insert(
    tx: &mut Transaction,
    beginnings: &[Beginning<'_>],
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = beginnings.iter().map(|beginning| beginning.values(now)).collect::<Vec<_>>();
    INSERT.insert(tx, &rows).await
}

fn read_state(row: &Row, at: usize) -> Result<DeliveryState, StoreError> {
    DeliveryState::parse(row.text(at)?).ok_or(StoreError::Damaged("delivery state"))
}

fn read_lease(row: &Row, at: usize) -> Result<Option<LeaseId>, StoreError> {
    row.optional_blob(at)?.is_some().then(|| row.array(at).map(LeaseId::from_bytes)).transpose()
}
