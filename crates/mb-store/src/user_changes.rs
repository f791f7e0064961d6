//! Changing and removing users. What a change takes away is gone with it: a new password, another role, deactivation and
//! "end all sessions" end every session in the same transaction, and the generation that they count up voids what was
//! handed out before.
//!
//! Who may change whom is decided by the caller, but it holds in the transaction: a target whose role is not among
//! those named is not touched, whatever it became since the caller looked. The last admin who is active and whose
//! account does not end stays. Removing is real: the address is free again, the audit log keeps what was done.

use mb_core::{ClientName, Timestamp, UserId, UserRole, ZoneName};
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::users::{self, User};
use crate::value::Value;

/// A change of a user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UserChange {
    /// Another role; ends all sessions.
    Role(UserRole),
    /// Another client whose messages it sees; ends all sessions.
    Client(Option<ClientName>),
    /// Whether it may sign in; ends all sessions if not.
    Active(bool),
    /// The hash of a new password, PHC string format; ends all sessions.
    PasswordHash(String),
    /// When the account ends.
    ExpiresAt(Option<Timestamp>),
    /// Whether it may send.
    MaySend(bool),
    /// In which time zone it reads times.
    TimeZone(ZoneName),
    /// Ends all sessions, nothing else.
    EndSessions,
}

impl UserChange {
    const fn action(&self) -> &'static str {
        match self {
            Self::Role(_) => "user.set_role",
            Self::Client(_) => "user.set_client",
            Self::Active(true) => "user.enable",
            Self::Active(false) => "user.disable",
            Self::PasswordHash(_) => "user.set_password",
            Self::ExpiresAt(_) => "user.set_expiry",
            Self::MaySend(_) => "user.set_may_send",
            Self::TimeZone(_) => "user.set_time_zone",
            Self::EndSessions => "user.end_sessions",
        }
    }

    /// Never the password's hash.
    fn detail(&self, before: &User) -> serde_json::Value {
        match self {
            Self::Role(role) => json!({ "from": before.role.as_str(), "to": role.as_str() }),
            Self::Client(client) => json!({ "from": before.client, "to": client }),
            Self::ExpiresAt(at) => json!({ "from": before.expires_at, "to": at }),
            Self::MaySend(may) => json!({ "from": before.may_send, "to": may }),
            Self::TimeZone(zone) => json!({ "from": before.time_zone, "to": zone }),
            Self::Active(_) | Self::PasswordHash(_) | Self::EndSessions => json!({}),
        }
    }

    fn ends_sessions(&self, before: &User, now: Timestamp) -> bool {
        match self {
            Self::Active(true) | Self::MaySend(_) | Self::TimeZone(_) => false,
            // Sessions do not come back with an account whose end is taken back, whether it was set or had come.
            Self::ExpiresAt(at) => [*at, before.expires_at].into_iter().flatten().any(|at| at <= now),
            _ => true,
        }
    }

    fn apply(&self, user: &mut User, now: Timestamp) {
        let ends_sessions = self.ends_sessions(user, now);
        match self {
            Self::Role(role) => user.role = *role,
            Self::Client(client) => user.client.clone_from(client),
            Self::Active(active) => user.active = *active,
            Self::PasswordHash(hash) => {
                user.password_hash.clone_from(hash);
                user.password_changed_at = now;
            }
            Self::ExpiresAt(at) => user.expires_at = *at,
            Self::MaySend(may) => user.may_send = *may,
            Self::TimeZone(zone) => user.time_zone.clone_from(zone),
            Self::EndSessions => {}
        }
        if ends_sessions {
            user.generation += 1;
        }
    }
}

