//! Sessions: sign-ins that last. A portal's is known by its token's digest; an API's is continued by refresh tokens
//! (`refresh_tokens.rs`). Both are rows here, so that one list shows them and one statement ends them.
//!
//! A session lives while neither its end nor its idle time has come, its user may sign in, and the user's generation is
//! the one that it began under. When it was last used is written at most once a minute. A user has at most
//! [`MAX_SESSIONS_PER_USER`]; one more ends the one that was not used for longest.

use std::time::Duration;

use mb_core::throttle::Network;
use mb_core::{SessionId, SessionKind, Timestamp, UserId};
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::sign_in_networks;
use crate::users::{self, User};
use crate::value::{Row, Value};

/// Sessions that a user has at a time.
pub const MAX_SESSIONS_PER_USER: u32 = 50;

/// Uses within so long of the last one that was written are not written.
const TOUCH: Duration = Duration::from_mins(1);

/// What of a request's words about itself is kept.
const MAX_TEXT: usize = 255;

/// A session to begin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// How its user is signed in.
    pub kind: SessionKind,
    /// SHA-256 of the portal's token, or of the first refresh token.
    pub token_digest: [u8; 32],
    /// Whose it is.
    pub user: UserId,
    /// [`User::generation`] when the password was checked.
    pub generation: u64,
    /// Unused for so long, it ends.
    pub idle_timeout: Duration,
    /// When it, or the first refresh token, ends in any case.
    pub expires_at: Timestamp,
    /// Where the request came from.
    pub peer_address: String,
    /// What the request said it was.
    pub user_agent: String,
}

/// A session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// How its user is signed in.
    pub kind: SessionKind,
    /// Whose it is.
    pub user: UserId,
    /// The user's generation that it began under.
    pub generation: u64,
    /// Since when.
    pub created_at: Timestamp,
    /// When it was last used, to a minute.
    pub last_used_at: Timestamp,
    /// Unused for so long, it ends.
    pub idle_timeout: Duration,
    /// When it ends in any case.
    pub expires_at: Timestamp,
    /// Where the sign-in came from.
    pub peer_address: String,
    /// What it said it was.
    pub user_agent: String,
}

/// Which session is meant.
#[derive(Clone, Copy, Debug)]
pub enum SessionKey<'a> {
    /// A user's session by its id.
    Id(UserId, SessionId),
    /// The portal session whose token has this digest.
    Token(&'a [u8; 32]),
    /// The session that a refresh token of this digest, used or not, belongs to.
    Refresh(&'a [u8; 32]),
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, user_id, generation, created_at, last_used_at, idle_timeout, expires_at, peer_address, \
             user_agent FROM sessions ",
            $rest
        )
    };
}

const BY_ID: &str = select!("WHERE id = ?");
const BY_TOKEN: &str = select!("WHERE token_digest = ?");
const BY_REFRESH: &str = select!("WHERE id = (SELECT session_id FROM refresh_tokens WHERE digest = ?)");
const BY_USER: &str = select!("WHERE user_id = ? ORDER BY last_used_at DESC, id");

const INSERT: &str = "INSERT INTO sessions (id, kind, token_digest, user_id, generation, created_at, last_used_at, \
                      idle_timeout, idle_until, expires_at, peer_address, user_agent) \
                      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const fn word(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::Portal => "portal",
        SessionKind::Token => "token",
    }
}

fn read(row: &Row) -> Result<Session, StoreError> {
    let kind = [SessionKind::Portal, SessionKind::Token].into_iter().find(|kind| row.text(1).ok() == Some(word(*kind)));
    Ok(Session {
        id: SessionId::from_bytes(row.array(0)?),
        kind: kind.ok_or(StoreError::Damaged("session kind"))?,
        user: UserId::new(row.int(2)?),
        generation: row.unsigned(3)?,
        created_at: row.time(4)?,
        last_used_at: row.time(5)?,
        idle_timeout: Duration::from_micros(row.unsigned(6)?),
        expires_at: row.time(7)?,
        peer_address: row.text(8)?.to_owned(),
        user_agent: row.text(9)?.to_owned(),
    })
}

