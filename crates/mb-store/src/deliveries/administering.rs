//! What people do about deliveries: withdraw a message, have it tried now, send again what was given up or taken. Each
//! change is one transaction with its audit row; what was tried stays as it is.

use std::collections::BTreeSet;

use mb_core::{ClientName, DeliveryState, DestinationId, DomainName, MessageId, MessageState, Timestamp, TopicGlob};
use serde_json::json;

use super::finishing::{self, Deliveries};
use super::{Begin, Beginning, MessageIds, NewDelivery, sweeping};
use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::counters::{Additions, Instance};
use crate::dead_letters;
use crate::destinations::DestinationRow;
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

/// Which messages to send again to a destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replay {
    /// Accepted not before.
    pub since: Timestamp,
    /// Accepted before.
    pub until: Timestamp,
    /// About these; `None`: all that the destination takes.
    pub topics: Option<TopicGlob>,
    /// This one alone.
    pub message: Option<MessageId>,
    /// Whether it is only counted.
    pub dry_run: bool,
    /// Behind this place.
    pub after: Option<(Timestamp, MessageId)>,
}

/// What was sent again by one step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Replayed {
    /// Messages that were looked at.
    pub looked_at: u64,
    /// Messages that are, or would be, sent.
    pub sent: u64,
    /// Where the next step begins; `None`: this was the last.
    pub next: Option<(Timestamp, MessageId)>,
}

/// Messages of one step of a replay.
const STEP: usize = 500;

pub(crate) const OF_TIME: &str = "SELECT message_id, client_id, topic, queued_at, expires_at, key_id FROM messages \
     WHERE domain = ?1 AND queued_at >= ?2 AND queued_at < ?3 AND (queued_at > ?2 OR message_id > ?4) \
     AND length(encrypted_body) > 0 ORDER BY queued_at, message_id LIMIT ?5";

/// What was expunged is never sent again.
macro_rules! reopen {
    ($of:literal) => {
        concat!(
            "UPDATE deliveries SET state = 'open', due_at = ?3, lane = 0, attempts = 0, finished_at = NULL, \
             lease_id = NULL, leased_by = NULL WHERE destination_id = ?4 AND state <> 'open' \
             AND EXISTS (SELECT 1 FROM messages WHERE messages.message_id = deliveries.message_id \
             AND length(encrypted_body) > 0) AND message_id IN ",
            $of
        )
    };
}

const REOPEN: Dialects = Dialects { sqlite: with_ids!(reopen!("(SELECT wanted FROM ids)")), mysql: reopen!("(?1)") };

const REOPEN_MESSAGE: &str =
    "UPDATE messages SET status = 'processing', failed_at = NULL WHERE message_id = ? AND status = 'failed'";
const HASTEN: &str = "UPDATE deliveries SET due_at = ?1 WHERE message_id = ?2 AND state = 'open' AND due_at > ?1 \
                      AND (lease_id IS NULL OR due_at <= ?1)";
