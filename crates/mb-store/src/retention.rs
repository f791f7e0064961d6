//! Removing what has been kept for long enough: contents first, later all that is known of a message.
//!
//! Only what is final goes, and of which no copy is on its way to a destination. A step looks at a bounded number of rows in
//! the order of their acceptance, on a reading connection; what it then removes it judges again in its own transaction,
//! which is short. A step that is broken off has done nothing, and one that is repeated finds nothing: whoever walks on may
//! stop anywhere.

mod audit;
mod letters;
mod settings;

use std::collections::HashSet;

use mb_core::{DomainName, MessageId, MessageState, Timestamp};

use crate::Store;
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::message_list::candidates;
use crate::messages::{id_values, with_ids};
use crate::retrying::retrying;
use crate::statement::Dialects;
use crate::value::{Row, Value};

pub use letters::{LetterPlace, Letters};
pub use mb_core::retention::Retired;
pub use settings::RetentionProgress;

#[cfg(test)]
pub(crate) use letters::{OF_DOMAIN as LETTERS_OF_DOMAIN, OF_NOBODY as LETTERS_OF_NOBODY};

/// Whether what is found is removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Removal {
    /// It is only counted.
    Count,
    /// It is.
    Remove,
}

/// A place among a domain's messages, in the order of their acceptance.
pub type RetentionPlace = (Timestamp, MessageId);

/// A stretch of a domain's messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch<'a> {
    /// The domain.
    pub domain: &'a DomainName,
    /// Accepted before then.
    pub before: Timestamp,
    /// Behind this one; `None`: from the oldest on.
    pub after: Option<RetentionPlace>,
}

/// What a step has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step<P> {
    /// What is removed, or would be.
    pub removed: u64,
    /// The last that was looked at; `None`: there was nothing.
    pub place: Option<P>,
    /// Whether there may be more behind it.
    pub more: bool,
}

/// Rows that a step looks at.
const LOOKED_AT: i64 = 1000;
/// Rows that are removed in one transaction: it is over before anyone has waited for it.
const AT_ONCE: usize = 200;

pub(crate) const OLDEST: &str = "SELECT message_id, queued_at, status, length(encrypted_body) FROM messages \
     WHERE domain = ?1 AND queued_at >= ?2 AND queued_at < ?3 AND (queued_at > ?2 OR message_id > ?4) \
     ORDER BY queued_at, message_id LIMIT ?5";

/// Of these, those that are done with: final, not scheduled, on no way to a destination once more; and no other content
/// that came under their id is younger.
macro_rules! done_with {
    ($from:literal) => {
        concat!(
            "SELECT message_id FROM ",
            $from,
            " AND status NOT IN ('queued', 'processing') AND (delivered_at IS NULL OR delivered_at <= ?3) \
             AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.message_id = messages.message_id AND state = 'open') \
             AND (?4 IS NULL OR NOT EXISTS (SELECT 1 FROM dead_letters WHERE dead_letters.message_id = messages.message_id \
             AND dead_letters.destination_id IS NULL AND dead_letters.queued_at >= ?4))"
        )
    };
}

pub(crate) const DONE_WITH: Dialects = Dialects {
    sqlite: with_ids!(done_with!("ids CROSS JOIN messages ON message_id = wanted WHERE TRUE")),
    mysql: done_with!("messages WHERE message_id IN (?1)"),
};

/// A statement over rows of a table with these ids.
macro_rules! of_ids {
    ($what:literal) => {
        Dialects { sqlite: with_ids!($what, "IN (SELECT wanted FROM ids)"), mysql: concat!($what, "IN (?1)") }
    };
}

const EMPTY: Dialects = of_ids!("UPDATE messages SET encrypted_body = ?3 WHERE message_id ");
const FORGET_ANSWERS: Dialects = of_ids!("UPDATE attempts SET answer = NULL WHERE answer IS NOT NULL AND message_id ");
const DELETE: [Dialects; 4] = [
    of_ids!("DELETE FROM attempts WHERE message_id "),
    of_ids!("DELETE FROM deliveries WHERE message_id "),
    of_ids!("DELETE FROM dead_letters WHERE message_id "),
    of_ids!("DELETE FROM messages WHERE message_id "),
];

/// A message of a stretch.
struct Found {
    place: RetentionPlace,
    /// Whether it may be done with.
    may_go: bool,
}

