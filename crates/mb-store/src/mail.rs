//! The mail that waits to be sent. A mail is leased before it is tried: whoever has it moves its next attempt behind the
//! lease, and a report counts only while no other has it. The body, which may bear a token, is dropped with its sending.
//!
//! What happens to a mail is no change of anything that a person decides, so it has no audit row; what caused it has.

use std::time::Duration;

use bytes::Bytes;
use mb_core::Timestamp;

use crate::Store;
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::statement::Dialects;
use crate::value::{Row, Value};

/// A mail to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewMail {
    /// The address.
    pub to: String,
    /// The subject line.
    pub subject: String,
    /// The body, sealed or plain; opaque here.
    pub body: Bytes,
    /// From when on it is of no use to its reader.
    pub expires_at: Option<Timestamp>,
}

/// A mail that was leased for an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mail {
    /// Its id.
    pub id: i64,
    /// The address.
    pub to: String,
    /// The subject line.
    pub subject: String,
    /// The body as it was given.
    pub body: Bytes,
    /// When it was given.
    pub created_at: Timestamp,
    /// As in [`NewMail`].
    pub expires_at: Option<Timestamp>,
    /// Which attempt this is, from 1.
    pub attempt: u64,
}

/// What became of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MailOutcome {
    /// A mail server has taken it.
    Sent,
    /// To be tried again at a time; with the reason.
    Retry(Timestamp, String),
    /// Never to be tried again; with the reason.
    GivenUp(String),
}

/// How much mail waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MailBacklog {
    /// Mails that wait for their next attempt.
    pub waiting: u64,
    /// When the oldest of them was given.
    pub oldest: Option<Timestamp>,
}

const DUE: &str = "SELECT id, recipient, subject, body, created_at, expires_at, attempts FROM mail_outbox \
                   WHERE next_attempt_at <= ? ORDER BY next_attempt_at, id LIMIT ?";

/// What another one is leasing is passed by; where there is one writer, no other one is.
const LEASE: Dialects = Dialects {
    sqlite: DUE,
    mysql: "SELECT id, recipient, subject, body, created_at, expires_at, attempts FROM mail_outbox \
            WHERE next_attempt_at <= ? ORDER BY next_attempt_at, id LIMIT ? FOR UPDATE SKIP LOCKED",
};

fn read(row: &Row) -> Result<Mail, StoreError> {
    Ok(Mail {
        id: row.int(0)?,
        to: row.text(1)?.to_owned(),
        subject: row.text(2)?.to_owned(),
        body: Bytes::copy_from_slice(row.blob(3)?),
        created_at: row.time(4)?,
        expires_at: row.optional_time(5)?,
        attempt: row.unsigned(6)? + 1,
    })
}

impl Store {
    /// Stores a mail to be sent as soon as can be.
    pub async fn enqueue_mail(&self, mail: &NewMail) -> Result<(), StoreError> {
        let mut tx = self.backend().begin().await?;
        insert(&mut tx, mail, self.now()).await?;
        tx.commit().await
    }

    /// Takes at most `limit` mails that are due; nobody else gets them for the length of `lease`.
    pub async fn lease_mail(&self, limit: u32, lease: Duration) -> Result<Vec<Mail>, StoreError> {
        let now = self.now();
        let due = [Value::Time(now), Value::Int(limit.into())];
        if self.backend().fetch_optional(DUE, [Value::Time(now), Value::Int(1)]).await?.is_none() {
            return Ok(Vec::new());
        }
        let mut tx = self.backend().begin_leasing().await?;
        let mails = tx.fetch(LEASE, due).await?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        for mail in &mails {
            let sql = "UPDATE mail_outbox SET next_attempt_at = ?, attempts = ? WHERE id = ?";
            let values = [Value::Time(now.plus(lease)), Value::unsigned(mail.attempt), Value::Int(mail.id)];
            tx.execute(sql, values).await?;
        }
        tx.commit().await?;
        Ok(mails)
    }

    /// Reports an attempt; `false`, and nothing is changed, if another has the mail by now or it is done with.
    pub async fn report_mail(&self, mail: &Mail, outcome: &MailOutcome) -> Result<bool, StoreError> {
        let now = Value::Time(self.now());
        let (next, sent, given_up, error) = match outcome {
            MailOutcome::Sent => (Value::Null, now, Value::Null, Value::Null),
            MailOutcome::Retry(at, error) => (Value::Time(*at), Value::Null, Value::Null, Value::Text(error)),
            MailOutcome::GivenUp(error) => (Value::Null, Value::Null, now, Value::Text(error)),
        };
        let body = if matches!(outcome, MailOutcome::Retry(..)) { &mail.body[..] } else { &[] };
        let sql = "UPDATE mail_outbox SET next_attempt_at = ?, sent_at = ?, given_up_at = ?, last_error = ?, body = ? \
                   WHERE id = ? AND attempts = ? AND next_attempt_at IS NOT NULL";
        let values =
            [next, sent, given_up, error, Value::Blob(body), Value::Int(mail.id), Value::unsigned(mail.attempt)];
        let mut tx = self.backend().begin().await?;
        let changed = tx.execute(sql, values).await?;
        tx.commit().await?;
        Ok(changed == 1)
    }

    /// How much mail waits.
    pub async fn mail_backlog(&self) -> Result<MailBacklog, StoreError> {
        let sql = "SELECT COUNT(*), MIN(created_at) FROM mail_outbox WHERE next_attempt_at IS NOT NULL";
        let row = self.backend().fetch_optional(sql, []).await?.ok_or(StoreError::Damaged("mail"))?;
        Ok(MailBacklog { waiting: row.unsigned(0)?, oldest: row.optional_time(1)? })
    }

    /// Removes at most `limit` mails that were given before `before` and are done with; how many.
    pub async fn sweep_mail(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let sql = "SELECT id FROM mail_outbox WHERE created_at < ? AND next_attempt_at IS NULL \
                   ORDER BY created_at LIMIT ?";
        let mut tx = self.backend().begin().await?;
        let rows = tx.fetch(sql, [Value::Time(before), Value::Int(limit.into())]).await?;
        for row in &rows {
            tx.execute("DELETE FROM mail_outbox WHERE id = ?", [Value::Int(row.int(0)?)]).await?;
        }
        tx.commit().await?;
        Ok(rows.len() as u64)
    }
}

/// Stores a mail in the transaction of what causes it.
pub(crate) async fn insert(tx: &mut Transaction, mail: &NewMail, now: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO mail_outbox (recipient, subject, body, expires_at, created_at, next_attempt_at) \
               VALUES (?, ?, ?, ?, ?, ?)";
    let (now, expires_at) = (Value::Time(now), mail.expires_at.map_or(Value::Null, Value::Time));
    let values = [Value::Text(&mail.to), Value::Text(&mail.subject), Value::Blob(&mail.body), expires_at, now, now];
    tx.execute(sql, values).await.map(drop)
}
