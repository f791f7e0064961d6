//! What changes of deliveries do: to their rows, to the state of their messages, to counters and dead letters.
//!
//! Changes that say the same are one statement, so a batch of successes costs few of them however large it is.

use std::collections::{BTreeMap, HashMap};

use mb_core::delivery::message_state;
use mb_core::{DeliveryState, DestinationId, DomainName, LeaseId, MessageId, MessageState, Timestamp};

use super::{FRESH, TRIED, read_lease, read_state};
use crate::backend::Transaction;
use crate::counters::{Additions, Instance};
use crate::dead_letters;
use crate::error::StoreError;
use crate::messages::{self, id_values, with_ids};
use crate::statement::Dialects;
use crate::tallies;
use crate::value::Value;

/// A delivery as a transaction sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Delivery {
    pub(crate) state: DeliveryState,
    pub(crate) attempts: u32,
    pub(crate) lease: Option<LeaseId>,
    /// Who holds it.
    pub(crate) holder: Option<String>,
    /// When it is due, or its lease ends.
    pub(crate) due: Option<Timestamp>,
}

impl Delivery {
    /// Whether somebody is sending it.
    pub(crate) fn is_leased(&self, now: Timestamp) -> bool {
        self.lease.is_some() && self.due.is_some_and(|until| until > now)
    }
}

/// Deliveries by message and destination, a message's together.
pub(crate) type Deliveries = BTreeMap<(MessageId, DestinationId), Delivery>;

/// A change of one delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    pub(crate) message: MessageId,
    pub(crate) destination: DestinationId,
    /// An attempt was made.
    pub(crate) tried: bool,
    /// What went wrong.
    pub(crate) error: Option<String>,
    /// What it becomes, and when it is due; `None` leaves it as it is.
    pub(crate) to: Option<(DeliveryState, Option<Timestamp>)>,
}

impl Change {
    /// Does the same to the delivery in memory.
    pub(crate) fn apply_to(&self, delivery: &mut Delivery) {
        delivery.attempts = delivery.attempts.saturating_add(u32::from(self.tried));
        if let Some((state, due)) = self.to {
            delivery.state = state;
            delivery.due = due;
            (delivery.lease, delivery.holder) = (None, None);
        }
    }
}

pub(crate) const OF_MESSAGES: Dialects = Dialects {
    sqlite: with_ids!(
        "SELECT message_id, destination_id, state, attempts, lease_id, due_at, leased_by FROM ids \
         CROSS JOIN deliveries ON message_id = wanted"
    ),
    mysql: "SELECT message_id, destination_id, state, attempts, lease_id, due_at, leased_by FROM deliveries \
            WHERE message_id IN (?1) FOR UPDATE",
};

macro_rules! set_delivery {
    ($of:literal) => {
        concat!(
            "UPDATE deliveries SET state = ?3, due_at = ?4, lane = ?5, attempts = attempts + ?6, finished_at = ?7, \
             last_error = COALESCE(?8, last_error), expires_at = CASE WHEN ?4 IS NULL THEN NULL ELSE expires_at END, \
             lease_id = NULL, leased_by = NULL WHERE destination_id = ?9 AND message_id IN ",
            $of
        )
    };
}

const SET_DELIVERY: Dialects =
    Dialects { sqlite: with_ids!(set_delivery!("(SELECT wanted FROM ids)")), mysql: set_delivery!("(?1)") };

macro_rules! count_attempt {
    ($of:literal) => {
        concat!("UPDATE deliveries SET attempts = attempts + 1 WHERE destination_id = ?3 AND message_id IN ", $of)
    };
}

/// An attempt that decides nothing.
const COUNT_ATTEMPT: Dialects =
    Dialects { sqlite: with_ids!(count_attempt!("(SELECT wanted FROM ids)")), mysql: count_attempt!("(?1)") };

macro_rules! set_message {
    ($of:literal) => {
        concat!(
            "UPDATE messages SET attempt_count = attempt_count + ?3, last_error = COALESCE(?4, last_error), \
             status = COALESCE(?5, status), delivered_at = COALESCE(?6, delivered_at), \
             failed_at = COALESCE(?7, failed_at) WHERE message_id IN ",
            $of
        )
    };
}

const SET_MESSAGE: Dialects =
    Dialects { sqlite: with_ids!(set_message!("(SELECT wanted FROM ids)")), mysql: set_message!("(?1)") };

const UNFINISHED: Dialects = Dialects {
    sqlite: with_ids!(
        "SELECT message_id, domain, queued_at, deliver_at FROM ids CROSS JOIN messages ON message_id = wanted \
         WHERE status IN ('queued', 'processing')"
    ),
    mysql: "SELECT message_id, domain, queued_at, deliver_at FROM messages \
            WHERE message_id IN (?1) AND status IN ('queued', 'processing')",
};

/// All deliveries of these messages; nobody leases one until the transaction ends.
pub(crate) async fn deliveries_of(tx: &mut Transaction, ids: &[MessageId]) -> Result<Deliveries, StoreError> {
    let mut deliveries = Deliveries::new();
    for chunk in ids.chunks(messages::IDS_PER_STATEMENT) {
        for row in tx.fetch(OF_MESSAGES, id_values(chunk)).await? {
            let delivery = Delivery {
                state: read_state(&row, 2)?,
                attempts: u32::try_from(row.unsigned(3)?).unwrap_or(u32::MAX),
                lease: read_lease(&row, 4)?,
                due: row.optional_time(5)?,
                holder: row.optional_text(6)?.map(str::to_owned),
            };
            deliveries.insert((row.message_id(0)?, DestinationId::new(row.int(1)?)), delivery);
        }
    }
    Ok(deliveries)
}

