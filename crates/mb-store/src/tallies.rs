//! Tallies: why messages failed, and how long they took. Counted as the counters are, with a word or a band of durations
//! beside the hour.
//!
//! They are read for the last weeks only, so those that are older are removed.

use std::time::Duration;

use mb_core::spread::Band;
use mb_core::{DomainName, Timestamp};

use crate::Store;
use crate::backend::Transaction;
use crate::counters::hour;
use crate::error::StoreError;
use crate::statement::Dialects;
use crate::value::Value;

/// The longest reason that is kept apart from others.
const MAX_REASON: usize = 64;

/// Something that is known of a message that became final.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Tally<'a> {
    /// It failed for this reason.
    Failure(&'a str),
    /// Delivering it took so long.
    Took(Band),
}

/// Of which tally, in which hour, of which domain, by whom.
pub(crate) type Key<'a> = (Tally<'a>, i64, &'a str, &'a str);

const FAILURE: &str = "failure";
const TOOK: &str = "took";

const COUNT_UP: Dialects = Dialects {
    sqlite: "INSERT INTO tallies (kind, hour, domain, value, instance, count) VALUES (?, ?, ?, ?, ?, ?) \
             ON CONFLICT (kind, hour, domain, value, instance) DO UPDATE SET count = count + excluded.count",
    mysql: "INSERT INTO tallies (kind, hour, domain, value, instance, count) VALUES (?, ?, ?, ?, ?, ?) \
            ON DUPLICATE KEY UPDATE count = count + VALUES(count)",
};

const SUMS: &str = "SELECT value, CAST(SUM(count) AS SIGNED) FROM tallies WHERE kind = ?1 AND hour >= ?2 AND hour < ?3 \
                    AND (?4 IS NULL OR domain = ?4) GROUP BY value";

const SWEEP: Dialects = Dialects {
    sqlite: "DELETE FROM tallies WHERE (kind, hour, domain, value, instance) IN \
             (SELECT kind, hour, domain, value, instance FROM tallies WHERE kind = ?1 AND hour < ?2 LIMIT ?3)",
    mysql: "DELETE FROM tallies WHERE kind = ?1 AND hour < ?2 LIMIT ?3",
};

/// How long delivering took: from the moment at which it could begin.
pub(crate) fn took<'a>(queued_at: Timestamp, deliver_at: Option<Timestamp>, delivered_at: Timestamp) -> Tally<'a> {
    Tally::Took(Band::of(delivered_at.since(deliver_at.map_or(queued_at, |at| at.max(queued_at)))))
}

pub(crate) async fn count_up(tx: &mut Transaction, key: Key<'_>, count: i64) -> Result<(), StoreError> {
    let (tally, hour, domain, instance) = key;
    let number;
    let (kind, value) = match tally {
        Tally::Failure(reason) => (FAILURE, reason.get(..MAX_REASON).unwrap_or(reason)),
        Tally::Took(band) => {
            number = band.number().to_string();
            (TOOK, number.as_str())
        }
    };
    let values = [
        Value::Text(kind),
        Value::Int(hour),
        Value::Text(domain),
        Value::Text(value),
        Value::Text(instance),
        Value::Int(count),
    ];
    tx.execute(COUNT_UP, values).await.map(drop)
}

impl Store {
    /// Why messages became dead letters, from the hour that contains `from` up to, not including, the one that contains
    /// `to`; the commonest reason first.
    pub async fn failures(
        &self,
        domain: Option<&DomainName>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let mut sums = self.sums(FAILURE, domain, from, to).await?;
        sums.sort_by(|(one, few), (other, many)| many.cmp(few).then_with(|| one.cmp(other)));
        Ok(sums)
    }

    /// How many messages took how long to be delivered, in the same hours.
    pub async fn times_to_deliver(
        &self,
        domain: Option<&DomainName>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(Band, u64)>, StoreError> {
        let sums = self.sums(TOOK, domain, from, to).await?;
        let band = |text: &str| text.parse().ok().and_then(Band::from_number).ok_or(StoreError::Damaged("band"));
        sums.into_iter().map(|(value, count)| Ok((band(&value)?, count))).collect()
    }

    async fn sums(
        &self,
        kind: &str,
        domain: Option<&DomainName>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let domain = Value::text(domain.map(DomainName::as_str));
        let values = [Value::Text(kind), Value::Int(hour(from)), Value::Int(hour(to)), domain];
        let rows = self.backend().fetch(SUMS, values).await?;
        rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.unsigned(1)?))).collect()
    }

    /// Forgets at most `limit` tallies each of hours that were over this long ago; how many.
    pub async fn sweep_tallies(&self, kept: Duration, limit: u32) -> Result<u64, StoreError> {
        let before = hour(self.now().minus(kept));
        let mut gone = 0;
        let mut tx = self.backend().begin().await?;
        for kind in [FAILURE, TOOK] {
            gone += tx.execute(SWEEP, [Value::Text(kind), Value::Int(before), Value::Int(limit.into())]).await?;
        }
        tx.commit().await?;
        Ok(gone)
    }
}
