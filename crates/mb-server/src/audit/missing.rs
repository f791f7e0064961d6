//! Rows that were removed or changed before they were chained, when the chain cannot show it yet.
//!
//! What this process has committed it knows beside the database, and compares until the row has its place. Where ids have
//! no gaps of themselves, one that is lacking shows too what was removed while no process knew: after a crash, that is.
//! Either is recorded in the log, where the check finds it for good, and raises a notice.

use std::collections::{BTreeMap, BTreeSet};

use mb_api::dto::AuditFaultKind;
use mb_core::NoticeLevel;
use mb_store::{AuditEntry, StoreError};
use serde_json::json;

use super::at;
use crate::app::App;
use crate::notices;

/// What records that a row is gone.
const LOST: &str = "audit.lost";
/// What records that a row is another now.
const CHANGED: &str = "audit.changed";
const ACTOR: &str = "system:main-server";
/// Rows that are waited for; where nothing is chained for so long, the oldest are given up first.
const WAITING: usize = 10_000;

/// Compares what was recorded with what is there.
#[derive(Debug, Default)]
pub(super) struct Missing {
    waiting: Vec<AuditEntry>,
    /// Rows that were told of already.
    told: BTreeSet<i64>,
}

impl Missing {
    /// Looks for what was recorded and has no place yet, or none that was looked at.
    pub(super) async fn compare(&mut self, app: &App) -> Result<(), StoreError> {
        self.waiting.extend(app.store.recorded_audit());
        self.waiting.drain(..self.waiting.len().saturating_sub(WAITING));
        let ids = || self.waiting.iter().map(|entry| entry.id);
        let (Some(first), Some(last)) = (ids().min(), ids().max()) else { return Ok(()) };
        let rows = app.store.audit_between(first, last).await?;
        let rows = rows.into_iter().map(|(row, chained)| (row.id, (row, chained))).collect::<BTreeMap<_, _>>();
        let untold = self.waiting.iter().filter(|entry| !self.told.contains(&entry.id));
        let found = untold.filter_map(|entry| match rows.get(&entry.id) {
            None => Some((LOST, entry.clone())),
            Some((row, _)) if row != entry => Some((CHANGED, entry.clone())),
            Some(_) => None,
        });
        for (action, entry) in found.collect::<Vec<_>>() {
            tell(app, action, &entry.id.to_string(), json!({ "was": described(&entry) })).await?;
            self.told.insert(entry.id);
        }
        let told = &self.told;
        self.waiting
            .retain(|entry| !told.contains(&entry.id) && rows.get(&entry.id).is_some_and(|(_, chained)| !chained));
        while self.told.len() > WAITING {
            self.told.pop_first();
        }
        Ok(())
    }

    /// Looks for ids that are lacking before or among rows that are about to be chained; whether it has recorded some.
    pub(super) async fn look_for_gaps(&self, app: &App, rows: &[AuditEntry]) -> Result<bool, StoreError> {
        if rows.is_empty() || !app.store.audit_counts_without_gaps() {
            return Ok(false);
        }
        let head = app.store.audit_head().await?;
        let Some(mut last) = at(&app.store, head.position).await?.map(|row| row.entry.id) else { return Ok(false) };
        let mut found = false;
        for row in rows {
            let (from, to) = (last.saturating_add(1), row.id - 1);
            last = last.max(row.id);
            let told = if from <= to { self.told.range(from..=to).count() } else { 0 };
            let lacking = u64::try_from(to.saturating_sub(from).saturating_add(1)).unwrap_or(0);
            if lacking > told as u64 {
                let object = if from == to { from.to_string() } else { format!("{from} to {to}") };
                tell(app, LOST, &object, json!({ "rows": lacking - told as u64 })).await?;
                found = true;
            }
        }
        Ok(found)
    }
}

async fn tell(app: &App, action: &str, rows: &str, what: serde_json::Value) -> Result<(), StoreError> {
    app.store.audit(ACTOR, action, rows, what).await?;
    let detail = describe(action, rows).map_or_else(String::new, |(_, detail)| detail);
    notices::audit_touched(app, "unchained", NoticeLevel::Error, &detail).await
}

fn described(entry: &AuditEntry) -> serde_json::Value {
    let AuditEntry { at, actor, action, object, detail, .. } = entry;
    json!({ "at": at, "actor": actor, "action": action, "object": object, "detail": detail })
}

/// The fault that a row of the log tells of, if it does.
pub(super) fn fault(row: &AuditEntry) -> Option<(AuditFaultKind, String)> {
    if row.actor == ACTOR { describe(&row.action, &row.object) } else { None }
}

fn describe(action: &str, rows: &str) -> Option<(AuditFaultKind, String)> {
    match action {
        LOST => Some((AuditFaultKind::Missing, format!("row {rows} was removed before it was chained"))),
        CHANGED => Some((AuditFaultKind::Changed, format!("row {rows} was changed before it was chained"))),
        _ => None,
    }
}
