//! Removing a message's content for good, and keeping it out afterwards.
//!
//! Journals, queues and backups may still hold the message, as ciphertext, and offer it again: after a new epoch, or when
//! the row that stood for it is gone. So a tombstone stays for as long as an envelope may be offered at all, in the store
//! and, through the policy, at every proxy. From there it comes back if the store is put back to before it was set.

use std::collections::{BTreeMap, HashSet};

use mb_core::policy::HORIZON;
use mb_core::{DeliveryState, MessageId, Timestamp};
use serde_json::json;

use super::{finishing, sweeping};
use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::counters::Instance;
use crate::error::StoreError;
use crate::merging;
use crate::messages::{self, by_ids, id_values};
use crate::settings::{bump_destinations, bump_policy};
use crate::statement::Dialects;
use crate::value::Value;

/// The most tombstones that the policy carries, the newest; the store has them all.
const IN_POLICY: i64 = 10_000;

const HELD: &str = "SELECT (SELECT COUNT(*) FROM messages WHERE message_id = ?1) + \
                    (SELECT COUNT(*) FROM dead_letters WHERE message_id = ?1)";
const KNOWN: &str = "SELECT 1 FROM tombstones WHERE message_id = ?";
const NEWEST: &str = "SELECT message_id, expunged_at FROM tombstones WHERE expunged_at > ? \
                      ORDER BY expunged_at DESC LIMIT ?";
const AMONG: Dialects = by_ids!("SELECT message_id", "tombstones");
const SWEEP: Dialects = Dialects {
    sqlite: "DELETE FROM tombstones WHERE message_id IN \
             (SELECT message_id FROM tombstones WHERE expunged_at < ?1 ORDER BY expunged_at LIMIT ?2)",
    mysql: "DELETE FROM tombstones WHERE expunged_at < ?1 ORDER BY expunged_at LIMIT ?2",
};

/// What became of the expunged messages that a proxy told of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MergedExpunged {
    /// How many the store did not know as expunged.
    pub count: u64,
    /// Those of which it does not know, and does not until an epoch begins: nothing was changed.
    pub open: Vec<MessageId>,
}

impl Store {
    /// Removes a message's content: body, sender's hash, what receivers answered, what lies in dead letters. The row stays
    /// as long as any does; what waits is withdrawn. Whether there was one.
    pub async fn expunge_message(&self, id: MessageId, instance: &Instance, actor: &str) -> Result<bool, StoreError> {
        let mut tx = self.backend().begin().await?;
        let held = tx.fetch_optional(HELD, [Value::Blob(id.as_bytes())]).await?;
        if held.map(|row| row.int(0)).transpose()?.unwrap_or(0) == 0 {
            tx.rollback().await?;
            return Ok(false);
        }
        let now = tx.now(self.clock()).await?;
        remove(&mut tx, id, instance, now).await?;
        if tx.fetch_optional(KNOWN, [Value::Blob(id.as_bytes())]).await?.is_none() {
            bury(&mut tx, id, now).await?;
            bump_policy(&mut tx).await?;
        }
        audit::insert(&mut tx, &Change::new(self, actor, "message.expunge", &id.to_string())).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Removes again what a proxy knows as removed, if an epoch began lately. One that is too old to come in is passed over.
    pub async fn merge_expunged(
        &self,
        known: &BTreeMap<MessageId, Timestamp>,
        instance: &Instance,
        actor: &str,
    ) -> Result<MergedExpunged, StoreError> {
        let is_time = merging::is_time(self).await?;
        let mut merged = MergedExpunged::default();
        let mut tx = self.backend().begin().await?;
        let now = tx.now(self.clock()).await?;
        for (id, at) in known.iter().filter(|(_, at)| now.since(**at) < HORIZON) {
            if tx.fetch_optional(KNOWN, [Value::Blob(id.as_bytes())]).await?.is_some() {
                continue;
            }
            if !is_time {
                merged.open.push(*id);
                continue;
            }
            remove(&mut tx, *id, instance, now).await?;
            bury(&mut tx, *id, (*at).min(now)).await?;
            let object = id.to_string();
            let change = Change::new(self, actor, "message.expunge", &object);
            audit::insert(&mut tx, &change.detail(json!({ "reason": merging::REASON }))).await?;
            merged.count += 1;
        }
        if merged.count == 0 {
            tx.rollback().await?;
            return Ok(merged);
        }
        bump_policy(&mut tx).await?;
        tx.commit().await?;
        Ok(merged)
    }

    /// The newest tombstones, for the policy: those under which a copy may still come.
    pub(crate) async fn tombstones(&self) -> Result<BTreeMap<MessageId, Timestamp>, StoreError> {
        let since = self.backend().now(self.clock()).await?.minus(HORIZON);
        let values = [Value::Time(since), Value::Int(IN_POLICY)];
        let rows = self.backend().fetch(NEWEST, values).await?;
        rows.iter().map(|row| Ok((row.message_id(0)?, row.time(1)?))).collect()
    }

    /// Forgets at most `limit` tombstones that are too old to keep anything out; how many.
    pub async fn sweep_tombstones(&self, limit: u32) -> Result<u64, StoreError> {
        let mut tx = self.backend().begin_leasing().await?;
        let before = tx.now(self.clock()).await?.minus(HORIZON);
        let gone = tx.execute(SWEEP, [Value::Time(before), Value::Int(limit.into())]).await?;
        tx.commit().await?;
        Ok(gone)
    }
}

/// Which of these were removed for good, as this transaction sees it.
pub(crate) async fn among(tx: &mut Transaction, ids: &[MessageId]) -> Result<HashSet<MessageId>, StoreError> {
    let mut removed = HashSet::new();
    for chunk in ids.chunks(messages::IDS_PER_STATEMENT) {
        for row in tx.fetch(AMONG, id_values(chunk)).await? {
            removed.insert(row.message_id(0)?);
        }
    }
    Ok(removed)
}

async fn bury(tx: &mut Transaction, id: MessageId, at: Timestamp) -> Result<(), StoreError> {
    let values = [Value::Blob(id.as_bytes()), Value::Time(at)];
    tx.execute("INSERT INTO tombstones (message_id, expunged_at) VALUES (?, ?)", values).await.map(drop)
}

/// Withdraws what waits and empties what is there.
async fn remove(tx: &mut Transaction, id: MessageId, instance: &Instance, now: Timestamp) -> Result<(), StoreError> {
    let deliveries = finishing::deliveries_of(tx, &[id]).await?;
    if deliveries.values().any(|delivery| delivery.is_leased(now)) {
        // Whoever holds it asks at once what it holds no more.
        bump_destinations(tx).await?;
    }
    let open = deliveries.into_keys().collect::<Vec<_>>();
    sweeping::end(tx, &open, DeliveryState::Cancelled, None, instance, now).await?;
    let (key, empty) = (Value::Blob(id.as_bytes()), Value::Blob(&[]));
    let sql = "UPDATE messages SET encrypted_body = ?, sender_number_hashed = NULL WHERE message_id = ?";
    tx.execute(sql, [empty, key]).await?;
    tx.execute("UPDATE attempts SET answer = NULL WHERE message_id = ?", [key]).await?;
    tx.execute("UPDATE dead_letters SET envelope = ? WHERE message_id = ?", [empty, key]).await.map(drop)
}
