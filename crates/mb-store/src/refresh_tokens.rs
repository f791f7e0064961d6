//! Refresh tokens: each is used once and answered with its successor, so that a stolen one shows itself. Whoever uses a
//! token a second time, thief or owner, ends the session and every token of it, in the same transaction that finds out.
//!
//! Of the used tokens of a session the last few are kept. An older one that is handed in is recognised by the session that
//! it names, if it names one: what was used is never kept for longer than that, however often a session is prolonged.

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
    /// The session that the one it replaces was made for, if that says so itself and nobody else can have made it say so.
    pub family: Option<SessionId>,
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

/// Used tokens of a session that are kept.
const USED_KEPT: i64 = 4;
const USED: &str =
    "SELECT id FROM refresh_tokens WHERE session_id = ? AND used_at IS NOT NULL ORDER BY id DESC LIMIT ?";
const FORGET: &str = "DELETE FROM refresh_tokens WHERE session_id = ? AND used_at IS NOT NULL AND id < ?";

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
        let Some(token) = row.as_ref().map(read).transpose()? else { return self.forgotten(tx, new.family).await };
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
        if new.family.is_some() {
            forget_used(tx, session.id).await?;
        }
        (session.last_used_at, session.expires_at) = (now, new.expires_at);
        sessions::touch(tx, &session, now).await?;
        Ok(Rotation::Rotated(Box::new((session, user))))
    }

    /// A token that is not there any more: it was used long ago if its session lives.
    async fn forgotten(&self, tx: &mut Transaction, family: Option<SessionId>) -> Result<Rotation, StoreError> {
        let Some(session) = family else { return Ok(Rotation::Unknown) };
        if sessions::living(tx, session, self.now()).await?.is_none() {
            return Ok(Rotation::Unknown);
        }
        self.end_reused(tx, session).await?;
        Ok(Rotation::Reused)
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
    let new = NewRefreshToken { digest: *digest, expires_at: session.expires_at, family: None };
    insert(tx, session.id, None, session.created_at, &new).await
}

/// Removes the used tokens of a session but the last few.
async fn forget_used(tx: &mut Transaction, session: SessionId) -> Result<(), StoreError> {
    let session = Value::Blob(session.as_bytes());
    let kept = tx.fetch(USED, [session, Value::Int(USED_KEPT)]).await?;
    match kept.last() {
        Some(oldest) => tx.execute(FORGET, [session, Value::Int(oldest.int(0)?)]).await.map(drop),
        None => Ok(()),
    }
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
