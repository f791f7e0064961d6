//! What people do about deliveries: withdraw a message, have it tried now, send again what was given up. Each change is one
//! transaction with its audit row; what was tried stays as it is, and what a message says of its time goes on to hold.

use std::collections::BTreeMap;

use mb_core::{ClientName, DeliveryState, DestinationId, DomainName, MessageId, MessageState, Timestamp};
use serde_json::json;

use super::{finishing, sweeping};
use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::counters::{Additions, Instance};
use crate::dead_letters;
use crate::error::StoreError;
use crate::messages::{self, id_values, with_ids};
use crate::statement::Dialects;
use crate::value::Value;

/// What came of a withdrawal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cancelled {
    /// It is withdrawn.
    Done,
    /// There is no such message.
    Missing,
    /// It is final.
    Final(MessageState),
    /// It was tried, or is being tried.
    InDelivery,
}

/// What is tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Retried {
    /// Deliveries that waited for a later time.
    pub hastened: u64,
    /// Deliveries that had been given up.
    pub redriven: u64,
}

/// What came of having a message tried now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// So much of it is tried.
    Done(Retried),
    /// There is no such message.
    Missing,
    /// It was to be delivered by then.
    Expired(Timestamp),
}

/// What was given up and is, or is not, tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Redriven {
    /// Deliveries that are open again.
    pub sent: u64,
    /// Deliveries that stay given up, because their time is over.
    pub expired: u64,
}

/// What was given up or taken, with the time by which it was to be. What was expunged is never sent again.
const REOPENABLE: Dialects = Dialects {
    sqlite: with_ids!(
        "SELECT deliveries.message_id, messages.expires_at FROM ids CROSS JOIN deliveries \
         ON deliveries.message_id = wanted JOIN messages ON messages.message_id = wanted \
         WHERE destination_id = ?3 AND state <> 'open' AND length(encrypted_body) > 0"
    ),
    mysql: "SELECT deliveries.message_id, messages.expires_at FROM deliveries \
            JOIN messages ON messages.message_id = deliveries.message_id \
            WHERE destination_id = ?3 AND state <> 'open' AND length(encrypted_body) > 0 \
            AND deliveries.message_id IN (?1) FOR UPDATE",
};

/// A delivery that is open again waits for the times that its message bears.
macro_rules! reopen {
    ($of:literal) => {
        concat!(
            "UPDATE deliveries SET state = 'open', lane = 0, attempts = 0, finished_at = NULL, lease_id = NULL, \
             leased_by = NULL, \
             due_at = (SELECT CASE WHEN deliver_at > ?3 THEN deliver_at ELSE ?3 END FROM messages \
             WHERE messages.message_id = deliveries.message_id), \
             expires_at = (SELECT messages.expires_at FROM messages \
             WHERE messages.message_id = deliveries.message_id) \
             WHERE destination_id = ?4 AND state <> 'open' AND message_id IN ",
            $of
        )
    };
}

const REOPEN: Dialects = Dialects { sqlite: with_ids!(reopen!("(SELECT wanted FROM ids)")), mysql: reopen!("(?1)") };

macro_rules! reopen_messages {
    ($of:literal) => {
        concat!(
            "UPDATE messages SET status = 'processing', failed_at = NULL WHERE status = 'failed' AND message_id IN ",
            $of
        )
    };
}

const REOPEN_MESSAGES: Dialects =
    Dialects { sqlite: with_ids!(reopen_messages!("(SELECT wanted FROM ids)")), mysql: reopen_messages!("(?1)") };

/// Dead letters of deliveries.
const OF_DELIVERIES: &str =
    "SELECT message_id, destination_id FROM dead_letters WHERE destination_id IS NOT NULL AND id = ?";

const HASTEN: &str =
    "UPDATE deliveries SET due_at = ?1 WHERE message_id = ?2 AND state = 'open' AND due_at > ?1 AND lease_id IS NULL";
const STANDS: &str =
    "SELECT status, domain, client_id, delivered_at, expires_at, deliver_at FROM messages WHERE message_id = ?";

