//! Reading messages: which are there, how they stand, and one in full.
//!
//! Many ids go to `SQLite` as one value, the ids one after the other, and come apart there: one statement text serves any
//! number of them, and binding costs the same for one and for a thousand. `MySQL` would make a table of them before it
//! looks for any; there they are a list of parameters.

use std::collections::HashSet;

use bytes::Bytes;
use mb_core::{ClientName, Header, MessageId, MessageState, Timestamp, Topic};

use crate::Store;
use crate::backend::{Backend, Transaction};
use crate::error::StoreError;
use crate::statement::Dialects;
use crate::value::{Row, Value};

/// The most ids in one statement; more are asked for in several.
pub(crate) const IDS_PER_STATEMENT: usize = 1000;

/// How a message stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageStatus {
    /// The message.
    pub message_id: MessageId,
    /// Who sent it.
    pub client: ClientName,
    /// How it stands; one that exists only as a dead letter has failed.
    pub status: MessageState,
    /// What it is about.
    pub topic: Topic,
    /// When the proxy accepted it.
    pub queued_at: Timestamp,
    /// When it came into the store.
    pub registered_at: Timestamp,
    /// When all had taken it.
    pub delivered_at: Option<Timestamp>,
    /// When it was given up.
    pub failed_at: Option<Timestamp>,
    /// How often delivery was tried.
    pub attempt_count: u64,
    /// What last went wrong.
    pub last_error: Option<String>,
    /// Not to be delivered before.
    pub deliver_at: Option<Timestamp>,
    /// Not to be delivered after.
    pub expires_at: Option<Timestamp>,
}

/// What the store holds under a message's id: enough to compare it with another message of that id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExistingMessage {
    /// The clear part, the key's id with it.
    pub header: Header,
    /// Nonce, ciphertext and tag.
    pub sealed: Bytes,
}

/// A message in full.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageRow {
    /// The clear part, the key's id with it.
    pub header: Header,
    /// Nonce, ciphertext and tag.
    pub sealed: Bytes,
    /// The sender's number under the search key.
    pub sender_number_hashed: Option<[u8; 32]>,
    /// How it stands.
    pub status: MessageState,
    /// How often delivery was tried.
    pub attempt_count: u64,
    /// When it came into the store.
    pub registered_at: Timestamp,
    /// When all had taken it.
    pub delivered_at: Option<Timestamp>,
    /// When it was given up.
    pub failed_at: Option<Timestamp>,
    /// What last went wrong.
    pub last_error: Option<String>,
}

/// A statement over the table `ids (wanted)`, made of `?1`, the ids one after the other, and `?2`, their number.
macro_rules! with_ids {
    ($($rest:expr),+) => {
        concat!(
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2), \
             ids (wanted) AS (SELECT substr(?1, i * 16 + 1, 16) FROM n) ",
            $($rest),+
        )
    };
}

pub(crate) use with_ids;

/// A statement over the rows of a table with these ids, in the words of each database; `?1` are the ids, `?2` is their
/// number.
macro_rules! by_ids {
    ($columns:literal, $table:literal $(, $rest:literal)?) => {
        crate::statement::Dialects {
            sqlite: crate::messages::with_ids!($columns, " FROM ids CROSS JOIN ", $table, " ON message_id = wanted WHERE TRUE " $(, $rest)?),
            mysql: concat!($columns, " FROM ", $table, " WHERE message_id IN (?1) " $(, $rest)?),
        }
    };
}

pub(crate) use by_ids;

/// The epoch, and which ids are lacking or, in `MySQL`, present.
pub(crate) const LACKING: Dialects = Dialects {
    sqlite: with_ids!(
        "SELECT 0, value FROM settings WHERE name = 'epoch' UNION ALL \
         SELECT 1, wanted FROM ids WHERE NOT EXISTS (SELECT 1 FROM messages WHERE message_id = wanted) \
         AND NOT EXISTS (SELECT 1 FROM dead_letters WHERE message_id = wanted) \
         AND NOT EXISTS (SELECT 1 FROM tombstones WHERE message_id = wanted)"
    ),
    mysql: "SELECT 0, value FROM settings WHERE name = 'epoch' UNION ALL \
            SELECT 1, message_id FROM messages WHERE message_id IN (?1) UNION ALL \
            SELECT 1, message_id FROM dead_letters WHERE message_id IN (?1) UNION ALL \
            SELECT 1, message_id FROM tombstones WHERE message_id IN (?1)",
};

