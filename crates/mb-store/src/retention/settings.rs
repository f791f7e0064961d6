//! For how long things are kept, and how far their removal has come: both for all main servers of a store.

use mb_core::{DomainName, Retention, Timestamp};
use serde_json::json;

use super::{RetentionPlace, Retired};
use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::statement::Dialects;
use crate::value::{Row, Value};

const NAME: &str = "retention";

const PROGRESS: &str = "SELECT queued_at, message_id, round_at FROM retention_progress WHERE domain = ? AND what = ?";

const NOTE: Dialects = Dialects {
    sqlite: "INSERT INTO retention_progress (domain, what, queued_at, message_id, round_at) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (domain, what) DO UPDATE SET queued_at = excluded.queued_at, \
             message_id = excluded.message_id, round_at = excluded.round_at",
    mysql: "INSERT INTO retention_progress (domain, what, queued_at, message_id, round_at) VALUES (?, ?, ?, ?, ?) \
            ON DUPLICATE KEY UPDATE queued_at = VALUES(queued_at), message_id = VALUES(message_id), \
            round_at = VALUES(round_at)",
};

/// How far the messages of a domain were gone through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetentionProgress {
    /// The last that was looked at.
    pub place: RetentionPlace,
    /// When the round began that came so far.
    pub round_at: Timestamp,
}

fn read(row: &Row) -> Result<Retention, StoreError> {
    serde_json::from_slice(row.blob(0)?).map_err(|_| StoreError::Damaged("retention"))
}

async fn current(tx: &mut Transaction) -> Result<Option<Retention>, StoreError> {
    let row = tx.fetch_optional("SELECT value FROM settings WHERE name = ?", [Value::Text(NAME)]).await?;
    row.as_ref().map(read).transpose()
}

impl Store {
    /// For how long things are kept, unless a domain says otherwise.
    pub async fn retention(&self) -> Result<Retention, StoreError> {
        let sql = "SELECT value FROM settings WHERE name = ?";
        let row = self.backend().fetch_optional(sql, [Value::Text(NAME)]).await?;
        Ok(row.as_ref().map(read).transpose()?.unwrap_or_default())
    }

    /// Sets it. What is too old by then is removed by the next run, and comes back by no later change.
    pub async fn set_retention(&self, retention: &Retention, actor: &str) -> Result<(), StoreError> {
        let mut tx = self.backend().begin().await?;
        let before = current(&mut tx).await?;
        if before.unwrap_or_default() == *retention {
            return tx.rollback().await;
        }
        let value = json!(retention).to_string();
        let sql = match before {
            Some(_) => "UPDATE settings SET value = ? WHERE name = ?",
            None => "INSERT INTO settings (value, name) VALUES (?, ?)",
        };
        tx.execute(sql, [Value::Blob(value.as_bytes()), Value::Text(NAME)]).await?;
        let detail = json!({ "from": before.unwrap_or_default(), "to": retention });
        audit::insert(&mut tx, &Change::new(self, actor, "retention.set", "retention").detail(detail)).await?;
        tx.commit().await
    }

    /// How far it has come with a domain's messages; `None`: no round has begun.
    pub async fn retention_progress(
        &self,
        domain: &DomainName,
        what: Retired,
    ) -> Result<Option<RetentionProgress>, StoreError> {
        let values = [Value::Text(domain.as_str()), Value::Text(what.as_str())];
        let row = self.backend().fetch_optional(PROGRESS, values).await?;
        row.map(|row| Ok(RetentionProgress { place: (row.time(0)?, row.message_id(1)?), round_at: row.time(2)? }))
            .transpose()
    }

    /// Notes how far. What is not noted is only gone through once more.
    pub async fn note_retention(
        &self,
        domain: &DomainName,
        what: Retired,
        progress: &RetentionProgress,
    ) -> Result<(), StoreError> {
        let mut tx = self.backend().begin_leasing().await?;
        let values = [
            Value::Text(domain.as_str()),
            Value::Text(what.as_str()),
            Value::Time(progress.place.0),
            Value::Blob(progress.place.1.as_bytes()),
            Value::Time(progress.round_at),
        ];
        tx.execute(NOTE, values).await?;
        tx.commit().await
    }

    /// What time it is by the clock that all main servers of this store share.
    pub async fn shared_now(&self) -> Result<Timestamp, StoreError> {
        self.backend().now(self.clock()).await
    }
}
