//! The audit log: who changed what. A row is inserted in the transaction of its change, so neither exists without the
//! other. What changes nothing is recorded by a call of its own.

use mb_core::Timestamp;
use mb_core::audit::AuditRecord;
use serde_json::json;

use crate::Store;
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::value::{Row, Value};

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

impl AuditEntry {
    /// The entry as the hash chain takes it.
    pub fn record(&self) -> AuditRecord<'_> {
        let Self { id, at, actor, action, object, detail } = self;
        AuditRecord { id: *id, at: *at, actor, action, object, detail }
    }
}

/// A change on its way into the log.
pub(crate) struct Change<'a> {
    at: Timestamp,
    actor: &'a str,
    action: &'a str,
    object: &'a str,
    detail: serde_json::Value,
}

impl<'a> Change<'a> {
    pub(crate) fn new(store: &Store, actor: &'a str, action: &'a str, object: &'a str) -> Self {
        Self { at: store.now(), actor, action, object, detail: json!({}) }
    }

    pub(crate) fn detail(self, detail: serde_json::Value) -> Self {
        Self { detail, ..self }
    }
}

pub(crate) async fn insert(tx: &mut Transaction, change: &Change<'_>) -> Result<(), StoreError> {
    let detail = change.detail.to_string();
    let Change { at, actor, action, object, .. } = *change;
    let values = [Value::Time(at), Value::Text(actor), Value::Text(action), Value::Text(object), Value::Text(&detail)];
    let sql = "INSERT INTO audit_log (at, actor, action, object, detail) VALUES (?, ?, ?, ?, ?)";
    let id = tx.insert(sql, values).await?;
    let entry = AuditEntry { id, at, actor: actor.into(), action: action.into(), object: object.into(), detail };
    tx.recorded().push(entry);
    Ok(())
}

impl Store {
    /// Records what changes nothing in the store: a sign-in, a refusal, the opening of a body. `detail` is a JSON object.
    pub async fn audit(
        &self,
        actor: &str,
        action: &str,
        object: &str,
        detail: serde_json::Value,
    ) -> Result<(), StoreError> {
        let mut tx = self.backend().begin().await?;
        insert(&mut tx, &Change::new(self, actor, action, object).detail(detail)).await?;
        tx.commit().await
    }

    /// What this store has recorded since it was last asked, oldest first, as it was when it was committed. Nobody else
    /// knows: who removes a row from the database before it is chained cannot remove it from here.
    pub fn recorded_audit(&self) -> Vec<AuditEntry> {
        self.backend().recorded().take()
    }

    /// Entries older than `before` (all if `None`), newest first, at most `limit`.
    pub async fn audit_log(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let values = [Value::Int(before.unwrap_or(i64::MAX)), Value::Int(limit.into())];
        let sql = "SELECT id, at, actor, action, object, detail FROM audit_log WHERE id < ? ORDER BY id DESC LIMIT ?";
        self.backend().fetch(sql, values).await?.iter().map(read).collect()
    }
}

/// Reads id, time, actor, action, object and detail, the first columns of `row`.
pub(crate) fn read(row: &Row) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        id: row.int(0)?,
        at: row.time(1)?,
        actor: row.text(2)?.to_owned(),
        action: row.text(3)?.to_owned(),
        object: row.text(4)?.to_owned(),
        detail: row.text(5)?.to_owned(),
    })
}
