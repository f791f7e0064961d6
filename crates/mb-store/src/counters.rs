//! Counters: what happened, per writer instance, hour, domain and event. They only count up, and only in the transaction
//! of the rows that they count, so dashboards never have to count messages. Beside them stand the [`tallies`].

use std::collections::BTreeMap;
use std::sync::Arc;

use mb_core::{DomainName, MessageState, Timestamp};

use crate::Store;
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::register::NewMessage;
use crate::statement::Dialects;
use crate::tallies::{self, Tally};
use crate::value::{Row, Value};

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CounterEvent {
    /// A message came into the store.
    Registered,
    /// A message became final: delivered.
    Delivered,
    /// A message became final: failed.
    Failed,
    /// A message became final: expired.
    Expired,
    /// A message became final: cancelled.
    Cancelled,
    /// A dead letter came into the store.
    DeadLettered,
    /// A message that had failed is on its way again.
    Reopened,
    /// A message that was counted as delivered, since nothing waited for it, was withdrawn before its time.
    Withdrawn,
}

impl CounterEvent {
    /// Every event.
    pub const ALL: [Self; 8] = [
        Self::Registered,
        Self::Delivered,
        Self::Failed,
        Self::Expired,
        Self::Cancelled,
        Self::DeadLettered,
        Self::Reopened,
        Self::Withdrawn,
    ];

