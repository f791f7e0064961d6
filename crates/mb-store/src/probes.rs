//! Trials of destinations on their way from who asks for one to a worker and back, whichever main servers these speak to.
//!
//! They are of no consequence and last for as long as somebody waits, so that a row is forgotten rather than mended.

use std::time::Duration;

use mb_core::{AttemptId, Timestamp};

use crate::Store;
use crate::error::StoreError;
use crate::statement::Dialects;
use crate::value::Value;

/// The most at once.
const MOST: i64 = 64;
/// Nobody waits for longer.
const WAITED_FOR: Duration = Duration::from_secs(30);

const WAITING: &str = "SELECT 1 FROM probes WHERE taken_at IS NULL AND asked_at > ? LIMIT 1";
const UNTAKEN: Dialects = Dialects {
    sqlite: "SELECT id, asked FROM probes WHERE taken_at IS NULL AND asked_at > ? LIMIT ?",
    mysql: "SELECT id, asked FROM probes WHERE taken_at IS NULL AND asked_at > ? LIMIT ? FOR UPDATE SKIP LOCKED",
};

impl Store {
    /// Asks for a trial; `false` if there are too many. `asked` says what to try.
    pub async fn ask_probe(&self, id: AttemptId, asked: &str) -> Result<bool, StoreError> {
        let mut tx = self.backend().begin_leasing().await?;
        let now = tx.now(self.clock()).await?;
        tx.execute("DELETE FROM probes WHERE asked_at < ?", [Value::Time(now.minus(WAITED_FOR))]).await?;
        let count = tx.fetch_optional("SELECT COUNT(*) FROM probes", []).await?;
        if count.map(|row| row.int(0)).transpose()?.unwrap_or(0) >= MOST {
            tx.rollback().await?;
            return Ok(false);
        }
        let values = [Value::Blob(id.as_bytes()), Value::Text(asked), Value::Time(now)];
        tx.execute("INSERT INTO probes (id, asked, asked_at) VALUES (?, ?, ?)", values).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Whether a trial waits for a worker.
    pub async fn has_probes(&self) -> Result<bool, StoreError> {
        let since = self.live_since(WAITED_FOR).await?;
        Ok(self.backend().fetch_optional(WAITING, [Value::Time(since)]).await?.is_some())
    }

    /// The trials that wait for a worker; each is given to one.
    pub async fn take_probes(&self) -> Result<Vec<String>, StoreError> {
        let mut tx = self.backend().begin_leasing().await?;
        let now = tx.now(self.clock()).await?;
        let mut taken = Vec::new();
        for row in tx.fetch(UNTAKEN, [Value::Time(now.minus(WAITED_FOR)), Value::Int(MOST)]).await? {
            let sql = "UPDATE probes SET taken_at = ? WHERE id = ?";
            tx.execute(sql, [Value::Time(now), Value::Blob(row.blob(0)?)]).await?;
            taken.push(row.text(1)?.to_owned());
        }
        tx.commit().await?;
        Ok(taken)
    }

    /// Keeps a report for who has asked for it; opaque here.
    pub async fn answer_probe(&self, id: AttemptId, report: &[u8]) -> Result<(), StoreError> {
        let mut tx = self.backend().begin_leasing().await?;
        let values = [Value::Blob(report), Value::Blob(id.as_bytes())];
        tx.execute("UPDATE probes SET report = ? WHERE id = ?", values).await?;
        tx.commit().await
    }

    /// The report of a trial, if there is one.
    pub async fn probe_report(&self, id: AttemptId) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT report FROM probes WHERE id = ?";
        let row = self.backend().fetch_optional(sql, [Value::Blob(id.as_bytes())]).await?;
        Ok(row.as_ref().map(|row| row.optional_blob(0)).transpose()?.flatten().map(<[u8]>::to_vec))
    }

    /// Nobody waits for a trial any more.
    pub async fn forget_probe(&self, id: AttemptId) -> Result<(), StoreError> {
        let mut tx = self.backend().begin_leasing().await?;
        tx.execute("DELETE FROM probes WHERE id = ?", [Value::Blob(id.as_bytes())]).await?;
        tx.commit().await
    }

    /// Forgets trials of which those who asked are gone.
    pub async fn sweep_probes(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.backend().begin_leasing().await?;
        let gone = tx.execute("DELETE FROM probes WHERE asked_at < ?", [Value::Time(before)]).await?;
        tx.commit().await?;
        Ok(gone)
    }
}