fn read(row: &Row, what: Retired) -> Result<Found, StoreError> {
    let state = MessageState::parse(row.text(2)?).ok_or(StoreError::Damaged("message status"))?;
    let has_more = what == Retired::Messages || row.int(3)? > 0;
    Ok(Found { place: (row.time(1)?, row.message_id(0)?), may_go: state.is_final() && has_more })
}

impl Store {
    /// Every domain that messages or dead letters are of, whether it is known or not.
    pub async fn domains_of_messages(&self) -> Result<Vec<DomainName>, StoreError> {
        let mut found = HashSet::new();
        for statement in [candidates::DOMAINS, candidates::DEAD_DOMAINS] {
            for row in self.backend().fetch(statement, [Value::Time(Timestamp::from_micros(i64::MAX))]).await? {
                if row.optional_text(0)?.is_some() {
                    found.insert(row.domain(0)?);
                }
            }
        }
        let mut found = found.into_iter().collect::<Vec<_>>();
        found.sort_unstable();
        Ok(found)
    }

    /// Removes some of what a stretch begins with, or counts it.
    pub async fn retire(
        &self,
        what: Retired,
        stretch: &Stretch<'_>,
        removal: Removal,
    ) -> Result<Step<RetentionPlace>, StoreError> {
        let (from, behind) = stretch.after.map_or((Timestamp::default(), None), |(at, id)| (at, Some(id)));
        let behind = behind.as_ref().map_or(&[][..], |id| id.as_bytes().as_slice());
        let values = [
            Value::Text(stretch.domain.as_str()),
            Value::Time(from),
            Value::Time(stretch.before),
            Value::Blob(behind),
            Value::Int(LOOKED_AT),
        ];
        let rows = self.backend().fetch(OLDEST, values).await?;
        let more = i64::try_from(rows.len()).is_ok_and(|rows| rows == LOOKED_AT);
        let mut step = Step { removed: 0, place: None, more };
        let mut ids = Vec::with_capacity(AT_ONCE);
        for row in &rows {
            let Found { place, may_go } = read(row, what)?;
            if may_go && ids.len() == AT_ONCE {
                step.more = true;
                break;
            }
            step.place = Some(place);
            if may_go {
                ids.push(place.1);
            }
        }
        if !ids.is_empty() {
            let cutoff = (what == Retired::Messages).then_some(stretch.before);
            step.removed = match removal {
                Removal::Count => self.count_done_with(&ids, cutoff).await?,
                Removal::Remove => retrying(|| self.remove(what, &ids, cutoff)).await?,
            };
        }
        Ok(step)
    }

    async fn count_done_with(&self, ids: &[MessageId], cutoff: Option<Timestamp>) -> Result<u64, StoreError> {
        let now = self.backend().now(self.clock()).await?;
        let [ids, count] = id_values(ids);
        let rows = self.backend().fetch(DONE_WITH, [ids, count, Value::Time(now), Value::time(cutoff)]).await?;
        Ok(rows.len() as u64)
    }

    /// Whoever opens a delivery again takes turns with this, so what is done with here stays so until it is gone.
    async fn remove(&self, what: Retired, ids: &[MessageId], cutoff: Option<Timestamp>) -> Result<u64, StoreError> {
        let mut tx = self.backend().begin().await?;
        let now = tx.now(self.clock()).await?;
        let [ids, count] = id_values(ids);
        let rows = tx.fetch(DONE_WITH, [ids, count, Value::Time(now), Value::time(cutoff)]).await?;
        let done = rows.iter().map(|row| row.message_id(0)).collect::<Result<Vec<_>, _>>()?;
        if done.is_empty() {
            tx.rollback().await?;
            return Ok(0);
        }
        match what {
            Retired::Bodies => empty(&mut tx, &done).await?,
            Retired::Messages => {
                for statement in DELETE {
                    tx.execute(statement, id_values(&done)).await?;
                }
            }
        }
        tx.commit().await?;
        Ok(done.len() as u64)
    }
}

async fn empty(tx: &mut Transaction, done: &[MessageId]) -> Result<(), StoreError> {
    let [ids, count] = id_values(done);
    tx.execute(EMPTY, [ids, count, Value::Blob(&[])]).await?;
    tx.execute(FORGET_ANSWERS, [ids, count]).await.map(drop)
}
