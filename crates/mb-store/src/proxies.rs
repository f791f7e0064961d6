//! Proxies as main servers see them: a row for each, written when it asks for news. All main servers of one store so know
//! how many there are, whichever of them a proxy asks.
//!
//! Whether a proxy is alive is judged by the database's clock, which all share. Nobody decides anything here that a person
//! could ask about later, so a row has no audit row.

use std::time::Duration;

use mb_core::{JournalBacklog, JournalFaults, Timestamp};

use crate::Store;
use crate::error::StoreError;
use crate::statement::Dialects;
use crate::value::{Row, Value};

/// What a proxy has said of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// One proxy's own, however many share its certificate; at most 64 ASCII characters.
    pub id: String,
    /// The name in its certificate.
    pub name: String,
    /// The policy's version that it holds.
    pub policy_version: Option<u64>,
    /// Milliseconds that its clock is ahead of the main server's that it asked.
    pub clock_ahead_ms: Option<i64>,
    /// What is wrong with its journal.
    pub faults: JournalFaults,
    /// What waits in it.
    pub backlog: JournalBacklog,
}

/// A proxy that was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeenProxy {
    /// What it said at last.
    pub heartbeat: Heartbeat,
    /// When.
    pub seen_at: Timestamp,
}

/// The most proxies that are listed.
const MOST: i64 = 1000;

const SEEN: Dialects = Dialects {
    sqlite: "INSERT INTO proxies (id, name, policy_version, clock_ahead_ms, seen_at, damaged, stale, refused, waiting, \
             oldest_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
             policy_version = excluded.policy_version, clock_ahead_ms = excluded.clock_ahead_ms, \
             seen_at = excluded.seen_at, damaged = excluded.damaged, stale = excluded.stale, \
             refused = excluded.refused, waiting = excluded.waiting, oldest_at = excluded.oldest_at",
    mysql: "INSERT INTO proxies (id, name, policy_version, clock_ahead_ms, seen_at, damaged, stale, refused, waiting, \
            oldest_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE name = VALUES(name), \
            policy_version = VALUES(policy_version), clock_ahead_ms = VALUES(clock_ahead_ms), \
            seen_at = VALUES(seen_at), damaged = VALUES(damaged), stale = VALUES(stale), refused = VALUES(refused), \
            waiting = VALUES(waiting), oldest_at = VALUES(oldest_at)",
};

const SWEEP: Dialects = Dialects {
    sqlite: "DELETE FROM proxies WHERE id IN (SELECT id FROM proxies WHERE seen_at < ? LIMIT ?)",
    mysql: "DELETE FROM proxies WHERE seen_at < ? LIMIT ?",
};

fn read(row: &Row) -> Result<SeenProxy, StoreError> {
    let version = row.optional_int(2)?;
    let heartbeat = Heartbeat {
        id: row.text(0)?.to_owned(),
        name: row.text(1)?.to_owned(),
        policy_version: version
            .map(|version| version.try_into().map_err(|_| StoreError::Damaged("count")))
            .transpose()?,
        clock_ahead_ms: row.optional_int(3)?,
        faults: faults(row, 5)?,
        backlog: JournalBacklog { waiting: row.unsigned(8)?, oldest: row.optional_time(9)? },
    };
    Ok(SeenProxy { heartbeat, seen_at: row.time(4)? })
}

/// The counts from column `at` on.
fn faults(row: &Row, at: usize) -> Result<JournalFaults, StoreError> {
    Ok(JournalFaults { damaged: row.unsigned(at)?, stale: row.unsigned(at + 1)?, refused: row.unsigned(at + 2)? })
}

impl Store {
    /// What was said last of the journal of the proxy with this id; nothing of one that was never seen.
    pub async fn journal_faults(&self, id: &str) -> Result<JournalFaults, StoreError> {
        let sql = "SELECT damaged, stale, refused FROM proxies WHERE id = ?";
        let row = self.backend().fetch_optional(sql, [Value::Text(id)]).await?;
        row.map_or(Ok(JournalFaults::default()), |row| faults(&row, 0))
    }

    /// Notes that these proxies live.
    pub async fn proxies_seen(&self, heartbeats: &[Heartbeat]) -> Result<(), StoreError> {
        let mut tx = self.backend().begin_leasing().await?;
        let now = tx.now(self.clock()).await?;
        for heartbeat in heartbeats {
            let values = [
                Value::Text(&heartbeat.id),
                Value::Text(&heartbeat.name),
                heartbeat.policy_version.map_or(Value::Null, Value::unsigned),
                Value::int(heartbeat.clock_ahead_ms),
                Value::Time(now),
                Value::unsigned(heartbeat.faults.damaged),
                Value::unsigned(heartbeat.faults.stale),
                Value::unsigned(heartbeat.faults.refused),
                Value::unsigned(heartbeat.backlog.waiting),
                Value::time(heartbeat.backlog.oldest),
            ];
            tx.execute(SEEN, values).await?;
        }
        tx.commit().await
    }

    /// Proxies that were seen after this are those that were seen within `within`.
    pub async fn live_since(&self, within: Duration) -> Result<Timestamp, StoreError> {
        Ok(self.backend().now(self.clock()).await?.minus(within))
    }

    /// How many proxies were seen within this time.
    pub async fn live_proxies(&self, within: Duration) -> Result<u32, StoreError> {
        let since = self.live_since(within).await?;
        let row = self.backend().fetch_optional("SELECT COUNT(*) FROM proxies WHERE seen_at > ?", [Value::Time(since)]);
        Ok(row.await?.and_then(|row| row.optional_count(0).transpose()).transpose()?.unwrap_or(0))
    }

    /// The proxies that were seen, the latest first.
    pub async fn seen_proxies(&self) -> Result<Vec<SeenProxy>, StoreError> {
        let sql = "SELECT id, name, policy_version, clock_ahead_ms, seen_at, damaged, stale, refused, waiting, \
                   oldest_at FROM proxies ORDER BY seen_at DESC, id LIMIT ?";
        self.backend().fetch(sql, [Value::Int(MOST)]).await?.iter().map(read).collect()
    }

    /// Forgets at most `limit` proxies that were last seen before then; how many.
    pub async fn sweep_proxies(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut tx = self.backend().begin_leasing().await?;
        let gone = tx.execute(SWEEP, [Value::Time(before), Value::Int(limit.into())]).await?;
        tx.commit().await?;
        Ok(gone)
    }
}
