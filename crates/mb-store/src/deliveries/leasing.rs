//! Leasing: what is due goes to who asks, for a while.
//!
//! Each destination is asked by itself, so that one that is slow, paused or open keeps nothing from another; within it a
//! quarter of what is asked for is kept for what was tried before, if there is any, and the rest for fresh ones. Rows
//! that another one is leasing are passed by.

use std::collections::BTreeMap;
use std::time::Duration;

use mb_core::delivery::BreakerState;
use mb_core::{DestinationId, DestinationKind, DestinationState, LeaseId, MessageId, Timestamp};

use super::{FRESH, TRIED, holding};
use crate::Store;
use crate::backend::Transaction;
use crate::destinations::{ever, keep_breaker};
use crate::error::StoreError;
use crate::messages::{self, ExistingMessage, id_values, with_ids};
use crate::retrying::retrying;
use crate::statement::Dialects;
use crate::value::Value;

/// How long a lease holds; its holder prolongs it while it works.
pub const LEASE: Duration = Duration::from_mins(1);

/// Destinations that one call leases from; the next call goes on behind them.
const DESTINATIONS_PER_CALL: usize = 64;

/// The fewest deliveries that are asked of one destination.
const LEAST: u32 = 16;

/// Who asks for deliveries.
#[derive(Clone, Copy, Debug)]
pub struct LeaseAsk<'a> {
    /// The lease that they are given under.
    pub lease: LeaseId,
    /// Who holds it.
    pub holder: &'a str,
    /// The most.
    pub limit: u32,
    /// How they are delivered.
    pub whose: Whose<'a>,
}

/// Whose deliveries are asked for.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// Those of webhooks but these, which have enough, beginning behind the last one.
    Webhooks {
        /// Destinations that are passed by.
        except: &'a [DestinationId],
        /// The last one that was leased from.
        behind: Option<DestinationId>,
    },
    /// Those of one that pulls.
    Pull(DestinationId),
}

/// A delivery that was leased.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leased {
    /// Where to.
    pub destination: DestinationId,
    /// The lease.
    pub lease: LeaseId,
    /// Which attempt comes now, from 1.
    pub number: u32,
    /// The message.
    pub message: ExistingMessage,
}

/// When there is something to lease again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NextDue {
    /// Now.
    Now,
    /// Then, by the database's clock, which says it is `now`.
    At {
        /// When.
        due: Timestamp,
        /// The time of the answer.
        now: Timestamp,
    },
    /// Not before something happens.
    Never,
}

/// What was leased.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leasing {
    /// The deliveries.
    pub deliveries: Vec<Leased>,
    /// When to ask again if there are none.
    pub next: NextDue,
    /// The last destination that was leased from.
    pub last: Option<DestinationId>,
}

/// For each destination that is served, the first due time of either lane: two steps into an index, however many wait.
pub(crate) const DUE: &str = "SELECT id, breaker_until, \
     (SELECT due_at FROM deliveries WHERE destination_id = destinations.id AND lane = 0 AND due_at IS NOT NULL \
     ORDER BY due_at LIMIT 1), \
     (SELECT due_at FROM deliveries WHERE destination_id = destinations.id AND lane = 1 AND due_at IS NOT NULL \
     ORDER BY due_at LIMIT 1) \
     FROM destinations WHERE is_live = 1 AND kind = ? AND state = 'enabled'";

macro_rules! take {
    ($rest:literal) => {
        concat!(
            "SELECT message_id, attempts FROM deliveries WHERE destination_id = ? AND lane = ? AND due_at <= ? \
             AND (expires_at IS NULL OR expires_at > ?) ORDER BY due_at LIMIT ?",
            $rest
        )
    };
}

pub(crate) const TAKE: Dialects = Dialects { sqlite: take!(""), mysql: take!(" FOR UPDATE SKIP LOCKED") };