pub(crate) const PRESENT: Dialects = Dialects {
    sqlite: with_ids!("SELECT wanted FROM ids WHERE EXISTS (SELECT 1 FROM messages WHERE message_id = wanted)"),
    mysql: "SELECT message_id FROM messages WHERE message_id IN (?1)",
};

pub(crate) const EXISTING: Dialects = by_ids!(
    "SELECT message_id, key_id, queued_at, deliver_at, expires_at, client_id, domain, topic, encrypted_body",
    "messages"
);

pub(crate) const STATUSES: Dialects = by_ids!(
    "SELECT message_id, client_id, topic, queued_at, registered_at, deliver_at, expires_at, last_error, status, \
     delivered_at, failed_at, attempt_count",
    "messages",
    "AND (?3 IS NULL OR client_id = ?3)"
);

pub(crate) const DEAD_STATUSES: Dialects = by_ids!(
    "SELECT message_id, client_id, topic, queued_at, created_at, deliver_at, expires_at, reason",
    "dead_letters",
    "AND client_id IS NOT NULL AND (?3 IS NULL OR client_id = ?3) \
     AND NOT EXISTS (SELECT 1 FROM messages WHERE messages.message_id = dead_letters.message_id) ORDER BY dead_letters.id"
);

pub(crate) const MESSAGE: &str = "SELECT message_id, key_id, queued_at, deliver_at, expires_at, client_id, domain, \
     topic, encrypted_body, sender_number_hashed, status, attempt_count, registered_at, delivered_at, failed_at, last_error \
     FROM messages WHERE message_id = ?";

macro_rules! note_given_up {
    ($of:literal) => {
        concat!(
            "UPDATE messages SET last_error = ?3, failed_at = CASE WHEN status = 'failed' THEN ?4 ELSE NULL END \
             WHERE message_id IN ",
            $of
        )
    };
}

const NOTE_GIVEN_UP: Dialects =
    Dialects { sqlite: with_ids!(note_given_up!("(SELECT wanted FROM ids)")), mysql: note_given_up!("(?1)") };

fn read_header(row: &Row) -> Result<Header, StoreError> {
    Ok(Header {
        message_id: row.message_id(0)?,
        key_id: row.key_id(1)?,
        queued_at: row.time(2)?,
        deliver_at: row.optional_time(3)?,
        expires_at: row.optional_time(4)?,
        client: row.client(5)?,
        domain: row.domain(6)?,
        topic: row.topic(7)?,
    })
}

fn read_state(row: &Row, at: usize) -> Result<MessageState, StoreError> {
    MessageState::parse(row.text(at)?).ok_or(StoreError::Damaged("message status"))
}

fn read_message(row: &Row) -> Result<MessageRow, StoreError> {
    Ok(MessageRow {
        header: read_header(row)?,
        sealed: Bytes::copy_from_slice(row.blob(8)?),
        sender_number_hashed: row.optional_blob(9)?.is_some().then(|| row.array(9)).transpose()?,
        status: read_state(row, 10)?,
        attempt_count: row.unsigned(11)?,
        registered_at: row.time(12)?,
        delivered_at: row.optional_time(13)?,
        failed_at: row.optional_time(14)?,
        last_error: row.optional_text(15)?.map(str::to_owned),
    })
}

/// Reads the columns that messages and dead letters share; what is left is that of a dead letter.
pub(crate) fn read_dead_status(row: &Row) -> Result<MessageStatus, StoreError> {
    let registered_at = row.time(4)?;
    Ok(MessageStatus {
        message_id: row.message_id(0)?,
        client: row.client(1)?,
        status: MessageState::Failed,
        topic: row.topic(2)?,
        queued_at: row.time(3)?,
        registered_at,
        delivered_at: None,
        failed_at: Some(registered_at),
        attempt_count: 0,
        last_error: row.optional_text(7)?.map(str::to_owned),
        deliver_at: row.optional_time(5)?,
        expires_at: row.optional_time(6)?,
    })
}

pub(crate) fn read_status(row: &Row) -> Result<MessageStatus, StoreError> {
    Ok(MessageStatus {
        status: read_state(row, 8)?,
        delivered_at: row.optional_time(9)?,
        failed_at: row.optional_time(10)?,
        attempt_count: row.unsigned(11)?,
        ..read_dead_status(row)?
    })
}