const STANDS: &str = "SELECT status, domain, client_id, delivered_at FROM messages WHERE message_id = ?";

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
        // What nothing waits for is stored as delivered at a later time, and is queued until then.
        if status == MessageState::Delivered && deliveries.is_empty() && row.time(3)? > now {
            tx.execute("UPDATE messages SET status = 'cancelled', delivered_at = NULL WHERE message_id = ?", [key])
                .await?;
            counters.withdrawn(instance, &domain, now);
            counters.finished(instance, &domain, MessageState::Cancelled, now);
            counters.write(tx).await?;
        } else if status.is_final() {
            return Ok(Cancelled::Final(status));
        } else if deliveries.values().any(|delivery| is_under_way(delivery, now)) {
            return Ok(Cancelled::InDelivery);
        } else {
            let open = deliveries.into_keys().collect::<Vec<_>>();
            sweeping::end(tx, &open, DeliveryState::Cancelled, None, instance, now).await?;
        }
        let detail = json!({ "client": owner, "domain": domain });
        audit::insert(tx, &Change::new(self, actor, "message.cancel", &id.to_string()).detail(detail)).await?;
        Ok(Cancelled::Done)
    }

    /// Has a message tried now: what waits for a later time, and what had been given up. `None` if there is none.
    pub async fn retry_message(
        &self,
        id: MessageId,
        instance: &Instance,
        actor: &str,
    ) -> Result<Option<Retried>, StoreError> {
        let mut tx = self.backend().begin().await?;
        if tx.fetch_optional(STANDS, [Value::Blob(id.as_bytes())]).await?.is_none() {
            tx.rollback().await?;
            return Ok(None);
        }
        let now = tx.now(self.clock()).await?;
        let hastened = tx.execute(HASTEN, [Value::Time(now), Value::Blob(id.as_bytes())]).await?;
        let deliveries = finishing::deliveries_of(&mut tx, &[id]).await?;
        let dead = deliveries.into_iter().filter(|(_, delivery)| delivery.state == DeliveryState::Dead);
        let dead = dead.map(|(key, _)| key).collect::<Vec<_>>();
        let redriven = redrive(&mut tx, &dead, instance, now).await?;
        let retried = Retried { hastened, redriven };
        let detail = json!({ "hastened": hastened, "redriven": redriven });
        audit::insert(&mut tx, &Change::new(self, actor, "message.retry", &id.to_string()).detail(detail)).await?;
        tx.commit().await?;
        Ok(Some(retried))
    }

    /// Sends again what was given up and stands for these dead letters; how many there were that could be.
    pub async fn redrive_dead_letters(
        &self,
        letters: &[i64],
        instance: &Instance,
        actor: &str,
    ) -> Result<u64, StoreError> {
        let mut tx = self.backend().begin().await?;
        let now = tx.now(self.clock()).await?;
        let mut dead = Vec::new();
        for id in letters {
            let sql = "SELECT message_id, destination_id FROM dead_letters WHERE id = ? AND destination_id IS NOT NULL";
            if let Some(row) = tx.fetch_optional(sql, [Value::Int(*id)]).await? {
                dead.push((row.message_id(0)?, DestinationId::new(row.int(1)?)));
            }
        }
        let redriven = redrive(&mut tx, &dead, instance, now).await?;
        let detail = json!({ "letters": letters, "redriven": redriven });
        audit::insert(&mut tx, &Change::new(self, actor, "dead_letter.redrive", "dead letters").detail(detail)).await?;
        tx.commit().await?;
        Ok(redriven)
    }

    /// Sends messages again to a destination, one step of them. What a message stands at does not change by it.
    pub async fn replay(
        &self,
        destination: &DestinationRow,
        replay: &Replay,
        actor: &str,
    ) -> Result<Replayed, StoreError> {
        let route = &destination.route;
        let (from, behind) = replay.after.map_or((replay.since, None), |(at, id)| (at, Some(id)));
        // Before the first id at the first moment, so that it is included.
        let behind = behind.as_ref().map_or(&[][..], |id| id.as_bytes().as_slice());
        let values = [
            Value::Text(route.domain.as_str()),
            Value::Time(from),
            Value::Time(replay.until),
            Value::Blob(behind),
            Value::unsigned(STEP as u64),
        ];
        let now = self.backend().now(self.clock()).await?;
        let rows = self.backend().fetch(OF_TIME, values).await?;
        let mut replayed = Replayed { looked_at: rows.len() as u64, ..Replayed::default() };
        let mut ids = Vec::new();
        for row in &rows {
            let header = mb_core::Header {
                message_id: row.message_id(0)?,
                client: row.client(1)?,
                topic: row.topic(2)?,
                queued_at: row.time(3)?,
                expires_at: row.optional_time(4)?,
                key_id: row.key_id(5)?,
                domain: route.domain.clone(),
                deliver_at: None,
            };
            let wanted = replay.topics.as_ref().is_none_or(|glob| glob.matches(header.topic.as_str()))
                && replay.message.is_none_or(|id| id == header.message_id);
            if wanted && route.matches(&header) && header.expires_at.is_none_or(|at| at > now) {
                ids.push((header.message_id, header.expires_at));
            }
            replayed.next = (rows.len() == STEP).then_some((header.queued_at, header.message_id));
        }
        replayed.sent = ids.len() as u64;
        if !replay.dry_run && !ids.is_empty() {
            let sent = self.send_again(route.id, &ids, actor).await?;
            replayed.sent = sent;
        }
        Ok(replayed)
    }

    async fn send_again(
        &self,
        destination: DestinationId,
        these: &[(MessageId, Option<Timestamp>)],
        actor: &str,
    ) -> Result<u64, StoreError> {
        let mut tx = self.backend().begin().await?;
        let now = tx.now(self.clock()).await?;
        let ids = these.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        let present: Deliveries = finishing::deliveries_of(&mut tx, &ids).await?;
        let is_there = |id: &MessageId| present.contains_key(&(*id, destination));
        let mut sent = reopen(&mut tx, destination, &ids, now).await?;
        let new = NewDelivery { message: 0, destination, begin: Begin::Waiting };
        let absent = these.iter().filter(|(id, _)| !is_there(id)).map(|(id, expires_at)| Beginning {
            message: MessageIds { id, deliver_at: None, expires_at: *expires_at },
            delivery: &new,
        });
        let absent = absent.collect::<Vec<_>>();
        super::insert(&mut tx, &absent, now).await?;
        sent += absent.len() as u64;
        for id in present.keys().filter(|(_, to)| *to == destination) {
            dead_letters::remove_delivery(&mut tx, id.0, destination).await?;
        }
        let object = destination.to_string();
        let detail = json!({ "sent": sent, "first": ids.first(), "last": ids.last() });
        audit::insert(&mut tx, &Change::new(self, actor, "destination.replay", &object).detail(detail)).await?;
        tx.commit().await?;
        Ok(sent)
    }
}

