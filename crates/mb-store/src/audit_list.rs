//! The audit log as people search it: newest first, by cursor, at a bounded cost.
//!
//! Time, actor and object are found by an index; what else is asked for is looked at row by row, at most [`SCAN_ROWS`] of
//! them for one page. A page may therefore have fewer rows than asked for, even none, and still name a next one.

use mb_core::Timestamp;

use crate::Store;
use crate::audit::{self, AuditEntry};
use crate::audit_chain::AuditHead;
use crate::error::StoreError;
use crate::value::{Row, Value};

/// Which rows to list; `None` matches all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditFilter {
    /// Who.
    pub actor: Option<String>,
    /// What the action begins with.
    pub action: Option<String>,
    /// To what.
    pub object: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

/// A place in the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuditPlace {
    /// The row's time.
    pub at: Timestamp,
    /// The row's id.
    pub id: i64,
}

/// A row in the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedEntry {
    /// The row.
    pub entry: AuditEntry,
    /// The chain up to it, once it is chained.
    pub chained: Option<AuditHead>,
}

/// A page of the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditPage {
    /// The rows, newest first.
    pub entries: Vec<ListedEntry>,
    /// Where the next page begins, if there may be one.
    pub next: Option<AuditPlace>,
}

/// Rows that are looked at for one page.
pub(crate) const SCAN_ROWS: u32 = 10_000;

const WINDOW: u32 = 1000;

/// `?1` and `?2` are the bounds of the time, `?3` breaks ties at the upper one, `?4` is the number of rows.
macro_rules! window {
    ($by:literal) => {
        concat!(
            "SELECT id, at, actor, action, object, detail, position, hash FROM audit_log WHERE ",
            $by,
            "at >= ?1 AND at <= ?2 AND (at < ?2 OR id < ?3) ORDER BY at DESC, id DESC LIMIT ?4"
        )
    };
}

pub(crate) const BY_TIME: &str = window!("");
pub(crate) const BY_ACTOR: &str = window!("actor = ?5 AND ");
pub(crate) const BY_OBJECT: &str = window!("object = ?5 AND ");

/// A broken place in the chain is for its check to find, and keeps nobody from reading the list.
fn read_chained(row: &Row) -> Option<AuditHead> {
    Some(AuditHead { position: row.unsigned(6).ok()?, hash: row.array(7).ok()? })
}

impl AuditFilter {
    fn matches(&self, entry: &AuditEntry) -> bool {
        self.actor.as_ref().is_none_or(|actor| entry.actor == *actor)
            && self.action.as_ref().is_none_or(|action| entry.action.starts_with(action.as_str()))
            && self.object.as_ref().is_none_or(|object| entry.object == *object)
    }

    /// The statement, what it searches for, and whether it leaves rows that do not match.
    fn plan(&self) -> (&'static str, Value<'_>, bool) {
        let action = self.action.is_some();
        match (&self.object, &self.actor) {
            (Some(object), actor) => (BY_OBJECT, Value::Text(object), action || actor.is_some()),
            (None, Some(actor)) => (BY_ACTOR, Value::Text(actor), action),
            (None, None) => (BY_TIME, Value::Null, action),
        }
    }

    fn start(&self, after: Option<AuditPlace>) -> AuditPlace {
        let end = self.to.map_or(i64::MAX, |to| to.micros().saturating_sub(1));
        let end = AuditPlace { at: Timestamp::from_micros(end), id: i64::MAX };
        after.filter(|after| after.at <= end.at).unwrap_or(end)
    }
}

impl Store {
    /// At most `limit` rows that match, newest first, behind the place `after` if given.
    pub async fn audit_page(
        &self,
        filter: &AuditFilter,
        after: Option<AuditPlace>,
        limit: u32,
    ) -> Result<AuditPage, StoreError> {
        let (sql, wanted, sifts) = filter.plan();
        let window = if sifts { WINDOW } else { limit.saturating_add(1) };
        let from = Value::Time(filter.from.unwrap_or(Timestamp::from_micros(i64::MIN)));
        let mut place = filter.start(after);
        let mut entries = Vec::<ListedEntry>::new();
        let mut looked_at = 0;
        loop {
            let values = [from, Value::Time(place.at), Value::Int(place.id), Value::Int(window.into()), wanted];
            let rows = self.backend().fetch(sql, values).await?;
            for row in &rows {
                let entry = audit::read(row)?;
                place = AuditPlace { at: entry.at, id: entry.id };
                if !filter.matches(&entry) {
                    continue;
                }
                if entries.len() >= limit as usize {
                    let next = entries.last().map(|last| AuditPlace { at: last.entry.at, id: last.entry.id });
                    return Ok(AuditPage { entries, next });
                }
                entries.push(ListedEntry { chained: read_chained(row), entry });
            }
            looked_at += window;
            if rows.len() < window as usize {
                return Ok(AuditPage { entries, next: None });
            }
            if looked_at >= SCAN_ROWS {
                return Ok(AuditPage { entries, next: Some(place) });
            }
        }
    }
}