impl Session {
    fn lives(&self, user: &User, now: Timestamp) -> bool {
        now < self.expires_at
            && now < self.last_used_at.plus(self.idle_timeout)
            && self.generation == user.generation
            && user.may_sign_in(now)
    }
}

impl Store {
    /// Begins a session for a user whose password, and second factor, were checked under [`NewSession::generation`], and
    /// records the sign-in and where it came from. For [`SessionKind::Token`] the digest becomes its first refresh token.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if the user may not sign in any more, or its password is another one by now;
    /// [`StoreError::Exists`] if there is such an id or digest.
    pub async fn begin_session(&self, new: &NewSession) -> Result<Session, StoreError> {
        let now = self.now();
        let mut tx = self.backend().begin().await?;
        let user = users::find(&mut tx, new.user).await?;
        let Some(user) = user.filter(|user| user.generation == new.generation && user.may_sign_in(now)) else {
            tx.rollback().await?;
            return Err(StoreError::Missing("user"));
        };
        make_room(&mut tx, new.user).await?;
        if let Ok(address) = new.peer_address.parse() {
            sign_in_networks::note(&mut tx, new.user, Network::of(address), now).await?;
        }
        let session = new.begun(now);
        if let Err(error) = insert(&mut tx, &session, &new.token_digest).await {
            tx.rollback().await?;
            return Err(if error.is_unique_violation() { StoreError::Exists("session") } else { error });
        }
        let detail = json!({ "kind": word(session.kind), "peer": session.peer_address });
        audit::insert(&mut tx, &Change::new(self, &user.email, "session.begin", &user.email).detail(detail)).await?;
        tx.commit().await?;
        Ok(session)
    }

    /// The living portal session with this token's digest, and its user; notes that it is used.
    pub async fn portal_session(&self, digest: &[u8; 32]) -> Result<Option<(Session, User)>, StoreError> {
        let Some((mut session, user)) = self.watched_portal_session(digest).await? else { return Ok(None) };
        let now = self.now();
        if now.since(session.last_used_at) >= TOUCH {
            let mut tx = self.backend().begin().await?;
            touch(&mut tx, &session, now).await?;
            tx.commit().await?;
            session.last_used_at = now;
        }
        Ok(Some((session, user)))
    }

    /// The same without using it: whoever looks is a page that was left open.
    pub async fn watched_portal_session(&self, digest: &[u8; 32]) -> Result<Option<(Session, User)>, StoreError> {
        let row = self.backend().fetch_optional(BY_TOKEN, [Value::Blob(digest)]).await?;
        self.living(row).await
    }

    /// The living session of this id, and its user: whether an access token made in it still holds.
    pub async fn session(&self, id: SessionId) -> Result<Option<(Session, User)>, StoreError> {
        let row = self.backend().fetch_optional(BY_ID, [Value::Blob(id.as_bytes())]).await?;
        self.living(row).await
    }

    /// The user's living sessions, the last used first.
    pub async fn sessions(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        let Some(user) = self.user(user).await? else { return Ok(Vec::new()) };
        let rows = self.backend().fetch(BY_USER, [Value::Int(user.id.get())]).await?;
        let now = self.now();
        let lives = |session: &Result<Session, _>| session.as_ref().map_or(true, |session| session.lives(&user, now));
        rows.iter().map(read).filter(lives).collect()
    }

    /// Ends a session and its refresh tokens; returns it, or `None` if there is no such session. Without an actor it is
    /// the user who signs out.
    pub async fn end_session(&self, key: SessionKey<'_>, actor: Option<&str>) -> Result<Option<Session>, StoreError> {
        let mut tx = self.backend().begin().await?;
        let row = match key {
            SessionKey::Id(_, id) => tx.fetch_optional(BY_ID, [Value::Blob(id.as_bytes())]).await?,
            SessionKey::Token(digest) => tx.fetch_optional(BY_TOKEN, [Value::Blob(digest)]).await?,
            SessionKey::Refresh(digest) => tx.fetch_optional(BY_REFRESH, [Value::Blob(digest)]).await?,
        };
        let session = row.as_ref().map(read).transpose()?;
        let owned = |session: &Session| !matches!(key, SessionKey::Id(user, _) if user != session.user);
        let Some(session) = session.filter(owned) else {
            tx.rollback().await?;
            return Ok(None);
        };
        let user = users::find(&mut tx, session.user).await?.ok_or(StoreError::Damaged("session's user"))?;
        end(&mut tx, session.id).await?;
        let change = Change::new(self, actor.unwrap_or(&user.email), "session.end", &user.email);
        audit::insert(&mut tx, &change.detail(json!({ "kind": word(session.kind) }))).await?;
        tx.commit().await?;
        Ok(Some(session))
    }

