//! Tokens by which a person who has lost the password sets another. A user has one at a time; using it, or any other
//! change of the password, takes it away with all sessions.

use mb_core::{Timestamp, UserId};

use crate::Store;
use crate::audit::{self, Change};
use crate::error::StoreError;
use crate::mail::{self, NewMail};
use crate::user_changes;
use crate::users::{self, User};
use crate::value::{Row, Value};

/// A reset token to store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewResetToken {
    /// Its SHA-256.
    pub digest: [u8; 32],
    /// Whose password it resets.
    pub user: UserId,
    /// When it ends.
    pub expires_at: Timestamp,
}

const BY_DIGEST: &str = "SELECT user_id, expires_at FROM reset_tokens WHERE digest = ?";

fn read(row: &Row, now: Timestamp) -> Result<Option<UserId>, StoreError> {
    let user = UserId::new(row.int(0)?);
    Ok((now < row.time(1)?).then_some(user))
}

impl Store {
    /// Stores a token in the place of the user's earlier one, and the mail that brings it, together. `false`, and nothing
    /// is stored, if the user is not there or may not sign in. `actor` is who asked, as far as it is known.
    pub async fn request_reset(&self, new: &NewResetToken, mail: &NewMail, actor: &str) -> Result<bool, StoreError> {
        let now = self.now();
        let mut tx = self.backend().begin().await?;
        let Some(user) = users::find(&mut tx, new.user).await?.filter(|user| user.may_sign_in(now)) else {
            tx.rollback().await?;
            return Ok(false);
        };
        let id = Value::Int(user.id.get());
        tx.execute("DELETE FROM reset_tokens WHERE user_id = ?", [id]).await?;
        let sql = "INSERT INTO reset_tokens (digest, user_id, created_at, expires_at) VALUES (?, ?, ?, ?)";
        tx.execute(sql, [Value::Blob(&new.digest), id, Value::Time(now), Value::Time(new.expires_at)]).await?;
        mail::insert(&mut tx, mail, now).await?;
        audit::insert(&mut tx, &Change::new(self, actor, "user.request_reset", &user.email)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Whose password the token resets, if it is good; it is not used by this.
    pub async fn reset_token_user(&self, digest: &[u8; 32]) -> Result<Option<User>, StoreError> {
        let row = self.backend().fetch_optional(BY_DIGEST, [Value::Blob(digest)]).await?;
        let now = self.now();
        let Some(id) = row.map_or(Ok(None), |row| read(&row, now))? else { return Ok(None) };
        Ok(self.user(id).await?.filter(|user| user.may_sign_in(now)))
    }

    /// Uses the token: sets the password and ends all sessions of its user. `None`, and nothing is changed, if the token
    /// is not good.
    pub async fn reset_password(&self, digest: &[u8; 32], password_hash: &str) -> Result<Option<User>, StoreError> {
        let now = self.now();
        let mut tx = self.backend().begin().await?;
        let row = tx.fetch_optional(BY_DIGEST, [Value::Blob(digest)]).await?;
        let user = match row.map_or(Ok(None), |row| read(&row, now))? {
            Some(id) => users::find(&mut tx, id).await?.filter(|user| user.may_sign_in(now)),
            None => None,
        };
        let Some(user) = user else {
            tx.rollback().await?;
            return Ok(None);
        };
        let user = user_changes::set_password(&mut tx, &user, password_hash, now).await?;
        audit::insert(&mut tx, &Change::new(self, &user.email, "user.reset_password", &user.email)).await?;
        tx.commit().await?;
        Ok(Some(user))
    }
}
