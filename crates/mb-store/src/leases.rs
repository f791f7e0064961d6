//! Leases: who leads. A job that must run once, however many main servers there are, runs where its lease is held.
//!
//! Whether a lease has ended is judged by the database's clock, which all holders share; that of a file is this
//! machine's. Nothing but the holder depends on a lease, so taking one has no audit row - except one that nobody can
//! have taken, since it lasts longer than leases do: that one was made up, or a clock has leapt.

use std::time::Duration;

use mb_core::Timestamp;
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::error::StoreError;
use crate::value::{Row, Value};

const SELECT: &str = "SELECT holder, lease_until FROM leases WHERE name = ?";

/// Of so many lengths a lease lasts at most: its holders need not agree on the length to the second.
const LONGEST: u32 = 2;

/// A lease as it stands.
struct Lease {
    holder: String,
    until: Timestamp,
}

impl Lease {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { holder: row.text(0)?.to_owned(), until: row.time(1)? })
    }

    /// Whether it lasts longer than anybody can have taken it for.
    fn is_made_up(&self, now: Timestamp, ttl: Duration) -> bool {
        self.until > now.plus(ttl.saturating_mul(LONGEST))
    }

    /// Whether it keeps others from leading.
    fn holds(&self, now: Timestamp, ttl: Duration) -> bool {
        self.until > now && !self.is_made_up(now, ttl)
    }
}

impl Store {
    /// Takes or prolongs the lease `name` for `ttl`; whether `holder` has it now. Another's lease is taken once it has
    /// ended, or if it would last longer than leases do.
    pub async fn try_lead(&self, name: &str, holder: &str, ttl: Duration) -> Result<bool, StoreError> {
        // Who does not lead asks often; only who may take the lease waits for its turn to write.
        if self.leads(name, ttl).await?.is_some_and(|leader| leader != holder) {
            return Ok(false);
        }
        let mut tx = self.backend().begin().await?;
        let now = tx.now(self.clock()).await?;
        let held = tx.fetch_optional(SELECT, [Value::Text(name)]).await?;
        let held = held.as_ref().map(Lease::read).transpose()?;
        let others = held.as_ref().filter(|lease| lease.holder != holder);
        if others.is_some_and(|lease| lease.holds(now, ttl)) {
            tx.rollback().await?;
            return Ok(false);
        }
        if let Some(lease) = others.filter(|lease| lease.is_made_up(now, ttl)) {
            let detail = json!({ "holder": lease.holder, "until": lease.until });
            audit::insert(&mut tx, &Change::new(self, holder, "lease.distrust", name).detail(detail)).await?;
        }
        let sql = match held {
            Some(_) => "UPDATE leases SET holder = ?, lease_until = ? WHERE name = ?",
            None => "INSERT INTO leases (holder, lease_until, name) VALUES (?, ?, ?)",
        };
        tx.execute(sql, [Value::Text(holder), Value::Time(now.plus(ttl)), Value::Text(name)]).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Who has the lease `name` of length `ttl` now, if anybody.
    pub async fn leads(&self, name: &str, ttl: Duration) -> Result<Option<String>, StoreError> {
        let now = self.backend().now(self.clock()).await?;
        let held = self.backend().fetch_optional(SELECT, [Value::Text(name)]).await?;
        let held = held.as_ref().map(Lease::read).transpose()?;
        Ok(held.filter(|lease| lease.holds(now, ttl)).map(|lease| lease.holder))
    }

    /// Gives the lease back, so that the next one need not wait for its end.
    pub async fn end_lead(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        let mut tx = self.backend().begin().await?;
        tx.execute("DELETE FROM leases WHERE name = ? AND holder = ?", [Value::Text(name), Value::Text(holder)])
            .await?;
        tx.commit().await
    }

    /// Gives back the lease `name` if its holder's name begins with `lives`: whoever asks knows that such a one is dead.
    pub async fn end_lead_of(&self, name: &str, lives: &str) -> Result<(), StoreError> {
        let held = self.backend().fetch_optional(SELECT, [Value::Text(name)]).await?;
        match held.as_ref().map(Lease::read).transpose()? {
            Some(lease) if lease.holder.starts_with(lives) => self.end_lead(name, &lease.holder).await,
            _ => Ok(()),
        }
    }
}
