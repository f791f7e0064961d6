//! The second factor of users: a sealed secret, the last time step that was used, and recovery codes.
//!
//! The secret is opaque here; it is proven once before it counts. A time step is used once: the compare-and-set is one
//! statement, so of two sign-ins with one code at most one succeeds. A recovery code's row goes with its use.

use mb_core::UserId;
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::users::{self, Totp, User};
use crate::value::Value;

/// A recovery code that was not used yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecoveryCode {
    /// Its id, for [`Store::consume_recovery_code`].
    pub id: i64,
    /// Its hash; opaque here.
    pub hash: Vec<u8>,
}

impl Store {
    /// Gives the user a secret that it has yet to prove; replaces one that it has not proven. Returns the user, or `None`
    /// if there is none of that id.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if a second factor is on.
    pub async fn offer_totp(&self, user_id: UserId, sealed: &[u8], actor: &str) -> Result<Option<User>, StoreError> {
        let mut tx = self.backend().begin().await?;
        let Some(user) = users::find(&mut tx, user_id).await? else {
            tx.rollback().await?;
            return Ok(None);
        };
        if matches!(user.totp, Totp::On { .. }) {
            tx.rollback().await?;
            return Err(StoreError::Exists("second factor"));
        }
        let sql = "UPDATE users SET totp_secret = ?, totp_enabled_at = NULL, totp_last_step = NULL WHERE id = ?";
        tx.execute(sql, [Value::Blob(sealed), Value::Int(user_id.get())]).await?;
        audit::insert(&mut tx, &Change::new(self, actor, "user.offer_second_factor", &user.email)).await?;
        tx.commit().await?;
        Ok(Some(User { totp: Totp::Pending { secret: sealed.to_vec() }, ..user }))
    }

    /// Turns the second factor on: the user has proven `sealed`, the secret that was offered, with the code of time step
    /// `step`. Stores the hashes of its recovery codes. `false`, and nothing is changed, if that secret is not the one on
    /// offer any more.
    pub async fn enable_totp(
        &self,
        user_id: UserId,
        sealed: &[u8],
        step: u64,
        recovery_hashes: &[Vec<u8>],
        actor: &str,
    ) -> Result<bool, StoreError> {
        let mut tx = self.backend().begin().await?;
        let offered = Totp::Pending { secret: sealed.to_vec() };
        let Some(user) = users::find(&mut tx, user_id).await?.filter(|user| user.totp == offered) else {
            tx.rollback().await?;
            return Ok(false);
        };
        let sql = "UPDATE users SET totp_enabled_at = ?, totp_last_step = ? WHERE id = ?";
        tx.execute(sql, [Value::Time(self.now()), Value::unsigned(step), Value::Int(user_id.get())]).await?;
        replace_codes(&mut tx, user_id, recovery_hashes).await?;
        audit::insert(&mut tx, &Change::new(self, actor, "user.enable_second_factor", &user.email)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Turns the second factor off and drops its recovery codes; `false` if there was none.
    pub async fn disable_totp(&self, user_id: UserId, actor: &str) -> Result<bool, StoreError> {
        let mut tx = self.backend().begin().await?;
        let Some(user) = users::find(&mut tx, user_id).await?.filter(|user| user.totp != Totp::Off) else {
            tx.rollback().await?;
            return Ok(false);
        };
        let sql = "UPDATE users SET totp_secret = NULL, totp_enabled_at = NULL, totp_last_step = NULL WHERE id = ?";
        tx.execute(sql, [Value::Int(user_id.get())]).await?;
        replace_codes(&mut tx, user_id, &[]).await?;
        audit::insert(&mut tx, &Change::new(self, actor, "user.disable_second_factor", &user.email)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Uses a time step whose code was right: `true` for the first who does. Steps up to the last used one are used up.
    /// Signing in is what is recorded, by whoever asks.
    pub async fn use_totp_step(&self, user_id: UserId, step: u64) -> Result<bool, StoreError> {
        let step = Value::unsigned(step);
        let sql = "UPDATE users SET totp_last_step = ? WHERE id = ? AND totp_enabled_at IS NOT NULL \
                   AND (totp_last_step IS NULL OR totp_last_step < ?)";
        let mut tx = self.backend().begin().await?;
        let changed = tx.execute(sql, [step, Value::Int(user_id.get()), step]).await?;
        tx.commit().await?;
        Ok(changed == 1)
    }

    /// The user's recovery codes that were not used yet.
    pub async fn recovery_codes(&self, user_id: UserId) -> Result<Vec<RecoveryCode>, StoreError> {
        let sql = "SELECT id, hash FROM recovery_codes WHERE user_id = ? ORDER BY id";
        let rows = self.backend().fetch(sql, [Value::Int(user_id.get())]).await?;
        rows.iter().map(|row| Ok(RecoveryCode { id: row.int(0)?, hash: row.blob(1)?.to_vec() })).collect()
    }

    /// Uses a recovery code up: `true` for the first who does, while the second factor is on.
    pub async fn consume_recovery_code(&self, user_id: UserId, code: i64, actor: &str) -> Result<bool, StoreError> {
        let mut tx = self.backend().begin().await?;
        let user = users::find(&mut tx, user_id).await?;
        let Some(user) = user.filter(|user| matches!(user.totp, Totp::On { .. })) else {
            tx.rollback().await?;
            return Ok(false);
        };
        let sql = "DELETE FROM recovery_codes WHERE id = ? AND user_id = ?";
        if tx.execute(sql, [Value::Int(code), Value::Int(user_id.get())]).await? == 0 {
            tx.rollback().await?;
            return Ok(false);
        }
        audit::insert(&mut tx, &Change::new(self, actor, "user.use_recovery_code", &user.email)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Replaces the recovery codes of a user whose second factor is on; `false` if it is not.
    pub async fn replace_recovery_codes(
        &self,
        user_id: UserId,
        hashes: &[Vec<u8>],
        actor: &str,
    ) -> Result<bool, StoreError> {
        let mut tx = self.backend().begin().await?;
        let user = users::find(&mut tx, user_id).await?;
        let Some(user) = user.filter(|user| matches!(user.totp, Totp::On { .. })) else {
            tx.rollback().await?;
            return Ok(false);
        };
        replace_codes(&mut tx, user_id, hashes).await?;
        let change = Change::new(self, actor, "user.replace_recovery_codes", &user.email);
        audit::insert(&mut tx, &change.detail(json!({ "count": hashes.len() }))).await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn replace_codes(tx: &mut Transaction, user_id: UserId, hashes: &[Vec<u8>]) -> Result<(), StoreError> {
    tx.execute("DELETE FROM recovery_codes WHERE user_id = ?", [Value::Int(user_id.get())]).await?;
    for hash in hashes {
        let values = [Value::Int(user_id.get()), Value::Blob(hash)];
        tx.execute("INSERT INTO recovery_codes (user_id, hash) VALUES (?, ?)", values).await?;
    }
    Ok(())
}
