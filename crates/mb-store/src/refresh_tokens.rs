//! Refresh tokens: each is used once and answered with its successor, so that a stolen one shows itself. Whoever uses a
//! token a second time, thief or owner, ends the session and every token of it, in the same transaction that finds out.

use mb_core::{SessionId, Timestamp, UserId};
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::sessions::{self, Session};
use crate::users::{self, User};
use crate::value::{Row, Value};

/// The refresh token that is to take another's place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewRefreshToken {
    /// Its SHA-256.
    pub digest: [u8; 32],
    /// When it, and its session with it, ends unless it is used.
    pub expires_at: Timestamp,
}

/// What became of a refresh token that was handed in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rotation {
    /// It is used; the new one stands in its place.
    Rotated(Box<(Session, User)>),
    /// It was used before: its session has been ended.
    Reused,
    /// Its time is over.
    Expired,
    /// There is no such token, or its session was ended.
    Unknown,
}

const BY_DIGEST: &str = "SELECT id, session_id, used_at, expires_at FROM refresh_tokens WHERE digest = ?";
const INSERT: &str = "INSERT INTO refresh_tokens (digest, session_id, parent_id, issued_at, expires_at) \
                      VALUES (?, ?, ?, ?, ?)";

struct Found {
    id: i64,
    session: SessionId,
    used: bool,
    expires_at: Timestamp,
}

fn read(row: &Row) -> Result<Found, StoreError> {
    Ok(Found {
        id: row.int(0)?,
        session: SessionId::from_bytes(row.array(1)?),
        used: row.optional_time(2)?.is_some(),
        expires_at: row.time(3)?,
    })
}

impl Store {
    /// Puts a new refresh token in the place of the one with this digest.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the new one's digest is there.
    pub async fn rotate(&self, digest: &[u8; 32], new: &NewRefreshToken) -> Result<Rotation, StoreError> {
        let mut tx = self.backend().begin().await?;
        let outcome = self.rotate_in(&mut tx, digest, new).await;
        match outcome {
            Ok(Rotation::Rotated(_) | Rotation::Reused) => tx.commit().await?,
            Ok(Rotation::Expired | Rotation::Unknown) | Err(_) => tx.rollback().await?,
        }
        outcome.map_err(|error| if error.is_unique_violation() { StoreError::Exists("refresh token") } else { error })
    }

    async fn rotate_in(
        &self,
        tx: &mut Transaction,
        digest: &[u8; 32],
        new: &NewRefreshToken,
    ) -> Result<Rotation, StoreError> {
        let now = self.now();
        let row = tx.fetch_optional(BY_DIGEST, [Value::Blob(digest)]).await?;
        let Some(token) = row.as_ref().map(read).transpose()? else { return Ok(Rotation::Unknown) };
        if token.used {
            self.end_reused(tx, token.session).await?;
            return Ok(Rotation::Reused);
        }
        if now >= token.expires_at {
            return Ok(Rotation::Expired);
        }
        let Some((mut session, user)) = sessions::living(tx, token.session, now).await? else {
            return Ok(Rotation::Unknown);
        };
        tx.execute("UPDATE refresh_tokens SET used_at = ? WHERE id = ?", [Value::Time(now), Value::Int(token.id)])
            .await?;
        insert(tx, session.id, Some(token.id), now, new).await?;
        (session.last_used_at, session.expires_at) = (now, new.expires_at);
        sessions::touch(tx, &session, now).await?;
        Ok(Rotation::Rotated(Box::new((session, user))))
    }

    async fn end_reused(&self, tx: &mut Transaction, id: SessionId) -> Result<(), StoreError> {
        let sql = "SELECT user_id FROM sessions WHERE id = ?";
        let row = tx.fetch_optional(sql, [Value::Blob(id.as_bytes())]).await?;
        let user = row.ok_or(StoreError::Damaged("refresh token's session"))?.int(0)?;
        let user = users::find(tx, UserId::new(user)).await?;
        let email = user.ok_or(StoreError::Damaged("session's user"))?.email;
        sessions::end(tx, id).await?;
        let change = Change::new(self, &email, "session.end_reused", &email);
        audit::insert(tx, &change.detail(json!({ "session": id }))).await
    }
}

/// The refresh token that a session begins with.
pub(crate) async fn insert_first(tx: &mut Transaction, session: &Session, digest: &[u8; 32]) -> Result<(), StoreError> {
    let new = NewRefreshToken { digest: *digest, expires_at: session.expires_at };
    insert(tx, session.id, None, session.created_at, &new).await
}

async fn insert(
    tx: &mut Transaction,
    session: SessionId,
    parent: Option<i64>,
    now: Timestamp,
    new: &NewRefreshToken,
) -> Result<(), StoreError> {
    let values = [
        Value::Blob(&new.digest),
        Value::Blob(session.as_bytes()),
        Value::int(parent),
        Value::Time(now),
        Value::Time(new.expires_at),
    ];
    tx.execute(INSERT, values).await.map(drop)
}
