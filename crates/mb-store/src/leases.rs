//! Leases: who leads. A job that must run once, however many main servers there are, runs where its lease is held.
//!
//! Whether a lease has ended is judged by the database's clock, which all holders share; that of a file is this
//! machine's. Nothing but the holder depends on a lease, so taking one has no audit row.

use std::time::Duration;

use crate::Store;
use crate::error::StoreError;
use crate::value::Value;

const SELECT: &str = "SELECT holder, lease_until FROM leases WHERE name = ?";

impl Store {
    /// Takes or prolongs the lease `name` for `ttl`; whether `holder` has it now. Another's lease is taken once it has
    /// ended.
    pub async fn try_lead(&self, name: &str, holder: &str, ttl: Duration) -> Result<bool, StoreError> {
        let now = self.backend().now(self.clock()).await?;
        let name = Value::Text(name);
        // Who does not lead asks often; only who may take the lease waits for its turn to write.
        if let Some(row) = self.backend().fetch_optional(SELECT, [name]).await?
            && row.text(0)? != holder
            && row.time(1)? > now
        {
            return Ok(false);
        }
        let mut tx = self.backend().begin().await?;
        let now = tx.now(self.clock()).await?;
        let held = tx.fetch_optional(SELECT, [name]).await?;
        let others = held.as_ref().map(|row| Ok::<_, StoreError>(row.text(0)? != holder && row.time(1)? > now));
        if others.transpose()? == Some(true) {
            tx.rollback().await?;
            return Ok(false);
        }
        let sql = match held {
            Some(_) => "UPDATE leases SET holder = ?, lease_until = ? WHERE name = ?",
            None => "INSERT INTO leases (holder, lease_until, name) VALUES (?, ?, ?)",
        };
        tx.execute(sql, [Value::Text(holder), Value::Time(now.plus(ttl)), name]).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Gives the lease back, so that the next one need not wait for its end.
    pub async fn end_lead(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        let mut tx = self.backend().begin().await?;
        tx.execute("DELETE FROM leases WHERE name = ? AND holder = ?", [Value::Text(name), Value::Text(holder)])
            .await?;
        tx.commit().await
    }
}