const HOLD: Dialects = Dialects {
    sqlite: with_ids!(
        "UPDATE deliveries SET due_at = ?3, lease_id = ?4, leased_by = ?5 \
         WHERE destination_id = ?6 AND message_id IN (SELECT wanted FROM ids)"
    ),
    mysql: "UPDATE deliveries SET due_at = ?3, lease_id = ?4, leased_by = ?5 \
            WHERE destination_id = ?6 AND message_id IN (?1)",
};

/// What was scheduled is on its way from its first lease on.
const BEGIN: Dialects = Dialects {
    sqlite: with_ids!(
        "UPDATE messages SET status = 'processing' WHERE status = 'queued' AND message_id IN (SELECT wanted FROM ids)"
    ),
    mysql: "UPDATE messages SET status = 'processing' WHERE status = 'queued' AND message_id IN (?1)",
};

/// A destination that has something due.
struct Ready {
    id: DestinationId,
    /// It is half open: one delivery shows how it is.
    probe: bool,
}

/// Ids that were taken, before their messages are read.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    pub(super) message: MessageId,
    pub(super) destination: DestinationId,
    pub(super) attempts: u64,
}

impl Store {
    /// Leases deliveries that are due.
    pub async fn lease_deliveries(&self, ask: &LeaseAsk<'_>) -> Result<Leasing, StoreError> {
        retrying(move || self.lease(ask)).await
    }

    async fn lease(&self, ask: &LeaseAsk<'_>) -> Result<Leasing, StoreError> {
        let now = self.backend().now(self.clock()).await?;
        let (ready, next) = self.ready(ask, now).await?;
        let mut leasing = Leasing { deliveries: Vec::new(), next, last: ready.last().map(|ready| ready.id) };
        if ready.is_empty() {
            return Ok(leasing);
        }
        let mut tx = self.backend().begin_leasing().await?;
        let now = tx.now(self.clock()).await?;
        let mut taken: Vec<Taken> = Vec::new();
        let share = (ask.limit / u32::try_from(ready.len()).unwrap_or(1)).max(LEAST);
        for destination in &ready {
            let left = ask.limit.saturating_sub(u32::try_from(taken.len()).unwrap_or(u32::MAX));
            if left == 0 {
                leasing.last = taken.last().map(|taken| taken.destination);
                break;
            }
            let most = if destination.probe { 1 } else { share.min(left) };
            taken.extend(take(&mut tx, ask, destination, most, now).await?);
        }
        let ids = taken.iter().map(|taken| taken.message).collect::<Vec<_>>();
        for chunk in ids.chunks(messages::IDS_PER_STATEMENT) {
            tx.execute(BEGIN, id_values(chunk)).await?;
        }
        tx.commit().await?;
        let (deliveries, rest) = self.with_messages(ask.lease, taken).await?;
        leasing.deliveries = deliveries;
        if !rest.is_empty() {
            leasing.next = NextDue::Now;
            leasing.last = leasing.deliveries.last().map(|leased| leased.destination);
            self.give_back(ask.lease, &rest).await?;
        }
        Ok(leasing)
    }

    /// What was leased and is too much for one answer is free again at once.
    async fn give_back(&self, lease: LeaseId, taken: &[Taken]) -> Result<(), StoreError> {
        let mut groups = BTreeMap::<DestinationId, Vec<MessageId>>::new();
        for taken in taken {
            groups.entry(taken.destination).or_default().push(taken.message);
        }
        let mut tx = self.backend().begin_leasing().await?;
        let now = tx.now(self.clock()).await?;
        for (destination, ids) in groups {
            holding::release(&mut tx, (destination, lease), &ids, now).await?;
        }
        tx.commit().await
    }

