//! Dead letters: what cannot be stored as a message, kept with its raw envelope until someone decides.

use bytes::Bytes;
use mb_core::{DestinationId, Header, MessageId, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::Store;
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::value::{Row, Value};

/// A dead letter to store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewDeadLetter {
    /// The id that the envelope bears.
    pub message_id: MessageId,
    /// Why, a registered code.
    pub reason: String,
    /// The envelope as it came.
    pub envelope: Bytes,
    /// Its clear part, if it could be read; without it nobody but an admin sees the letter.
    pub header: Option<Header>,
    /// When.
    pub created_at: Timestamp,
}

impl NewDeadLetter {
    /// The reason of a letter that bears the id of a stored message and is another one.
    pub const CONFLICT: &'static str = "idempotency_conflict";

    /// Whether a stored message of the same id makes the letter superfluous.
    pub(crate) fn yields_to_message(&self) -> bool {
        self.reason != Self::CONFLICT
    }
}

/// A stored dead letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetterRow {
    /// Its id.
    pub id: i64,
    /// The id that the envelope bears.
    pub message_id: MessageId,
    /// Why.
    pub reason: String,
    /// The envelope as it came.
    pub envelope: Bytes,
    /// When.
    pub created_at: Timestamp,
}

const EXISTS: &str = "SELECT 1 FROM dead_letters WHERE message_id = ? AND digest = ?";
const INSERT: &str = "INSERT INTO dead_letters (message_id, digest, reason, envelope, client_id, domain, topic, \
                      queued_at, deliver_at, expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const OLDER: &str = "SELECT id, message_id, reason, envelope, created_at FROM dead_letters WHERE id < ? \
                     ORDER BY id DESC LIMIT ?";

fn read(row: &Row) -> Result<DeadLetterRow, StoreError> {
    Ok(DeadLetterRow {
        id: row.int(0)?,
        message_id: row.message_id(1)?,
        reason: row.text(2)?.to_owned(),
        envelope: Bytes::copy_from_slice(row.blob(3)?),
        created_at: row.time(4)?,
    })
}

impl Store {
    /// Dead letters older than `before` (all if `None`), newest first, at most `limit`.
    pub async fn dead_letters(&self, before: Option<i64>, limit: u32) -> Result<Vec<DeadLetterRow>, StoreError> {
        let values = [Value::Int(before.unwrap_or(i64::MAX)), Value::Int(limit.into())];
        self.backend().fetch(OLDER, values).await?.iter().map(read).collect()
    }
}

/// Stands for a delivery that was given up; whether it was inserted. The message is stored, so its envelope is not kept
/// once more.
pub(crate) async fn insert_delivery(
    tx: &mut Transaction,
    message: MessageId,
    destination: DestinationId,
    reason: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let digest = Sha256::digest(format!("destination {destination}"));
    let (id, digest) = (Value::Blob(message.as_bytes()), Value::Blob(&digest));
    if tx.fetch_optional(EXISTS, [id, digest]).await?.is_some() {
        return Ok(false);
    }
    let sql = "INSERT INTO dead_letters (message_id, digest, reason, envelope, client_id, domain, topic, queued_at, \
               deliver_at, expires_at, created_at, destination_id) SELECT message_id, ?, ?, ?, client_id, domain, topic, \
               queued_at, deliver_at, expires_at, ?, ? FROM messages WHERE message_id = ?";
    let (now, destination) = (Value::Time(now), Value::Int(destination.get()));
    tx.execute(sql, [digest, Value::Text(reason), Value::Blob(&[]), now, destination, id]).await?;
    Ok(true)
}

/// Inserts the letter unless the same envelope lies there already; whether it was inserted.
pub(crate) async fn insert(tx: &mut Transaction, letter: &NewDeadLetter) -> Result<bool, StoreError> {
    let digest = Sha256::digest(&letter.envelope);
    let (id, digest) = (Value::Blob(letter.message_id.as_bytes()), Value::Blob(&digest));
    if tx.fetch_optional(EXISTS, [id, digest]).await?.is_some() {
        return Ok(false);
    }
    let header = letter.header.as_ref();
    let values = [
        id,
        digest,
        Value::Text(&letter.reason),
        Value::Blob(&letter.envelope),
        Value::text(header.map(|header| header.client.as_str())),
        Value::text(header.map(|header| header.domain.as_str())),
        Value::text(header.map(|header| header.topic.as_str())),
        Value::time(header.map(|header| header.queued_at)),
        Value::time(header.and_then(|header| header.deliver_at)),
        Value::time(header.and_then(|header| header.expires_at)),
        Value::Time(letter.created_at),
    ];
    tx.execute(INSERT, values).await?;
    Ok(true)
}