impl Store {
    /// Changes a user whose role is one of `among`; returns it as it is then, or `None` if there is no such user. What
    /// is already so is neither written nor recorded; what ends sessions always does.
    ///
    /// # Errors
    /// [`StoreError::LastAdmin`]; [`StoreError::Missing`] if the client is not there.
    pub async fn change_user(
        &self,
        id: UserId,
        change: &UserChange,
        among: &[UserRole],
        actor: &str,
    ) -> Result<Option<User>, StoreError> {
        let mut tx = self.backend().begin().await?;
        let found = users::find(&mut tx, id).await?;
        let Some(before) = found.filter(|user| among.contains(&user.role)) else {
            tx.rollback().await?;
            return Ok(None);
        };
        let mut after = before.clone();
        change.apply(&mut after, self.now());
        if after == before {
            tx.rollback().await?;
            return Ok(Some(after));
        }
        if leaves_no_admin(&mut tx, &before, Some(&after), self.now()).await? {
            tx.rollback().await?;
            return Err(StoreError::LastAdmin);
        }
        if let Err(error) = write(&mut tx, &after).await {
            tx.rollback().await?;
            return Err(if error.is_missing_reference() { StoreError::Missing("client") } else { error });
        }
        if change.ends_sessions(&before, self.now()) {
            end_access(&mut tx, id).await?;
        }
        let entry = Change::new(self, actor, change.action(), &after.email).detail(change.detail(&before));
        audit::insert(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(Some(after))
    }

    /// Removes a user whose role is one of `among`, with its sessions, tokens and second factor; returns it as it was, or
    /// `None` if there is no such user.
    ///
    /// # Errors
    /// [`StoreError::LastAdmin`].
    pub async fn delete_user(&self, id: UserId, among: &[UserRole], actor: &str) -> Result<Option<User>, StoreError> {
        let mut tx = self.backend().begin().await?;
        let found = users::find(&mut tx, id).await?;
        let Some(user) = found.filter(|user| among.contains(&user.role)) else {
            tx.rollback().await?;
            return Ok(None);
        };
        if leaves_no_admin(&mut tx, &user, None, self.now()).await? {
            tx.rollback().await?;
            return Err(StoreError::LastAdmin);
        }
        tx.execute("DELETE FROM users WHERE id = ?", [Value::Int(id.get())]).await?;
        let detail = json!({ "role": user.role.as_str(), "client": user.client });
        audit::insert(&mut tx, &Change::new(self, actor, "user.delete", &user.email).detail(detail)).await?;
        tx.commit().await?;
        Ok(Some(user))
    }

    /// Ends every session and voids every token of everyone: what a restored store must do, for it may hold sessions that
    /// had ended since.
    pub async fn end_all_sessions(&self, actor: &str) -> Result<(), StoreError> {
        let mut tx = self.backend().begin().await?;
        tx.execute("DELETE FROM sessions", []).await?;
        tx.execute("DELETE FROM reset_tokens", []).await?;
        tx.execute("DELETE FROM enrolment_tokens", []).await?;
        leap_generations(&mut tx).await?;
        audit::insert(&mut tx, &Change::new(self, actor, "session.end_all", "store")).await?;
        tx.commit().await
    }
}

/// Voids every access token. A leap: rows that came from a backup may lag behind what tokens say by any number of changes.
pub(crate) async fn leap_generations(tx: &mut Transaction) -> Result<(), StoreError> {
    tx.execute("UPDATE users SET generation = generation + 65536", []).await.map(drop)
}

/// Ends the user's sessions and what would give it new ones without its password.
async fn end_access(tx: &mut Transaction, id: UserId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM sessions WHERE user_id = ?", [Value::Int(id.get())]).await?;
    tx.execute("DELETE FROM reset_tokens WHERE user_id = ?", [Value::Int(id.get())]).await?;
    Ok(())
}

/// Gives the user a new password and ends its sessions, in the transaction of what allowed it.
pub(crate) async fn set_password(
    tx: &mut Transaction,
    user: &User,
    hash: &str,
    now: Timestamp,
) -> Result<User, StoreError> {
    let mut after = user.clone();
    UserChange::PasswordHash(hash.to_owned()).apply(&mut after, now);
    write(tx, &after).await?;
    end_access(tx, user.id).await?;
    Ok(after)
}

async fn write(tx: &mut Transaction, user: &User) -> Result<(), StoreError> {
    let sql = "UPDATE users SET password_hash = ?, role = ?, client = ?, active = ?, may_send = ?, expires_at = ?, \
               password_changed_at = ?, generation = ?, time_zone = ? WHERE id = ?";
    let values = [
        Value::Text(&user.password_hash),
        Value::Text(user.role.as_str()),
        Value::text(user.client.as_ref().map(ClientName::as_str)),
        Value::Int(user.active.into()),
        Value::Int(user.may_send.into()),
        Value::time(user.expires_at),
        Value::Time(user.password_changed_at),
        Value::unsigned(user.generation),
        Value::Text(user.time_zone.as_str()),
        Value::Int(user.id.get()),
    ];
    tx.execute(sql, values).await.map(drop)
}

/// Whether the change takes the last admin away. An admin whose account ends some day does not count as one who stays.
async fn leaves_no_admin(
    tx: &mut Transaction,
    before: &User,
    after: Option<&User>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let stays = |user: &User| user.role == UserRole::Admin && user.active && user.expires_at.is_none();
    let acts = before.role == UserRole::Admin && before.may_sign_in(now);
    if !acts || after.is_some_and(stays) {
        return Ok(false);
    }
    let sql = "SELECT 1 FROM users WHERE role = ? AND active = 1 AND expires_at IS NULL AND id <> ? LIMIT 1";
    let values = [Value::Text(UserRole::Admin.as_str()), Value::Int(before.id.get())];
    Ok(tx.fetch_optional(sql, values).await?.is_none())
}
