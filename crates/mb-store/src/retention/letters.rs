//! Dead letters that stand for themselves: what never became a message. Those of deliveries go with their messages.

use mb_core::{DomainName, Timestamp};

use super::{Removal, Step};
use crate::Store;
use crate::error::StoreError;
use crate::retrying::retrying;
use crate::statement::Dialects;
use crate::value::{Row, Value};

/// Letters of one step: few, and an envelope may be large.
const AT_ONCE: i64 = 100;

/// Two indexes of a server begin alike, and it takes either; one has them in order.
pub(crate) const OF_DOMAIN: Dialects = Dialects {
    sqlite: "SELECT id, queued_at, length(envelope), destination_id FROM dead_letters \
             WHERE domain = ?1 AND queued_at >= ?2 AND queued_at < ?3 AND (queued_at > ?2 OR id > ?4) \
             ORDER BY queued_at, id LIMIT ?5",
    mysql: "SELECT id, queued_at, length(envelope), destination_id FROM dead_letters FORCE INDEX (dead_letters_age) \
            WHERE domain = ?1 AND queued_at >= ?2 AND queued_at < ?3 AND (queued_at > ?2 OR id > ?4) \
            ORDER BY queued_at, id LIMIT ?5",
};

/// What could not be read names neither a domain nor a time; those that came first have the lowest numbers.
pub(crate) const OF_NOBODY: Dialects = Dialects {
    sqlite: "SELECT id, created_at, length(envelope), destination_id FROM dead_letters \
             WHERE domain IS NULL AND queued_at IS NULL AND id > ?1 ORDER BY id LIMIT ?2",
    mysql: "SELECT id, created_at, length(envelope), destination_id FROM dead_letters FORCE INDEX (dead_letters_age) \
            WHERE domain IS NULL AND queued_at IS NULL AND id > ?1 ORDER BY id LIMIT ?2",
};

/// A place among letters: time and number.
pub type LetterPlace = (Timestamp, i64);

/// Which letters, and how old they are at least.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Letters<'a> {
    /// The domain; `None`: those that name none.
    pub domain: Option<&'a DomainName>,
    /// Those before it are removed.
    pub before: Timestamp,
    /// The contents of those before it are.
    pub bodies_before: Timestamp,
    /// Behind this one; `None`: from the oldest on.
    pub after: Option<LetterPlace>,
}

/// A letter of a step.
struct Found {
    place: LetterPlace,
    is_empty: bool,
    of_delivery: bool,
}

fn read(row: &Row) -> Result<Found, StoreError> {
    Ok(Found {
        place: (row.time(1)?, row.int(0)?),
        is_empty: row.int(2)? == 0,
        of_delivery: row.optional_int(3)?.is_some(),
    })
}

impl Store {
    /// Removes some of the letters, or the contents of some, or counts them.
    pub async fn retire_letters(
        &self,
        letters: &Letters<'_>,
        removal: Removal,
    ) -> Result<Step<LetterPlace>, StoreError> {
        let (from, behind) = letters.after.unwrap_or((Timestamp::default(), 0));
        let until = letters.before.max(letters.bodies_before);
        let rows = match letters.domain {
            Some(domain) => {
                let (from, until) = (Value::Time(from), Value::Time(until));
                let values = [Value::Text(domain.as_str()), from, until, Value::Int(behind), Value::Int(AT_ONCE)];
                self.backend().fetch(OF_DOMAIN, values).await?
            }
            None => self.backend().fetch(OF_NOBODY, [Value::Int(behind), Value::Int(AT_ONCE)]).await?,
        };
        let more = i64::try_from(rows.len()).is_ok_and(|rows| rows == AT_ONCE);
        let mut step = Step { removed: 0, place: None, more };
        let (mut gone, mut emptied) = (Vec::new(), Vec::new());
        for row in &rows {
            let Found { place, is_empty, of_delivery } = read(row)?;
            if place.0 >= until {
                step.more = false;
                break;
            }
            step.place = Some(place);
            if of_delivery {
                continue;
            }
            if place.0 < letters.before {
                gone.push(place.1);
            } else if !is_empty {
                emptied.push(place.1);
            }
        }
        step.removed = (gone.len() + emptied.len()) as u64;
        if removal == Removal::Remove && step.removed > 0 {
            retrying(|| self.remove_letters(&gone, &emptied)).await?;
        }
        Ok(step)
    }

    async fn remove_letters(&self, gone: &[i64], emptied: &[i64]) -> Result<(), StoreError> {
        let mut tx = self.backend().begin().await?;
        for id in gone {
            tx.execute("DELETE FROM dead_letters WHERE id = ?", [Value::Int(*id)]).await?;
        }
        for id in emptied {
            let sql = "UPDATE dead_letters SET envelope = ? WHERE id = ?";
            tx.execute(sql, [Value::Blob(&[]), Value::Int(*id)]).await?;
        }
        tx.commit().await
    }
}