impl Store {
    /// Withdraws a message, if it is `client`'s where one is given, and nothing of it was tried.
    pub async fn cancel_message(
        &self,
        id: MessageId,
        client: Option<&ClientName>,
        instance: &Instance,
        actor: &str,
    ) -> Result<Cancelled, StoreError> {
        let mut tx = self.backend().begin().await?;
        let outcome = self.cancel(&mut tx, id, client, instance, actor).await?;
        if outcome == Cancelled::Done {
            tx.commit().await?;
        } else {
            tx.rollback().await?;
        }
        Ok(outcome)
    }

    async fn cancel(
        &self,
        tx: &mut Transaction,
        id: MessageId,
        client: Option<&ClientName>,
        instance: &Instance,
        actor: &str,
    ) -> Result<Cancelled, StoreError> {
        let key = Value::Blob(id.as_bytes());
        let Some(row) = tx.fetch_optional(STANDS, [key]).await? else { return Ok(Cancelled::Missing) };
        let owner = row.client(2)?;
        if client.is_some_and(|client| *client != owner) {
            return Ok(Cancelled::Missing);
        }
        let now = tx.now(self.clock()).await?;
        let status = MessageState::parse(row.text(0)?).ok_or(StoreError::Damaged("message status"))?;
        let deliveries = finishing::deliveries_of(tx, &[id]).await?;
        let mut counters = Additions::default();
        let domain = row.domain(1)?;
        // What nothing waits for is stored as delivered at a later time, and is queued until then, also if it is to be sent
        // to a destination that came after it.
        let waits = status == MessageState::Delivered && row.time(3)? > now;
        let is_under_way = deliveries.values().any(|delivery| is_under_way(delivery, now));
        let open = deliveries.into_keys().collect::<Vec<_>>();
        if waits && !is_under_way {
            sweeping::end(tx, &open, DeliveryState::Cancelled, None, instance, now).await?;
            tx.execute("UPDATE messages SET status = 'cancelled', delivered_at = NULL WHERE message_id = ?", [key])
                .await?;
            counters.withdrawn(instance, &domain, now);
            counters.finished(instance, &domain, MessageState::Cancelled, now);
            counters.write(tx).await?;
        } else if status.is_final() {
            return Ok(Cancelled::Final(status));
        } else if is_under_way {
            return Ok(Cancelled::InDelivery);
        } else {
            sweeping::end(tx, &open, DeliveryState::Cancelled, None, instance, now).await?;
        }
        let detail = json!({ "client": owner, "domain": domain });
        audit::insert(tx, &Change::new(self, actor, "message.cancel", &id.to_string()).detail(detail)).await?;
        Ok(Cancelled::Done)
    }

    /// Has a message tried now: what waits for a later time, and what had been given up.
    pub async fn retry_message(&self, id: MessageId, instance: &Instance, actor: &str) -> Result<Retry, StoreError> {
        let mut tx = self.backend().begin().await?;
        let outcome = self.retry(&mut tx, id, instance, actor).await?;
        if matches!(outcome, Retry::Done(_)) {
            tx.commit().await?;
        } else {
            tx.rollback().await?;
        }
        Ok(outcome)
    }

    async fn retry(
        &self,
        tx: &mut Transaction,
        id: MessageId,
        instance: &Instance,
        actor: &str,
    ) -> Result<Retry, StoreError> {
        let key = Value::Blob(id.as_bytes());
        let Some(row) = tx.fetch_optional(STANDS, [key]).await? else { return Ok(Retry::Missing) };
        let now = tx.now(self.clock()).await?;
        let is_taken = MessageState::parse(row.text(0)?) == Some(MessageState::Delivered);
        if let Some(at) = row.optional_time(4)?.filter(|at| *at <= now && !is_taken) {
            return Ok(Retry::Expired(at));
        }
        // What a message says of its time goes on to hold.
        let due = row.optional_time(5)?.map_or(now, |at| at.max(now));
        let hastened = tx.execute(HASTEN, [Value::Time(due), key]).await?;
        let deliveries = finishing::deliveries_of(tx, &[id]).await?;
        let dead = deliveries.into_iter().filter(|(_, delivery)| delivery.state == DeliveryState::Dead);
        let dead = dead.map(|(key, _)| key).collect::<Vec<_>>();
        let redriven = redrive(tx, &dead, instance, now).await?.sent;
        let detail = json!({ "hastened": hastened, "redriven": redriven });
        audit::insert(tx, &Change::new(self, actor, "message.retry", &id.to_string()).detail(detail)).await?;
        Ok(Retry::Done(Retried { hastened, redriven }))
    }

