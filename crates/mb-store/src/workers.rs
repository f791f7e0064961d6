//! Workers as main servers see them: a row for each, written with its heartbeat, whichever of them it speaks to.
//!
//! Whether a worker is alive is judged by the database's clock. As of proxies, nobody decides anything here, so a row has no
//! audit row.

use std::time::Duration;

use mb_core::Timestamp;

use crate::Store;
use crate::error::StoreError;
use crate::statement::Dialects;
use crate::value::{Row, Value};

/// What a worker has said of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkerBeat {
    /// Its name in leases; at most 255 characters.
    pub id: String,
    /// The name in its certificate.
    pub name: String,
    /// Its program's version; at most 64 characters.
    pub version: String,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// Messages that it has claimed and not registered.
    pub claimed: u64,
    /// Deliveries that it holds.
    pub held: u64,
    /// Those of them that are being sent.
    pub in_flight: u64,
    /// Messages that it registers in a minute.
    pub registered_per_minute: u64,
    /// Attempts that it makes in a minute.
    pub attempts_per_minute: u64,
    /// For how long no batch of it was taken.
    pub failing_seconds: u64,
    /// What it says of the queue, a JSON object.
    pub queue: String,
}

/// A worker that was heard of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeenWorker {
    /// What it said at last.
    pub beat: WorkerBeat,
    /// When.
    pub seen_at: Timestamp,
}

/// The most workers that are listed.
const MOST: i64 = 1000;

const SEEN: Dialects = Dialects {
    sqlite: "INSERT INTO workers (id, name, version, started_at, claimed, held, in_flight, registered_per_minute, \
             attempts_per_minute, failing_seconds, queue, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version, \
             started_at = excluded.started_at, claimed = excluded.claimed, held = excluded.held, \
             in_flight = excluded.in_flight, registered_per_minute = excluded.registered_per_minute, \
             attempts_per_minute = excluded.attempts_per_minute, failing_seconds = excluded.failing_seconds, \
             queue = excluded.queue, seen_at = excluded.seen_at",
    mysql: "INSERT INTO workers (id, name, version, started_at, claimed, held, in_flight, registered_per_minute, \
            attempts_per_minute, failing_seconds, queue, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
            ON DUPLICATE KEY UPDATE name = VALUES(name), version = VALUES(version), started_at = VALUES(started_at), \
            claimed = VALUES(claimed), held = VALUES(held), in_flight = VALUES(in_flight), \
            registered_per_minute = VALUES(registered_per_minute), attempts_per_minute = VALUES(attempts_per_minute), \
            failing_seconds = VALUES(failing_seconds), queue = VALUES(queue), seen_at = VALUES(seen_at)",
};

const ALL: &str = "SELECT id, name, version, started_at, claimed, held, in_flight, registered_per_minute, \
                   attempts_per_minute, failing_seconds, queue, seen_at FROM workers ORDER BY seen_at DESC, id LIMIT ?";

const SWEEP: Dialects = Dialects {
    sqlite: "DELETE FROM workers WHERE id IN (SELECT id FROM workers WHERE seen_at < ? LIMIT ?)",
    mysql: "DELETE FROM workers WHERE seen_at < ? LIMIT ?",
};

fn read(row: &Row) -> Result<SeenWorker, StoreError> {
    let beat = WorkerBeat {
        id: row.text(0)?.to_owned(),
        name: row.text(1)?.to_owned(),
        version: row.text(2)?.to_owned(),
        started_at: row.time(3)?,
        claimed: row.unsigned(4)?,
        held: row.unsigned(5)?,
        in_flight: row.unsigned(6)?,
        registered_per_minute: row.unsigned(7)?,
        attempts_per_minute: row.unsigned(8)?,
        failing_seconds: row.unsigned(9)?,
        queue: row.text(10)?.to_owned(),
    };
    Ok(SeenWorker { beat, seen_at: row.time(11)? })
}

impl Store {
    /// Notes that a worker lives.
    pub async fn worker_seen(&self, beat: &WorkerBeat) -> Result<(), StoreError> {
        let mut tx = self.backend().begin_leasing().await?;
        let values = [
            Value::Text(&beat.id),
            Value::Text(&beat.name),
            Value::Text(&beat.version),
            Value::Time(beat.started_at),
            Value::unsigned(beat.claimed),
            Value::unsigned(beat.held),
            Value::unsigned(beat.in_flight),
            Value::unsigned(beat.registered_per_minute),
            Value::unsigned(beat.attempts_per_minute),
            Value::unsigned(beat.failing_seconds),
            Value::Text(&beat.queue),
            Value::Time(tx.now(self.clock()).await?),
        ];
        tx.execute(SEEN, values).await?;
        tx.commit().await
    }

    /// Forgets a worker that ends.
    pub async fn worker_left(&self, id: &str) -> Result<(), StoreError> {
        let mut tx = self.backend().begin_leasing().await?;
        tx.execute("DELETE FROM workers WHERE id = ?", [Value::Text(id)]).await?;
        tx.commit().await
    }

    /// The workers that were heard of, the latest first.
    pub async fn seen_workers(&self) -> Result<Vec<SeenWorker>, StoreError> {
        self.backend().fetch(ALL, [Value::Int(MOST)]).await?.iter().map(read).collect()
    }

    /// Whether a worker was heard of within this time.
    pub async fn has_workers(&self, within: Duration) -> Result<bool, StoreError> {
        let since = self.live_since(within).await?;
        let sql = "SELECT 1 FROM workers WHERE seen_at > ? LIMIT 1";
        Ok(self.backend().fetch_optional(sql, [Value::Time(since)]).await?.is_some())
    }

    /// Forgets at most `limit` workers that were last heard of before then; how many.
    pub async fn sweep_workers(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut tx = self.backend().begin_leasing().await?;
        let gone = tx.execute(SWEEP, [Value::Time(before), Value::Int(limit.into())]).await?;
        tx.commit().await?;
        Ok(gone)
    }
}
