//! What is leased, as its holder goes on: leases are prolonged while it works, and given back untried.

use mb_core::{DestinationId, LeaseId, MessageId, Timestamp};

use super::leasing::LEASE;
use crate::Store;
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::messages::{self, id_values, with_ids};
use crate::retrying::retrying;
use crate::statement::Dialects;
use crate::value::Value;

macro_rules! change_held {
    ($set:literal) => {
        Dialects {
            sqlite: with_ids!(
                "UPDATE deliveries SET ",
                $set,
                " WHERE destination_id = ?4 AND lease_id = ?5 AND state = 'open' \
                 AND message_id IN (SELECT wanted FROM ids)"
            ),
            mysql: concat!(
                "UPDATE deliveries SET ",
                $set,
                " WHERE destination_id = ?4 AND lease_id = ?5 AND state = 'open' AND message_id IN (?1)"
            ),
        }
    };
}

const PROLONG: Dialects = change_held!("due_at = ?3");
const RELEASE: Dialects = change_held!("due_at = ?3, lease_id = NULL, leased_by = NULL");

/// It is due when its time is over, so that nobody leases it and the next sweep ends it. Where the message bears no such
/// time it is due as if it had been released.
const EXPIRE: Dialects = change_held!(
    "expires_at = (SELECT messages.expires_at FROM messages WHERE messages.message_id = deliveries.message_id), \
     due_at = COALESCE((SELECT messages.expires_at FROM messages WHERE messages.message_id = deliveries.message_id), ?3), \
     lease_id = NULL, leased_by = NULL"
);

/// A lease of a destination's deliveries.
pub(super) type LeaseOf = (DestinationId, LeaseId);

impl Store {
    /// Prolongs leases; those that ended meanwhile stay ended if another holds them.
    pub async fn prolong_leases(
        &self,
        destination: DestinationId,
        lease: LeaseId,
        ids: &[MessageId],
    ) -> Result<(), StoreError> {
        retrying(move || self.prolong((destination, lease), ids)).await
    }

    async fn prolong(&self, lease: LeaseOf, ids: &[MessageId]) -> Result<(), StoreError> {
        let mut tx = self.backend().begin_leasing().await?;
        let until = tx.now(self.clock()).await?.plus(LEASE);
        change(&mut tx, PROLONG, lease, ids, until).await?;
        tx.commit().await
    }
}

/// Gives leased deliveries back untried: they are due then.
pub(super) async fn release(
    tx: &mut Transaction,
    lease: LeaseOf,
    ids: &[MessageId],
    due: Timestamp,
) -> Result<(), StoreError> {
    change(tx, RELEASE, lease, ids, due).await.map(drop)
}

/// Gives leased deliveries back whose time is over.
pub(super) async fn expire(
    tx: &mut Transaction,
    lease: LeaseOf,
    ids: &[MessageId],
    due: Timestamp,
) -> Result<(), StoreError> {
    change(tx, EXPIRE, lease, ids, due).await.map(drop)
}

/// How many of them it still held.
async fn change(
    tx: &mut Transaction,
    sql: Dialects,
    (destination, lease): LeaseOf,
    ids: &[MessageId],
    due: Timestamp,
) -> Result<u64, StoreError> {
    let mut changed = 0;
    for chunk in ids.chunks(messages::IDS_PER_STATEMENT) {
        let [ids, count] = id_values(chunk);
        let (destination, lease) = (Value::Int(destination.get()), Value::Blob(lease.as_bytes()));
        changed += tx.execute(sql, [ids, count, Value::Time(due), destination, lease]).await?;
    }
    Ok(changed)
}
