//! Dead letters: what cannot be stored as a message, kept with its raw envelope until someone decides.

use bytes::Bytes;
use mb_core::{ClientName, DestinationId, DomainName, Header, MessageId, Timestamp, Topic};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::messages::{id_values, with_ids};
use crate::statement::Dialects;
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

/// Which dead letters are meant; `None` matches all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeadLetterFilter {
    /// Their tenant.
    pub domain: Option<DomainName>,
    /// Where they should have gone.
    pub destination: Option<DestinationId>,
    /// Why.
    pub reason: Option<String>,
    /// The message.
    pub message: Option<MessageId>,
    /// Not before.
    pub since: Option<Timestamp>,
}

/// A dead letter as it is listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedDeadLetter {
    /// Its id.
    pub id: i64,
    /// The id that the envelope bears.
    pub message_id: MessageId,
    /// Why.
    pub reason: String,
    /// When.
    pub created_at: Timestamp,
    /// Who sent it, if that could be read.
    pub client: Option<ClientName>,
    /// The tenant, if it could be read.
    pub domain: Option<DomainName>,
    /// What it is about, if it could be read.
    pub topic: Option<Topic>,
    /// Where it should have gone; `None`: it never became a message.
    pub destination: Option<DestinationId>,
    /// How often that was tried.
    pub attempts: Option<u64>,
    /// What last went wrong.
    pub last_error: Option<String>,
}

pub(crate) const PAGE: &str = "SELECT dead_letters.id, dead_letters.message_id, reason, dead_letters.created_at, \
     client_id, domain, topic, dead_letters.destination_id, attempts, last_error FROM dead_letters \
     LEFT JOIN deliveries ON deliveries.message_id = dead_letters.message_id \
     AND deliveries.destination_id = dead_letters.destination_id \
     WHERE dead_letters.id < ?1 AND (?2 IS NULL OR domain = ?2) \
     AND (?3 IS NULL OR dead_letters.destination_id = ?3) AND (?4 IS NULL OR reason = ?4) \
     AND (?5 IS NULL OR dead_letters.message_id = ?5) AND (?6 IS NULL OR dead_letters.created_at >= ?6) \
     ORDER BY dead_letters.id DESC LIMIT ?7";

fn read_listed(row: &Row) -> Result<ListedDeadLetter, StoreError> {
    let is = |at: usize| row.optional_text(at).map(|text| text.is_some());
    Ok(ListedDeadLetter {
        id: row.int(0)?,
        message_id: row.message_id(1)?,
        reason: row.text(2)?.to_owned(),
        created_at: row.time(3)?,
        client: is(4)?.then(|| row.client(4)).transpose()?,
        domain: is(5)?.then(|| row.domain(5)).transpose()?,
        topic: is(6)?.then(|| row.topic(6)).transpose()?,
        destination: row.optional_int(7)?.map(DestinationId::new),
        attempts: row.optional_int(8)?.and_then(|count| u64::try_from(count).ok()),
        last_error: row.optional_text(9)?.map(str::to_owned),
    })
}

const EXISTS: &str = "SELECT 1 FROM dead_letters WHERE message_id = ? AND digest = ?";
const INSERT: &str = "INSERT INTO dead_letters (message_id, digest, reason, envelope, client_id, domain, topic, \
                      queued_at, deliver_at, expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
/// Where the count of dead letters ends: nobody needs to know how many more there are.
const MOST_COUNTED: i64 = 1_000_000;
pub(crate) const COUNT: &str = "SELECT COUNT(*) FROM (SELECT id FROM dead_letters ORDER BY id LIMIT ?) AS some";
const REMOVE_DELIVERIES: Dialects = Dialects {
    sqlite: with_ids!("DELETE FROM dead_letters WHERE destination_id = ?3 AND message_id IN (SELECT wanted FROM ids)"),
    mysql: "DELETE FROM dead_letters WHERE destination_id = ?3 AND message_id IN (?1)",
};
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
    /// Dead letters that match, older than `before` (all if `None`), newest first, at most `limit`.
    pub async fn dead_letter_page(
        &self,
        filter: &DeadLetterFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<ListedDeadLetter>, StoreError> {
        let values = [
            Value::Int(before.unwrap_or(i64::MAX)),
            Value::text(filter.domain.as_ref().map(DomainName::as_str)),
            Value::int(filter.destination.map(DestinationId::get)),
            filter.reason.as_deref().map_or(Value::Null, Value::name),
            Value::blob(filter.message.as_ref().map(|id| id.as_bytes().as_slice())),
            Value::time(filter.since),
            Value::Int(limit.into()),
        ];
        self.backend().fetch(PAGE, values).await?.iter().map(read_listed).collect()
    }

    /// A dead letter with its envelope.
    pub async fn dead_letter(&self, id: i64) -> Result<Option<DeadLetterRow>, StoreError> {
        let sql = "SELECT id, message_id, reason, envelope, created_at FROM dead_letters WHERE id = ?";
        self.backend().fetch_optional(sql, [Value::Int(id)]).await?.as_ref().map(read).transpose()
    }

    /// How many dead letters lie there, up to [`MOST_COUNTED`].
    pub async fn open_dead_letters(&self) -> Result<u64, StoreError> {
        let row = self.backend().fetch_optional(COUNT, [Value::Int(MOST_COUNTED)]).await?;
        row.map_or(Ok(0), |row| row.unsigned(0))
    }

    /// Removes dead letters for good; how many there were. Their deliveries stay as they are: given up.
    pub async fn purge_dead_letters(&self, ids: &[i64], action: &str, actor: &str) -> Result<u64, StoreError> {
        let mut tx = self.backend().begin().await?;
        let mut purged = 0;
        for id in ids {
            purged += tx.execute("DELETE FROM dead_letters WHERE id = ?", [Value::Int(*id)]).await?;
        }
        let detail = json!({ "letters": ids, "removed": purged });
        audit::insert(&mut tx, &Change::new(self, actor, action, "dead letters").detail(detail)).await?;
        tx.commit().await?;
        Ok(purged)
    }

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

/// Removes what stands for deliveries that were given up and are open again.
pub(crate) async fn remove_deliveries(
    tx: &mut Transaction,
    messages: &[MessageId],
    destination: DestinationId,
) -> Result<(), StoreError> {
    let [ids, count] = id_values(messages);
    tx.execute(REMOVE_DELIVERIES, [ids, count, Value::Int(destination.get())]).await.map(drop)
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
