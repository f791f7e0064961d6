//! Why a message is where it is: its deliveries and what was tried.

use std::time::Duration;

use mb_core::{AttemptClass, AttemptId, DeliveryState, DestinationId, MessageId, Timestamp};

use super::read_state;
use crate::Store;
use crate::destinations::{self, DestinationRow, EVER};
use crate::error::StoreError;
use crate::value::{Row, Value};

/// A delivery of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryRow {
    /// Where to, deleted or not.
    pub destination: DestinationId,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is due, or its lease ends.
    pub due_at: Option<Timestamp>,
    /// Who holds it.
    pub leased_by: Option<String>,
    /// What last went wrong.
    pub last_error: Option<String>,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// When it became final.
    pub finished_at: Option<Timestamp>,
}

/// An attempt as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredAttempt {
    /// Its id.
    pub attempt: AttemptId,
    /// Where to.
    pub destination: DestinationId,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// How it ended.
    pub class: AttemptClass,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What went wrong, in words.
    pub detail: Option<String>,
    /// What was answered, sealed.
    pub answer: Option<Vec<u8>>,
    /// Who made it.
    pub worker: String,
}

pub(crate) const DELIVERIES: &str = "SELECT destination_id, state, attempts, due_at, leased_by, last_error, \
     created_at, finished_at FROM deliveries WHERE message_id = ? ORDER BY destination_id";
pub(crate) const ATTEMPTS: &str = "SELECT attempt_id, destination_id, at, duration_us, class, status, detail, answer, \
     worker FROM attempts WHERE id IN (SELECT id FROM (SELECT id FROM attempts WHERE message_id = ? \
     ORDER BY id DESC LIMIT ?) AS newest) ORDER BY at, id";

fn read_delivery(row: &Row) -> Result<DeliveryRow, StoreError> {
    Ok(DeliveryRow {
        destination: DestinationId::new(row.int(0)?),
        state: read_state(row, 1)?,
        attempts: u32::try_from(row.unsigned(2)?).unwrap_or(u32::MAX),
        due_at: row.optional_time(3)?,
        leased_by: row.optional_text(4)?.map(str::to_owned),
        last_error: row.optional_text(5)?.map(str::to_owned),
        created_at: row.time(6)?,
        finished_at: row.optional_time(7)?,
    })
}

fn read_attempt(row: &Row) -> Result<StoredAttempt, StoreError> {
    Ok(StoredAttempt {
        attempt: AttemptId::from_bytes(row.array(0)?),
        destination: DestinationId::new(row.int(1)?),
        at: row.time(2)?,
        duration: Duration::from_micros(row.unsigned(3)?),
        class: AttemptClass::parse(row.text(4)?).ok_or(StoreError::Damaged("attempt class"))?,
        status: row.optional_int(5)?.and_then(|status| u16::try_from(status).ok()),
        detail: row.optional_text(6)?.map(str::to_owned),
        answer: row.optional_blob(7)?.map(<[u8]>::to_vec),
        worker: row.text(8)?.to_owned(),
    })
}

impl Store {
    /// The deliveries of a message.
    pub async fn deliveries(&self, message: MessageId) -> Result<Vec<DeliveryRow>, StoreError> {
        let rows = self.backend().fetch(DELIVERIES, [Value::Blob(message.as_bytes())]).await?;
        rows.iter().map(read_delivery).collect()
    }

    /// The last `limit` attempts to deliver a message, in the order in which they were made.
    pub async fn attempts(&self, message: MessageId, limit: u32) -> Result<Vec<StoredAttempt>, StoreError> {
        let values = [Value::Blob(message.as_bytes()), Value::Int(limit.into())];
        self.backend().fetch(ATTEMPTS, values).await?.iter().map(read_attempt).collect()
    }

    /// A destination by its number, deleted or not.
    pub async fn destination_ever(&self, id: DestinationId) -> Result<Option<DestinationRow>, StoreError> {
        let row = self.backend().fetch_optional(EVER, [Value::Int(id.get())]).await?;
        row.as_ref().map(destinations::read).transpose()
    }
}