    /// Sends again what was given up and stands for these dead letters.
    pub async fn redrive_dead_letters(
        &self,
        letters: &[i64],
        instance: &Instance,
        actor: &str,
    ) -> Result<Redriven, StoreError> {
        let mut tx = self.backend().begin().await?;
        let now = tx.now(self.clock()).await?;
        let mut dead = Vec::new();
        for id in letters {
            if let Some(row) = tx.fetch_optional(OF_DELIVERIES, [Value::Int(*id)]).await? {
                dead.push((row.message_id(0)?, DestinationId::new(row.int(1)?)));
            }
        }
        let redriven = redrive(&mut tx, &dead, instance, now).await?;
        let detail = json!({ "letters": letters, "redriven": redriven.sent });
        audit::insert(&mut tx, &Change::new(self, actor, "dead_letter.redrive", "dead letters").detail(detail)).await?;
        tx.commit().await?;
        Ok(redriven)
    }
}

fn is_under_way(delivery: &finishing::Delivery, now: Timestamp) -> bool {
    let leased = delivery.lease.is_some() && delivery.due.is_some_and(|until| until > now);
    delivery.attempts > 0 || leased || delivery.state != DeliveryState::Open
}

/// Opens deliveries that were given up, and their messages with them; their dead letters go. Only where the destination
/// still takes messages: otherwise they would be given up again at once.
pub(super) async fn redrive(
    tx: &mut Transaction,
    dead: &[(MessageId, DestinationId)],
    instance: &Instance,
    now: Timestamp,
) -> Result<Redriven, StoreError> {
    let mut groups = BTreeMap::<DestinationId, Vec<MessageId>>::new();
    for (message, destination) in dead {
        groups.entry(*destination).or_default().push(*message);
    }
    let mut redriven = Redriven::default();
    let mut domains: Vec<(DomainName, u64)> = Vec::new();
    for (destination, ids) in groups {
        let sql = "SELECT domain FROM destinations WHERE id = ? AND is_live = 1 AND state <> 'disabled'";
        let Some(row) = tx.fetch_optional(sql, [Value::Int(destination.get())]).await? else { continue };
        let reopened = reopen(tx, destination, &ids, now).await?;
        redriven.sent += reopened.ids.len() as u64;
        redriven.expired += reopened.expired;
        let mut messages = 0;
        for chunk in reopened.ids.chunks(messages::IDS_PER_STATEMENT) {
            messages += tx.execute(REOPEN_MESSAGES, id_values(chunk)).await?;
        }
        domains.push((row.domain(0)?, messages));
    }
    let mut counters = Additions::default();
    for (domain, messages) in &domains {
        for _ in 0..*messages {
            counters.reopened(instance, domain, now);
        }
    }
    counters.write(tx).await?;
    Ok(redriven)
}

/// Deliveries that were opened.
pub(super) struct Reopened {
    pub(super) ids: Vec<MessageId>,
    /// How many were not, because their time is over.
    pub(super) expired: u64,
}

/// Opens deliveries to one destination that are final, if their time is not over; their dead letters go.
pub(super) async fn reopen(
    tx: &mut Transaction,
    destination: DestinationId,
    ids: &[MessageId],
    now: Timestamp,
) -> Result<Reopened, StoreError> {
    let mut reopened = Reopened { ids: Vec::with_capacity(ids.len()), expired: 0 };
    let to = Value::Int(destination.get());
    for chunk in ids.chunks(messages::IDS_PER_STATEMENT) {
        let [ids, count] = id_values(chunk);
        let mut these = Vec::with_capacity(chunk.len());
        for row in tx.fetch(REOPENABLE, [ids, count, to]).await? {
            if row.optional_time(1)?.is_some_and(|at| at <= now) {
                reopened.expired += 1;
            } else {
                these.push(row.message_id(0)?);
            }
        }
        if these.is_empty() {
            continue;
        }
        let [ids, count] = id_values(&these);
        tx.execute(REOPEN, [ids, count, Value::Time(now), to]).await?;
        dead_letters::remove_deliveries(tx, &these, destination).await?;
        reopened.ids.extend(these);
    }
    Ok(reopened)
}