    async fn ready(&self, ask: &LeaseAsk<'_>, now: Timestamp) -> Result<(Vec<Ready>, NextDue), StoreError> {
        let (except, behind, only, kind) = match ask.whose {
            Whose::Webhooks { except, behind } => (except, behind, None, DestinationKind::Webhook),
            Whose::Pull(id) => (&[][..], None, Some(id), DestinationKind::Pull),
        };
        let (mut ready, mut next) = (Vec::new(), None::<Timestamp>);
        for row in self.backend().fetch(DUE, [Value::Text(kind.as_str())]).await? {
            let id = DestinationId::new(row.int(0)?);
            let first = row.optional_time(2)?.into_iter().chain(row.optional_time(3)?).min();
            let (Some(first), true) = (first, !except.contains(&id) && only.is_none_or(|only| only == id)) else {
                continue;
            };
            let until = row.optional_time(1)?;
            let due = until.map_or(first, |until| first.max(until));
            if due <= now {
                ready.push(Ready { id, probe: until.is_some() });
            } else {
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        let start = ready.iter().position(|ready| behind.is_some_and(|behind| ready.id > behind)).unwrap_or(0);
        ready.rotate_left(start);
        let more = ready.len() > DESTINATIONS_PER_CALL;
        ready.truncate(DESTINATIONS_PER_CALL);
        let next = match next {
            _ if more => NextDue::Now,
            Some(due) => NextDue::At { due, now },
            None => NextDue::Never,
        };
        Ok((ready, next))
    }
}

/// Takes up to `most` of one destination, if it still is served.
async fn take(
    tx: &mut Transaction,
    ask: &LeaseAsk<'_>,
    ready: &Ready,
    most: u32,
    now: Timestamp,
) -> Result<Vec<Taken>, StoreError> {
    if ready.probe {
        let row = ever(tx, ready.id).await?.filter(|row| row.route.state == DestinationState::Enabled);
        let Some(mut row) = row.filter(|row| row.breaker.state(now) == BreakerState::HalfOpen) else {
            return Ok(Vec::new());
        };
        row.breaker.probe(now.plus(LEASE));
        keep_breaker(tx, ready.id, &row.breaker).await?;
    }
    let mut taken = Vec::new();
    // A quarter for those that were tried before; what either leaves is the other's. What shows how a destination is is a
    // fresh one, if there is any: those that were tried before may be why it is ill.
    let tried_first = if ready.probe { 0 } else { most.div_ceil(4) };
    for (lane, most) in [(TRIED, tried_first), (FRESH, most), (TRIED, most)] {
        let left = most.saturating_sub(u32::try_from(taken.len()).unwrap_or(u32::MAX));
        if left == 0 {
            continue;
        }
        let rows = lane_rows(tx, ready.id, lane, left, now).await?;
        let ids = rows.iter().map(|row| row.message).collect::<Vec<_>>();
        hold(tx, ask, ready.id, &ids, now).await?;
        taken.extend(rows);
    }
    Ok(taken)
}

async fn lane_rows(
    tx: &mut Transaction,
    destination: DestinationId,
    lane: i64,
    most: u32,
    now: Timestamp,
) -> Result<Vec<Taken>, StoreError> {
    let now = Value::Time(now);
    let values = [Value::Int(destination.get()), Value::Int(lane), now, now, Value::Int(most.into())];
    let rows = tx.fetch(TAKE, values).await?;
    rows.iter().map(|row| Ok(Taken { message: row.message_id(0)?, destination, attempts: row.unsigned(1)? })).collect()
}

async fn hold(
    tx: &mut Transaction,
    ask: &LeaseAsk<'_>,
    destination: DestinationId,
    ids: &[MessageId],
    now: Timestamp,
) -> Result<(), StoreError> {
    for chunk in ids.chunks(messages::IDS_PER_STATEMENT) {
        let [ids, count] = id_values(chunk);
        let until = Value::Time(now.plus(LEASE));
        let (lease, holder) = (Value::Blob(ask.lease.as_bytes()), Value::Text(ask.holder));
        tx.execute(HOLD, [ids, count, until, lease, holder, Value::Int(destination.get())]).await?;
    }
    Ok(())
}
