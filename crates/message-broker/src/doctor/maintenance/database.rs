//! The database: how large, what it has counted, and how it grows.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use mb_core::Timestamp;
use mb_store::{CounterEvent, Store, StoreError};
use serde::Serialize;

use super::growth::Grower;
use super::{Finding, Section, days, size};
use crate::output;

const DAY: Duration = Duration::from_hours(24);
/// The days over which the pace is measured.
const MEASURED_DAYS: u32 = 30;
/// Of fewer messages, what else lies in the database says too much of the bytes of each.
const ENOUGH: u64 = 10_000;

/// What is known of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Database {
    /// On its disk; as a server estimates them.
    bytes: u64,
    /// Free for later within the file; `null` for a server.
    free_bytes: Option<u64>,
    /// Rows of messages, about.
    messages: u64,
    /// Registered ever, and of late.
    registered: u64,
    last_24h: u64,
    last_7d: u64,
    last_30d: u64,
    by_status: BTreeMap<&'static str, u64>,
    /// Dead letters that wait for somebody.
    dead_letters: u64,
    messages_per_day: u64,
    /// All bytes over all messages; `null`: there are too few.
    bytes_per_message: Option<u64>,
    /// How long messages are kept, in the domain that keeps them longest.
    kept_days: u64,
}

pub(super) async fn look(store: &Store, now: Timestamp) -> Result<Section<Database>, StoreError> {
    let (described, stats) = (store.describe().await?, store.message_stats(None).await?);
    let free_bytes = described.described.file.map(|file| file.free);
    let messages = described.described.tables.get("messages").map_or(0, |table| table.rows);
    let held = described.bytes.saturating_sub(free_bytes.unwrap_or(0));
    let own = store.domains().await?.into_iter().filter_map(|domain| domain.rules.retention_days).max();
    let database = Database {
        bytes: described.bytes,
        free_bytes,
        messages,
        registered: stats.total,
        last_24h: stats.last_24h,
        last_7d: stats.last_7d,
        last_30d: stats.last_30d,
        by_status: stats.by_status.into_iter().map(|(status, count)| (status.as_str(), count)).collect(),
        dead_letters: store.open_dead_letters().await?,
        messages_per_day: stats.last_30d / measured_days(store, now, stats.total > stats.last_30d).await?,
        bytes_per_message: (messages >= ENOUGH).then(|| held / messages),
        kept_days: store.retention().await?.metadata_days.max(own.unwrap_or(0)).into(),
    };
    let said = findings(&database);
    Ok((database, said))
}

/// A system that is younger has its pace from as many days as it has.
async fn measured_days(store: &Store, now: Timestamp, is_older: bool) -> Result<u64, StoreError> {
    if is_older {
        return Ok(MEASURED_DAYS.into());
    }
    let counts = store.hour_counts(None, now.minus(DAY * MEASURED_DAYS), now.plus(DAY)).await?;
    let registered = counts.into_iter().filter(|count| count.event == CounterEvent::Registered);
    let first = registered.map(|count| count.at).min().unwrap_or(now);
    Ok(days(now.since(first)).max(1))
}

impl Database {
    /// What comes in a day; when all of it is as old as messages are kept, as much goes as comes.
    pub(super) fn grower(&self, path: PathBuf) -> Grower {
        let per_day = self.bytes_per_message.map(|bytes| bytes.saturating_mul(self.messages_per_day));
        let at_most = per_day.map(|pace| self.bytes.max(pace.saturating_mul(self.kept_days)));
        Grower { what: "database", path, bytes: self.bytes, per_day, at_most }
    }
}

fn findings(database: &Database) -> Vec<Finding> {
    let free = database.free_bytes.map_or_else(String::new, |free| format!(", {} of it free", size(free)));
    let each = match database.bytes_per_message {
        Some(bytes) => format!(", {bytes} bytes for each"),
        None => String::new(),
    };
    let held = format!("{}{free}; {} held{each}", size(database.bytes), output::counted(database.messages, "message"));
    let Database { registered, last_24h, last_7d, last_30d, messages_per_day, .. } = database;
    let counted = format!(
        "{registered} ever, {last_24h} in 24 hours, {last_7d} in 7 days, {last_30d} in 30 days: {messages_per_day} a day"
    );
    let by_status = database.by_status.iter().map(|(status, count)| format!("{count} {status}")).collect::<Vec<_>>();
    let letters = match database.dead_letters {
        0 => Finding::ok("dead letters", "none waits"),
        count => {
            let detail = format!("{count} wait for somebody");
            let fix = "`message-broker admin dead-letters list`; then redrive or purge them";
            Finding::warn("dead letters", detail, fix)
        }
    };
    vec![
        Finding::ok("database", held),
        Finding::ok("messages", counted),
        Finding::ok("messages by status", by_status.join(", ")),
        letters,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(bytes: u64, messages_per_day: u64, bytes_per_message: Option<u64>) -> Database {
        Database {
            bytes,
            free_bytes: None,
            messages: 20_000,
            registered: 20_000,
            last_24h: 0,
            last_7d: 0,
            last_30d: 0,
            by_status: BTreeMap::new(),
            dead_letters: 0,
            messages_per_day,
            bytes_per_message,
            kept_days: 180,
        }
    }

    #[test]
    fn a_database_grows_by_what_comes_until_as_much_is_removed() {
        let young = database(1_000_000, 100, Some(700)).grower(PathBuf::new());
        assert_eq!((young.per_day, young.at_most), (Some(70_000), Some(12_600_000)));
        let old = database(20_000_000, 100, Some(700)).grower(PathBuf::new());
        assert_eq!(old.at_most, Some(20_000_000), "a file does not shrink, and grows no more");
        let empty = database(400_000, 1, None).grower(PathBuf::new());
        assert_eq!((empty.per_day, empty.at_most), (None, None), "too few messages tell nothing");
    }
}