/// Writes changes; `after` are all deliveries of the messages concerned as they are then.
pub(crate) async fn apply(
    tx: &mut Transaction,
    changes: &[Change],
    after: &Deliveries,
    instance: &Instance,
    now: Timestamp,
) -> Result<(), StoreError> {
    set_deliveries(tx, changes, now).await?;
    set_messages(tx, changes, after, instance, now).await
}

async fn set_deliveries(tx: &mut Transaction, changes: &[Change], now: Timestamp) -> Result<(), StoreError> {
    let mut groups = BTreeMap::<_, Vec<MessageId>>::new();
    for change in changes {
        let to = change.to.map(|(state, due)| (state, due, change.error.as_deref()));
        groups.entry((change.destination, to, change.tried)).or_default().push(change.message);
    }
    for ((destination, to, tried), mut ids) in groups {
        let destination = Value::Int(destination.get());
        let Some((state, due, error)) = to else {
            // The same message may stand here twice; each attempt counts.
            for id in &ids {
                let [id, count] = id_values(std::slice::from_ref(id));
                tx.execute(COUNT_ATTEMPT, [id, count, destination]).await?;
            }
            continue;
        };
        ids.dedup();
        for chunk in ids.chunks(messages::IDS_PER_STATEMENT) {
            let [ids, count] = id_values(chunk);
            let values = [
                ids,
                count,
                Value::Text(state.as_str()),
                Value::time(due),
                Value::Int(if tried { TRIED } else { FRESH }),
                Value::Int(i64::from(tried)),
                Value::time(state.is_final().then_some(now)),
                Value::text(error),
                destination,
            ];
            tx.execute(SET_DELIVERY, values).await?;
        }
    }
    Ok(())
}

/// What is written to a message.
#[derive(Default)]
struct Touch<'a> {
    attempts: i64,
    error: Option<&'a str>,
}

async fn set_messages(
    tx: &mut Transaction,
    changes: &[Change],
    after: &Deliveries,
    instance: &Instance,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut touched = BTreeMap::<MessageId, Touch<'_>>::new();
    for change in changes {
        let touch = touched.entry(change.message).or_default();
        touch.attempts += i64::from(change.tried);
        touch.error = change.error.as_deref().or(touch.error);
    }
    let ids = touched.keys().copied().collect::<Vec<_>>();
    let open = unfinished(tx, &ids).await?;
    let mut counters = Additions::default();
    let mut groups = BTreeMap::<_, Vec<MessageId>>::new();
    for (id, touch) in &touched {
        let states = after.range((*id, FIRST)..=(*id, LAST)).map(|(_, delivery)| delivery.state);
        let state = message_state(states);
        let ends = open.get(id).filter(|_| state.is_final());
        if let Some(message) = ends {
            counters.finished(instance, &message.domain, state, now);
            if state == MessageState::Delivered {
                let took = tallies::took(message.queued_at, message.deliver_at, now);
                counters.tally(instance, &message.domain, took, now);
            }
        }
        let state = ends.map(|_| state.as_str());
        groups.entry((state, touch.attempts, touch.error)).or_default().push(*id);
    }
    for ((state, attempts, error), ids) in groups {
        let delivered = state == Some(MessageState::Delivered.as_str());
        let failed = state == Some(MessageState::Failed.as_str());
        for chunk in ids.chunks(messages::IDS_PER_STATEMENT) {
            let [ids, count] = id_values(chunk);
            let values = [
                ids,
                count,
                Value::Int(attempts),
                Value::text(error),
                Value::text(state),
                Value::time(delivered.then_some(now)),
                Value::time(failed.then_some(now)),
            ];
            tx.execute(SET_MESSAGE, values).await?;
        }
    }
    for change in changes {
        if let Some((DeliveryState::Dead, _)) = change.to {
            let reason = change.error.as_deref().unwrap_or("given_up");
            let reason = reason.split([' ', ':']).next().unwrap_or(reason);
            if dead_letters::insert_delivery(tx, change.message, change.destination, reason, now).await? {
                let domain = open.get(&change.message).map(|message| &message.domain);
                counters.dead_letter(instance, domain, reason, now);
            }
        }
    }
    counters.write(tx).await
}

/// A message that is not final yet.
struct Unfinished {
    domain: DomainName,
    queued_at: Timestamp,
    deliver_at: Option<Timestamp>,
}

/// Those of the messages that are not final yet.
async fn unfinished(tx: &mut Transaction, ids: &[MessageId]) -> Result<HashMap<MessageId, Unfinished>, StoreError> {
    let mut found = HashMap::new();
    for chunk in ids.chunks(messages::IDS_PER_STATEMENT) {
        for row in tx.fetch(UNFINISHED, id_values(chunk)).await? {
            let message =
                Unfinished { domain: row.domain(1)?, queued_at: row.time(2)?, deliver_at: row.optional_time(3)? };
            found.insert(row.message_id(0)?, message);
        }
    }
    Ok(found)
}

const FIRST: DestinationId = DestinationId::new(i64::MIN);
const LAST: DestinationId = DestinationId::new(i64::MAX);
