//! What nobody leases any more: deliveries whose time is over, and those of destinations that are disabled or gone. In steps
//! small enough that no other change waits for one of them.

use mb_core::{DeliveryState, DestinationId, MessageId, Timestamp};

use super::finishing::{self, Change, Delivery};
use crate::Store;
use crate::backend::Transaction;
use crate::counters::Instance;
use crate::error::StoreError;
use crate::value::Value;

/// What is being sent right now decides by itself.
pub(crate) const EXPIRED: &str = "SELECT message_id, destination_id FROM deliveries WHERE expires_at <= ?1 \
     AND (lease_id IS NULL OR due_at <= ?1) ORDER BY expires_at LIMIT ?2";

/// One destination that takes nothing any more and has something that waits, and whether it was deleted.
pub(crate) const CLOSED: &str = "SELECT id, is_live FROM destinations WHERE (state = 'disabled' OR is_live IS NULL) \
     AND (EXISTS (SELECT 1 FROM deliveries WHERE destination_id = destinations.id AND lane = 0 AND due_at IS NOT NULL \
     AND (lease_id IS NULL OR due_at <= ?1)) \
     OR EXISTS (SELECT 1 FROM deliveries WHERE destination_id = destinations.id AND lane = 1 AND due_at IS NOT NULL \
     AND (lease_id IS NULL OR due_at <= ?1))) LIMIT 1";

pub(crate) const OF_CLOSED: &str = "SELECT message_id, destination_id FROM deliveries WHERE destination_id = ?3 \
     AND lane = ?4 AND due_at IS NOT NULL AND (lease_id IS NULL OR due_at <= ?1) ORDER BY due_at LIMIT ?2";

impl Store {
    /// Ends at most `limit` deliveries whose messages have expired; how many.
    pub async fn expire_deliveries(&self, instance: &Instance, limit: u32) -> Result<u64, StoreError> {
        let now = self.backend().now(self.clock()).await?;
        if self.backend().fetch(EXPIRED, [Value::Time(now), Value::Int(1)]).await?.is_empty() {
            return Ok(0);
        }
        let mut tx = self.backend().begin().await?;
        let rows = tx.fetch(EXPIRED, [Value::Time(now), Value::Int(limit.into())]).await?;
        let found = rows.iter().map(|row| Ok((row.message_id(0)?, DestinationId::new(row.int(1)?))));
        let found = found.collect::<Result<Vec<_>, StoreError>>()?;
        end(&mut tx, &found, DeliveryState::Expired, None, instance, now).await?;
        tx.commit().await?;
        Ok(found.len() as u64)
    }

    /// Gives up at most `limit` deliveries that wait for a destination that takes nothing any more; how many.
    pub async fn bury_deliveries(&self, instance: &Instance, limit: u32) -> Result<u64, StoreError> {
        let now = self.backend().now(self.clock()).await?;
        let Some(row) = self.backend().fetch_optional(CLOSED, [Value::Time(now)]).await? else { return Ok(0) };
        let reason = if row.optional_int(1)?.is_some() { "destination_disabled" } else { "destination_deleted" };
        let mut tx = self.backend().begin().await?;
        let mut found = Vec::new();
        for lane in [super::FRESH, super::TRIED] {
            let values = [Value::Time(now), Value::Int(limit.into()), Value::Int(row.int(0)?), Value::Int(lane)];
            for row in tx.fetch(OF_CLOSED, values).await? {
                found.push((row.message_id(0)?, DestinationId::new(row.int(1)?)));
            }
        }
        end(&mut tx, &found, DeliveryState::Dead, Some(reason), instance, now).await?;
        tx.commit().await?;
        Ok(found.len() as u64)
    }
}

/// Ends deliveries untried.
pub(super) async fn end(
    tx: &mut Transaction,
    these: &[(MessageId, DestinationId)],
    state: DeliveryState,
    reason: Option<&str>,
    instance: &Instance,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ids = these.iter().map(|(message, _)| *message).collect::<Vec<_>>();
    let mut deliveries = finishing::deliveries_of(tx, &ids).await?;
    let mut changes = Vec::with_capacity(these.len());
    for (message, destination) in these {
        let found = deliveries.get_mut(&(*message, *destination));
        // Reported, ended or, unless it is withdrawn, leased since it was looked for.
        let is_free = |delivery: &Delivery| state == DeliveryState::Cancelled || !delivery.is_leased(now);
        let Some(delivery) = found.filter(|delivery| !delivery.state.is_final() && is_free(delivery)) else {
            continue;
        };
        let error = reason.map(str::to_owned);
        let change =
            Change { message: *message, destination: *destination, tried: false, error, to: Some((state, None)) };
        change.apply_to(delivery);
        changes.push(change);
    }
    finishing::apply(tx, &changes, &deliveries, instance, now).await
}