fn is_under_way(delivery: &finishing::Delivery, now: Timestamp) -> bool {
    let leased = delivery.lease.is_some() && delivery.due.is_some_and(|until| until > now);
    delivery.attempts > 0 || leased || delivery.state != DeliveryState::Open
}

/// Opens deliveries that were given up, and their messages with them; their dead letters go. Only where the destination
/// still takes messages: otherwise they would be given up again at once.
async fn redrive(
    tx: &mut Transaction,
    dead: &[(MessageId, DestinationId)],
    instance: &Instance,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut redriven = 0;
    let mut counters = Additions::default();
    let mut domains: Vec<DomainName> = Vec::new();
    for destination in dead.iter().map(|(_, destination)| *destination).collect::<BTreeSet<_>>() {
        let sql = "SELECT domain FROM destinations WHERE id = ? AND is_live = 1 AND state <> 'disabled'";
        let Some(row) = tx.fetch_optional(sql, [Value::Int(destination.get())]).await? else { continue };
        let domain = row.domain(0)?;
        for (id, _) in dead.iter().filter(|(_, to)| *to == destination) {
            if reopen(tx, destination, std::slice::from_ref(id), now).await? == 0 {
                continue;
            }
            redriven += 1;
            dead_letters::remove_delivery(tx, *id, destination).await?;
            if tx.execute(REOPEN_MESSAGE, [Value::Blob(id.as_bytes())]).await? > 0 {
                domains.push(domain.clone());
            }
        }
    }
    for domain in &domains {
        counters.reopened(instance, domain, now);
    }
    counters.write(tx).await?;
    Ok(redriven)
}

async fn reopen(
    tx: &mut Transaction,
    destination: DestinationId,
    ids: &[MessageId],
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut reopened = 0;
    for chunk in ids.chunks(messages::IDS_PER_STATEMENT) {
        let [ids, count] = id_values(chunk);
        let values = [ids, count, Value::Time(now), Value::Int(destination.get())];
        reopened += tx.execute(REOPEN, values).await?;
    }
    Ok(reopened)
}