    async fn living(&self, row: Option<Row>) -> Result<Option<(Session, User)>, StoreError> {
        let Some(session) = row.as_ref().map(read).transpose()? else { return Ok(None) };
        let user = self.user(session.user).await?;
        let now = self.now();
        Ok(user.filter(|user| session.lives(user, now)).map(|user| (session, user)))
    }
}

impl NewSession {
    fn begun(&self, now: Timestamp) -> Session {
        let kept = |text: &str| text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect::<String>();
        Session {
            id: self.id,
            kind: self.kind,
            user: self.user,
            generation: self.generation,
            created_at: now,
            last_used_at: now,
            idle_timeout: self.idle_timeout,
            expires_at: self.expires_at,
            peer_address: kept(&self.peer_address),
            user_agent: kept(&self.user_agent),
        }
    }
}

/// The session that a refresh token belongs to and its user, if both are good, as this transaction sees it.
pub(crate) async fn living(
    tx: &mut Transaction,
    id: SessionId,
    now: Timestamp,
) -> Result<Option<(Session, User)>, StoreError> {
    let row = tx.fetch_optional(BY_ID, [Value::Blob(id.as_bytes())]).await?;
    let Some(session) = row.as_ref().map(read).transpose()? else { return Ok(None) };
    let user = users::find(tx, session.user).await?;
    Ok(user.filter(|user| session.lives(user, now)).map(|user| (session, user)))
}

/// Writes that the session is used, and its end.
pub(crate) async fn touch(tx: &mut Transaction, session: &Session, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE sessions SET last_used_at = ?, idle_until = ?, expires_at = ? WHERE id = ?";
    let values = [
        Value::Time(now),
        Value::Time(now.plus(session.idle_timeout)),
        Value::Time(session.expires_at),
        Value::Blob(session.id.as_bytes()),
    ];
    tx.execute(sql, values).await.map(drop)
}

pub(crate) async fn end(tx: &mut Transaction, id: SessionId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM sessions WHERE id = ?", [Value::Blob(id.as_bytes())]).await.map(drop)
}

/// Ends the user's sessions that were not used for longest, so that one more is within the bound.
async fn make_room(tx: &mut Transaction, user: UserId) -> Result<(), StoreError> {
    let rows = tx.fetch(BY_USER, [Value::Int(user.get())]).await?;
    for row in rows.iter().skip(MAX_SESSIONS_PER_USER as usize - 1) {
        end(tx, SessionId::from_bytes(row.array(0)?)).await?;
    }
    Ok(())
}

async fn insert(tx: &mut Transaction, session: &Session, digest: &[u8; 32]) -> Result<(), StoreError> {
    let portal = session.kind == SessionKind::Portal;
    let idle_timeout = i64::try_from(session.idle_timeout.as_micros()).unwrap_or(i64::MAX);
    let values = [
        Value::Blob(session.id.as_bytes()),
        Value::Text(word(session.kind)),
        Value::blob(portal.then_some(digest.as_slice())),
        Value::Int(session.user.get()),
        Value::unsigned(session.generation),
        Value::Time(session.created_at),
        Value::Time(session.last_used_at),
        Value::Int(idle_timeout),
        Value::Time(session.last_used_at.plus(session.idle_timeout)),
        Value::Time(session.expires_at),
        Value::Text(&session.peer_address),
        Value::Text(&session.user_agent),
    ];
    tx.execute(INSERT, values).await?;
    if portal { Ok(()) } else { crate::refresh_tokens::insert_first(tx, session, digest).await }
}
