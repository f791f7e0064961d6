//! What is leased, as its holder goes on: leases are prolonged while it works, and given back untried.

use std::collections::{BTreeMap, HashSet};

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
    ($set:literal $(, $and:literal)?) => {
        Dialects {
            sqlite: with_ids!(
                "UPDATE deliveries SET ",
                $set,
                " WHERE destination_id = ?4 AND lease_id = ?5 AND state = 'open' ",
                $($and,)?
                "AND message_id IN (SELECT wanted FROM ids)"
            ),
            mysql: concat!(
                "UPDATE deliveries SET ",
                $set,
                " WHERE destination_id = ?4 AND lease_id = ?5 AND state = 'open' ",
                $($and,)?
                "AND message_id IN (?1)"
            ),
        }
    };
}

/// Those who are sent to hold what they have while their destination is served. A consumer holds what it has itself, also
/// while nothing more is given out.
const PROLONG: Dialects = change_held!(
    "due_at = ?3",
    "AND (?6 IS NULL OR leased_by = ?6) \
     AND EXISTS (SELECT 1 FROM destinations WHERE destinations.id = destination_id AND is_live = 1 \
     AND (destinations.state = 'enabled' OR ?6 IS NOT NULL AND destinations.state = 'paused')) "
);
const RELEASE: Dialects = change_held!("due_at = ?3, lease_id = NULL, leased_by = NULL");

/// It is due when its time is over, so that nobody leases it and the next sweep ends it. Where the message bears no such
/// time it is due as if it had been released.
const EXPIRE: Dialects = change_held!(
    "expires_at = (SELECT messages.expires_at FROM messages WHERE messages.message_id = deliveries.message_id), \
     due_at = COALESCE((SELECT messages.expires_at FROM messages WHERE messages.message_id = deliveries.message_id), ?3), \
     lease_id = NULL, leased_by = NULL"
);

/// What [`PROLONG`] finds.
pub(crate) const HOLDS: Dialects = Dialects {
    sqlite: with_ids!(
        "SELECT message_id FROM deliveries WHERE destination_id = ?3 AND lease_id = ?4 AND state = 'open' \
         AND (?5 IS NULL OR leased_by = ?5) \
         AND EXISTS (SELECT 1 FROM destinations WHERE destinations.id = destination_id AND is_live = 1 \
         AND (destinations.state = 'enabled' OR ?5 IS NOT NULL AND destinations.state = 'paused')) \
         AND message_id IN (SELECT wanted FROM ids)"
    ),
    mysql: "SELECT message_id FROM deliveries WHERE destination_id = ?3 AND lease_id = ?4 AND state = 'open' \
            AND (?5 IS NULL OR leased_by = ?5) \
            AND EXISTS (SELECT 1 FROM destinations WHERE destinations.id = destination_id AND is_live = 1 \
            AND (destinations.state = 'enabled' OR ?5 IS NOT NULL AND destinations.state = 'paused')) \
            AND message_id IN (?1)",
};

/// A delivery that somebody holds: its destination, its lease, its message.
pub type Held = (DestinationId, LeaseId, MessageId);

/// A lease of a destination's deliveries.
pub(super) type LeaseOf = (DestinationId, LeaseId);

impl Store {
    /// Prolongs leases, as long as their destinations are served, of a consumer those alone that it holds itself; those that
    /// hold no more.
    pub async fn prolong_leases(&self, held: &[Held], consumer: Option<&str>) -> Result<Vec<Held>, StoreError> {
        retrying(move || self.prolong(held, consumer)).await
    }

    async fn prolong(&self, held: &[Held], consumer: Option<&str>) -> Result<Vec<Held>, StoreError> {
        let mut lost = Vec::new();
        let mut tx = self.backend().begin_leasing().await?;
        let until = tx.now(self.clock()).await?.plus(LEASE);
        for (lease, ids) in by_lease(held) {
            if prolong(&mut tx, lease, &ids, until, consumer).await? < ids.len() as u64 {
                let holds = holds(&mut tx, lease, &ids, consumer).await?;
                lost.extend(ids.into_iter().filter(|id| !holds.contains(id)).map(|id| (lease.0, lease.1, id)));
            }
        }
        tx.commit().await?;
        Ok(lost)
    }
}

/// Deliveries by the leases that they are held under.
pub(super) fn by_lease(held: &[Held]) -> BTreeMap<LeaseOf, Vec<MessageId>> {
    let mut groups = BTreeMap::<LeaseOf, Vec<MessageId>>::new();
    for (destination, lease, message) in held {
        groups.entry((*destination, *lease)).or_default().push(*message);
    }
    groups
}

/// How many of them are held on.
async fn prolong(
    tx: &mut Transaction,
    (destination, lease): LeaseOf,
    ids: &[MessageId],
    until: Timestamp,
    consumer: Option<&str>,
) -> Result<u64, StoreError> {
    let mut prolonged = 0;
    for chunk in ids.chunks(messages::IDS_PER_STATEMENT) {
        let [ids, count] = id_values(chunk);
        let (destination, lease) = (Value::Int(destination.get()), Value::Blob(lease.as_bytes()));
        let values = [ids, count, Value::Time(until), destination, lease, Value::text(consumer)];
        prolonged += tx.execute(PROLONG, values).await?;
    }
    Ok(prolonged)
}

/// Which of them are held.
async fn holds(
    tx: &mut Transaction,
    (destination, lease): LeaseOf,
    ids: &[MessageId],
    consumer: Option<&str>,
) -> Result<HashSet<MessageId>, StoreError> {
    let mut holds = HashSet::new();
    for chunk in ids.chunks(messages::IDS_PER_STATEMENT) {
        let [ids, count] = id_values(chunk);
        let (destination, lease) = (Value::Int(destination.get()), Value::Blob(lease.as_bytes()));
        for row in tx.fetch(HOLDS, [ids, count, destination, lease, Value::text(consumer)]).await? {
            holds.insert(row.message_id(0)?);
        }
    }
    Ok(holds)
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
