//! A client's newest messages, in short. Counters do not tell clients apart; so many of its last messages as are looked at
//! here cost the same however many there are.

use mb_core::{ClientName, MessageState, Timestamp};

use crate::Store;
use crate::error::StoreError;
use crate::value::Value;

/// A message, as figures need it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShortMessage {
    /// How it stands.
    pub status: MessageState,
    /// When it was accepted.
    pub queued_at: Timestamp,
    /// Not to be delivered before.
    pub deliver_at: Option<Timestamp>,
    /// When all had taken it.
    pub delivered_at: Option<Timestamp>,
    /// What last went wrong.
    pub last_error: Option<String>,
}

pub(crate) const NEWEST: &str = "SELECT status, queued_at, deliver_at, delivered_at, last_error FROM messages \
                                 WHERE client_id = ?1 AND queued_at >= ?2 ORDER BY queued_at DESC LIMIT ?3";

impl Store {
    /// The newest messages of a client, at most `limit`, that were accepted not before `since`; the newest first.
    pub async fn newest_messages(
        &self,
        client: &ClientName,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<ShortMessage>, StoreError> {
        let values = [Value::Text(client.as_str()), Value::Time(since), Value::Int(limit.into())];
        let rows = self.backend().fetch(NEWEST, values).await?;
        rows.iter()
            .map(|row| {
                Ok(ShortMessage {
                    status: MessageState::parse(row.text(0)?).ok_or(StoreError::Damaged("message status"))?,
                    queued_at: row.time(1)?,
                    deliver_at: row.optional_time(2)?,
                    delivered_at: row.optional_time(3)?,
                    last_error: row.optional_text(4)?.map(str::to_owned),
                })
            })
            .collect()
    }
}