/// Ids and their number, the first values of a statement over ids.
pub(crate) fn id_values(ids: &[MessageId]) -> [Value<'_>; 2] {
    [Value::Ids(ids), Value::unsigned(ids.len() as u64)]
}

/// Those of `ids` that are not among `these`, in their order.
fn others(ids: &[MessageId], these: &[MessageId]) -> Vec<MessageId> {
    let these = these.iter().collect::<HashSet<_>>();
    ids.iter().filter(|id| !these.contains(id)).copied().collect()
}

impl Store {
    /// The store's epoch and which of `ids` it has neither as message nor as dead letter, and that were not expunged.
    pub async fn lacking(&self, ids: &[MessageId]) -> Result<([u8; 16], Vec<MessageId>), StoreError> {
        let mut epoch = None;
        let mut lacking = Vec::new();
        let mut rest = ids;
        while let Some((chunk, behind)) = rest.split_at_checked(rest.len().min(IDS_PER_STATEMENT)) {
            if chunk.is_empty() {
                break;
            }
            rest = behind;
            let mut named = Vec::new();
            for row in self.backend().fetch(LACKING, id_values(chunk)).await? {
                match row.int(0)? {
                    0 if epoch.is_none() => epoch = Some(row.array(1)?),
                    // The first chunk's epoch is answered: if it changes meanwhile, the next question shows the new one.
                    0 => {}
                    _ => named.push(row.message_id(1)?),
                }
            }
            lacking.extend(match self.backend() {
                Backend::Sqlite(_) => named,
                Backend::MySql(_) => others(chunk, &named),
            });
        }
        match epoch {
            Some(epoch) => Ok((epoch, lacking)),
            None => Ok((self.epoch().await?, lacking)),
        }
    }

    /// How the messages stand that are there and, if a client is given, are its own; in no particular order.
    pub async fn statuses(
        &self,
        client: Option<&ClientName>,
        ids: &[MessageId],
    ) -> Result<Vec<MessageStatus>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(IDS_PER_STATEMENT) {
            let [ids, count] = id_values(chunk);
            let values = [ids, count, Value::text(client.map(ClientName::as_str))];
            let rows = self.backend().fetch(STATUSES, values).await?;
            for row in &rows {
                found.push(read_status(row)?);
            }
            if rows.len() == chunk.len() {
                continue;
            }
            let first = found.len();
            for row in self.backend().fetch(DEAD_STATUSES, values).await? {
                let status = read_dead_status(&row)?;
                if !found[first..].iter().any(|known| known.message_id == status.message_id) {
                    found.push(status);
                }
            }
        }
        Ok(found)
    }

    /// A message in full.
    pub async fn message(&self, id: MessageId) -> Result<Option<MessageRow>, StoreError> {
        let row = self.backend().fetch_optional(MESSAGE, [Value::Blob(id.as_bytes())]).await?;
        row.as_ref().map(read_message).transpose()
    }
}

/// Reads the columns of [`EXISTING`].
pub(crate) fn read_existing(row: &Row) -> Result<ExistingMessage, StoreError> {
    Ok(ExistingMessage { header: read_header(row)?, sealed: Bytes::copy_from_slice(row.blob(8)?) })
}

/// Which of `ids` are in `messages`, as this transaction sees it.
pub(crate) async fn present(tx: &mut Transaction, ids: &[MessageId]) -> Result<Vec<MessageId>, StoreError> {
    let mut present = Vec::new();
    for chunk in ids.chunks(IDS_PER_STATEMENT) {
        for row in tx.fetch(PRESENT, id_values(chunk)).await? {
            present.push(row.message_id(0)?);
        }
    }
    Ok(present)
}

/// Notes of messages that came in just now that a delivery of theirs was given up at once.
pub(crate) async fn note_given_up(
    tx: &mut Transaction,
    ids: &[MessageId],
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    for chunk in ids.chunks(IDS_PER_STATEMENT) {
        let [ids, count] = id_values(chunk);
        tx.execute(NOTE_GIVEN_UP, [ids, count, Value::Text(reason), Value::Time(now)]).await?;
    }
    Ok(())
}

/// What is stored under `ids`, as this transaction sees it.
pub(crate) async fn existing(tx: &mut Transaction, ids: &[MessageId]) -> Result<Vec<ExistingMessage>, StoreError> {
    let mut existing = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(IDS_PER_STATEMENT) {
        for row in tx.fetch(EXISTING, id_values(chunk)).await? {
            existing.push(read_existing(&row)?);
        }
    }
    Ok(existing)
}
