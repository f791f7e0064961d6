//! The audit log: who changed what. A row is inserted in the transaction of its change, so neither exists without the
//! other.

use mb_core::Timestamp;
use serde_json::json;

use crate::Store;
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::value::Value;

/// A row of the audit log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEntry {
    /// Its place in the log.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What was done, `thing.verb`.
    pub action: String,
    /// To what.
    pub object: String,
    /// More, a JSON object.
    pub detail: String,
}

/// A change on its way into the log.
pub(crate) struct Change<'a> {
    at: Timestamp,
    actor: &'a str,
    action: &'static str,
    object: &'a str,
    detail: serde_json::Value,
}

impl<'a> Change<'a> {
    pub(crate) fn new(store: &Store, actor: &'a str, action: &'static str, object: &'a str) -> Self {
        Self { at: store.now(), actor, action, object, detail: json!({}) }
    }

    pub(crate) fn detail(self, detail: serde_json::Value) -> Self {
        Self { detail, ..self }
    }
}

pub(crate) async fn insert(tx: &mut Transaction, change: &Change<'_>) -> Result<(), StoreError> {
    let detail = change.detail.to_string();
    let values = [
        Value::Time(change.at),
        Value::Text(change.actor),
        Value::Text(change.action),
        Value::Text(change.object),
        Value::Text(&detail),
    ];
    tx.execute("INSERT INTO audit_log (at, actor, action, object, detail) VALUES (?, ?, ?, ?, ?)", values).await?;
    Ok(())
}

impl Store {
    /// Entries older than `before` (all if `None`), newest first, at most `limit`.
    pub async fn audit_log(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let values = [Value::Int(before.unwrap_or(i64::MAX)), Value::Int(limit.into())];
        let sql = "SELECT id, at, actor, action, object, detail FROM audit_log WHERE id < ? ORDER BY id DESC LIMIT ?";
        let rows = self.backend().fetch(sql, values).await?;
        rows.iter()
            .map(|row| {
                Ok(AuditEntry {
                    id: row.int(0)?,
                    at: row.time(1)?,
                    actor: row.text(2)?.to_owned(),
                    action: row.text(3)?.to_owned(),
                    object: row.text(4)?.to_owned(),
                    detail: row.text(5)?.to_owned(),
                })
            })
            .collect()
    }
}