    /// The word used in the store and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::DeadLettered => "dead_lettered",
            Self::Reopened => "reopened",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Parses [`CounterEvent::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == text)
    }

    /// What takes a message out of this state again.
    const fn out_of(state: MessageState) -> Option<Self> {
        match state {
            MessageState::Failed => Some(Self::Reopened),
            MessageState::Delivered => Some(Self::Withdrawn),
            _ => None,
        }
    }

    /// What a message that is stored in this state counts as besides [`CounterEvent::Registered`].
    const fn of_state(state: MessageState) -> Option<Self> {
        match state {
            MessageState::Queued | MessageState::Processing => None,
            MessageState::Delivered => Some(Self::Delivered),
            MessageState::Failed => Some(Self::Failed),
            MessageState::Expired => Some(Self::Expired),
            MessageState::Cancelled => Some(Self::Cancelled),
        }
    }
}

/// The domain under which is counted what has none that could be read.
const NO_DOMAIN: &str = "";

const COUNT_UP: Dialects = Dialects {
    sqlite: "INSERT INTO counters (hour, domain, event, instance, count) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (hour, domain, event, instance) DO UPDATE SET count = count + excluded.count",
    mysql: "INSERT INTO counters (hour, domain, event, instance, count) VALUES (?, ?, ?, ?, ?) \
            ON DUPLICATE KEY UPDATE count = count + VALUES(count)",
};

/// Additions that wait for the end of their transaction.
#[derive(Debug, Default)]
pub(crate) struct Additions<'a> {
    counters: BTreeMap<Key<'a>, i64>,
    tallies: BTreeMap<tallies::Key<'a>, i64>,
}

type Key<'a> = (i64, &'a str, CounterEvent, &'a str);

impl<'a> Additions<'a> {
    pub(crate) fn message(&mut self, instance: &'a str, message: &'a NewMessage) {
        let (header, at) = (&message.header, message.registered_at);
        self.add(instance, header.domain.as_str(), CounterEvent::Registered, at);
        self.finished(instance, &header.domain, message.status, at);
        if let Some(delivered_at) = message.delivered_at {
            let took = tallies::took(header.queued_at, header.deliver_at, delivered_at);
            self.tally(instance, &header.domain, took, at);
        }
    }

    /// A message that was not final became so.
    pub(crate) fn finished(&mut self, instance: &'a str, domain: &'a DomainName, state: MessageState, at: Timestamp) {
        if let Some(event) = CounterEvent::of_state(state) {
            self.add(instance, domain.as_str(), event, at);
        }
    }

    /// A message that had failed is on its way again.
    pub(crate) fn reopened(&mut self, instance: &'a str, domain: &'a DomainName, at: Timestamp) {
        self.add(instance, domain.as_str(), CounterEvent::Reopened, at);
    }

    /// A message that was counted as delivered is so no more.
    pub(crate) fn withdrawn(&mut self, instance: &'a str, domain: &'a DomainName, at: Timestamp) {
        self.add(instance, domain.as_str(), CounterEvent::Withdrawn, at);
    }

    pub(crate) fn dead_letter(
        &mut self,
        instance: &'a str,
        domain: Option<&'a DomainName>,
        reason: &'a str,
        at: Timestamp,
    ) {
        let domain = domain.map_or(NO_DOMAIN, DomainName::as_str);
        self.add(instance, domain, CounterEvent::DeadLettered, at);
        *self.tallies.entry((Tally::Failure(reason), hour(at), domain, instance)).or_default() += 1;
    }

    /// What else is known of something that was counted.
    pub(crate) fn tally(&mut self, instance: &'a str, domain: &'a DomainName, tally: Tally<'a>, at: Timestamp) {
        *self.tallies.entry((tally, hour(at), domain.as_str(), instance)).or_default() += 1;
    }

    fn add(&mut self, instance: &'a str, domain: &'a str, event: CounterEvent, at: Timestamp) {
        *self.counters.entry((hour(at), domain, event, instance)).or_default() += 1;
    }

    pub(crate) async fn write(self, tx: &mut Transaction) -> Result<(), StoreError> {
        for (key, count) in self.tallies {
            tallies::count_up(tx, key, count).await?;
        }
        for ((hour, domain, event, instance), count) in self.counters {
            let values = [
                Value::Int(hour),
                Value::Text(domain),
                Value::Text(event.as_str()),
                Value::Text(instance),
                Value::Int(count),
            ];
            tx.execute(COUNT_UP, values).await?;
        }
        Ok(())
    }
}

/// Hours since 1970.
pub(crate) fn hour(at: Timestamp) -> i64 {
    at.seconds().div_euclid(3600)
}

/// Sums of every event of each hour.
const BY_HOUR: &str = "SELECT hour, event, CAST(SUM(count) AS SIGNED) FROM counters \
                       WHERE hour >= ?1 AND hour < ?2 AND (?3 IS NULL OR domain = ?3) GROUP BY hour, event";

/// What happened in one hour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HourCount {
    /// When the hour began.
    pub at: Timestamp,
    /// What happened.
    pub event: CounterEvent,
    /// How often.
    pub count: u64,
}

impl Store {
    /// Every event of each hour from the one that contains `from` up to, not including, the one that contains `to`, over
    /// one domain or all; in no particular order, and none of an hour in which nothing happened.
    pub async fn hour_counts(
        &self,
        domain: Option<&DomainName>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<HourCount>, StoreError> {
        let values = [Value::Int(hour(from)), Value::Int(hour(to)), Value::text(domain.map(DomainName::as_str))];
        let rows = self.backend().fetch(BY_HOUR, values).await?;
        let count = |row: &Row| {
            Ok(HourCount {
                at: Timestamp::from_micros(row.int(0)?.saturating_mul(3_600_000_000)),
                event: CounterEvent::parse(row.text(1)?).ok_or(StoreError::Damaged("counter event"))?,
                count: row.unsigned(2)?,
            })
        };
        rows.iter().map(count).collect()
    }

    /// Sums of every event from the hour that contains `from` up to, not including, the hour that contains `to`, over
    /// one domain or all.
    pub async fn event_counts(
        &self,
        domain: Option<&DomainName>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<CounterEvent, u64>, StoreError> {
        let hours = [Value::Int(hour(from)), Value::Int(hour(to))];
        let rows = match domain {
            None => {
                let sql = "SELECT event, CAST(SUM(count) AS SIGNED) FROM counters WHERE hour >= ? AND hour < ? GROUP BY event";
                self.backend().fetch(sql, hours).await?
            }
            Some(domain) => {
                let sql = "SELECT event, CAST(SUM(count) AS SIGNED) FROM counters \
                           WHERE hour >= ? AND hour < ? AND domain = ? GROUP BY event";
                self.backend().fetch(sql, [hours[0], hours[1], Value::Text(domain.as_str())]).await?
            }
        };
        rows.iter()
            .map(|row| {
                let event = CounterEvent::parse(row.text(0)?).ok_or(StoreError::Damaged("counter event"))?;
                Ok((event, row.unsigned(1)?))
            })
            .collect()
    }

    /// How many messages ever came to stand in each state, from the counters. What is registered and not final counts as
    /// [`MessageState::Processing`]; [`MessageState::Queued`] ones are not in the store yet, so it is left out.
    pub async fn messages_by_status(
        &self,
        domain: Option<&DomainName>,
    ) -> Result<Vec<(MessageState, u64)>, StoreError> {
        let (from, to) = (Timestamp::default(), Timestamp::from_micros(i64::MAX));
        let counts = self.event_counts(domain, from, to).await?;
        let of = |event| counts.get(&event).copied().unwrap_or(0);
        let finals = MessageState::ALL.into_iter().filter_map(|state| Some((state, CounterEvent::of_state(state)?)));
        let left = |state| CounterEvent::out_of(state).map_or(0, of);
        let mut by_status =
            finals.map(|(state, event)| (state, of(event).saturating_sub(left(state)))).collect::<Vec<_>>();
        let closed = by_status.iter().map(|(_, count)| count).sum::<u64>();
        by_status.push((MessageState::Processing, of(CounterEvent::Registered).saturating_sub(closed)));
        Ok(by_status)
    }
}

/// Names the process that counts; rows of different writers never meet.
pub type Instance = Arc<str>;
