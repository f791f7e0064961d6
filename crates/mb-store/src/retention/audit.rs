//! The audit log's beginning: where it is cut off, and the removal of what lies before.
//!
//! The cut is one value, opaque here, that is put in its place first; rows before it count no more from then on, and go in
//! bounded steps. The checkpoint at the cut stays: it signs the hash of the last row that went.

use mb_core::Timestamp;
use serde_json::Value as Json;

use crate::Store;
use crate::audit::{self, Change};
use crate::audit_chain::AuditCheckpoint;
use crate::error::StoreError;
use crate::statement::Dialects;
use crate::value::Value;

const NAME: &str = "audit_start";
const SELECT: &str = "SELECT value FROM settings WHERE name = ?";

const ROWS: Dialects = Dialects {
    sqlite: "DELETE FROM audit_log WHERE id IN \
             (SELECT id FROM audit_log WHERE position <= ?1 ORDER BY position LIMIT ?2)",
    mysql: "DELETE FROM audit_log WHERE position <= ?1 ORDER BY position LIMIT ?2",
};

const CHECKPOINTS: Dialects = Dialects {
    sqlite: "DELETE FROM audit_checkpoints WHERE id IN \
             (SELECT id FROM audit_checkpoints WHERE id <= ?2 AND position < ?1 ORDER BY id)",
    mysql: "DELETE FROM audit_checkpoints WHERE id <= ?2 AND position < ?1",
};

/// The oldest checkpoints are at the front.
const FIRST: &str = "SELECT id FROM audit_checkpoints ORDER BY id LIMIT 1";

impl Store {
    /// What stands for the log's beginning; `None`: it was never cut.
    pub async fn audit_start(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.setting(NAME).await
    }

    /// Lets the log begin elsewhere, if it still begins at `from`; whether it did. `detail` is for the log itself.
    pub async fn move_audit_start(
        &self,
        from: Option<&[u8]>,
        to: &[u8],
        detail: Json,
        actor: &str,
    ) -> Result<bool, StoreError> {
        let mut tx = self.backend().begin().await?;
        let found = tx.fetch_optional(SELECT, [Value::Text(NAME)]).await?;
        if found.as_ref().map(|row| row.blob(0)).transpose()? != from {
            tx.rollback().await?;
            return Ok(false);
        }
        let sql = match found {
            Some(_) => "UPDATE settings SET value = ? WHERE name = ?",
            None => "INSERT INTO settings (value, name) VALUES (?, ?)",
        };
        tx.execute(sql, [Value::Blob(to), Value::Text(NAME)]).await?;
        audit::insert(&mut tx, &Change::new(self, actor, "audit.prune", "audit log").detail(detail)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Removes at most `limit` rows that lie at `position` or before, and the checkpoints before it; how many rows.
    pub async fn prune_audit(&self, position: u64, limit: u32) -> Result<u64, StoreError> {
        let first = self.backend().fetch_optional(FIRST, []).await?.map(|row| row.int(0)).transpose()?;
        let mut tx = self.backend().begin().await?;
        let gone = tx.execute(ROWS, [Value::unsigned(position), Value::Int(limit.into())]).await?;
        if let Some(first) = first {
            let last = first.saturating_add(limit.into());
            tx.execute(CHECKPOINTS, [Value::unsigned(position), Value::Int(last)]).await?;
        }
        tx.commit().await?;
        Ok(gone)
    }

    /// Of the first checkpoints behind `position`, at most `limit`, those made before then, in order.
    pub async fn old_checkpoints(
        &self,
        position: u64,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<AuditCheckpoint>, StoreError> {
        let (mut old, mut after) = (Vec::new(), 0);
        loop {
            let page = self.checkpoints(after, limit).await?;
            let full = page.len() == limit as usize;
            for (id, checkpoint) in page {
                after = id;
                if checkpoint.position <= position {
                    continue;
                }
                if checkpoint.at >= before || old.len() == limit as usize {
                    return Ok(old);
                }
                old.push(checkpoint);
            }
            if !full {
                return Ok(old);
            }
        }
    }
}
