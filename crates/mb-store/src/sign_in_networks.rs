//! The networks that users have signed in from: where an account's owner was before, guesses from elsewhere do not hold him.
//! They are the account's and not its sessions', which end while their owner sleeps; nothing but the account's end and time
//! takes them away.

use std::time::Duration;

use mb_core::throttle::Network;
use mb_core::{Timestamp, UserId};

use crate::Store;
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::statement::Dialects;
use crate::value::Value;

/// Networks that are kept of a user.
const KEPT: usize = 20;
/// A network that nobody signed in from for so long is none of the user's any more.
const REMEMBERED: Duration = Duration::from_hours(90 * 24);

const NOTE: Dialects = Dialects {
    sqlite: "INSERT INTO sign_in_networks (user_id, network, last_at) VALUES (?, ?, ?) \
             ON CONFLICT (user_id, network) DO UPDATE SET last_at = excluded.last_at",
    mysql: "INSERT INTO sign_in_networks (user_id, network, last_at) VALUES (?, ?, ?) \
            ON DUPLICATE KEY UPDATE last_at = VALUES(last_at)",
};

/// How well an account knows a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acquaintance {
    /// There is no such account.
    NoAccount,
    /// Nobody signed in to it from there of late.
    Stranger,
    /// Its owner was there.
    Familiar,
}

impl Store {
    /// How well the account of this address knows a network. One statement whatever there is: how long it takes must not
    /// tell.
    pub async fn acquaintance(&self, email: &str, network: Network) -> Result<Acquaintance, StoreError> {
        let sql = "SELECT n.last_at FROM users AS u LEFT JOIN sign_in_networks AS n ON n.user_id = u.id AND n.network = ? \
                   WHERE u.email = ?";
        let values = [Value::Text(&network.to_string()), Value::Text(email)];
        let Some(row) = self.backend().fetch_optional(sql, values).await? else { return Ok(Acquaintance::NoAccount) };
        let now = self.now();
        let familiar = row.optional_time(0)?.is_some_and(|at| now.since(at) < REMEMBERED);
        Ok(if familiar { Acquaintance::Familiar } else { Acquaintance::Stranger })
    }
}

/// Notes that the user has signed in from there.
pub(crate) async fn note(
    tx: &mut Transaction,
    user: UserId,
    network: Network,
    now: Timestamp,
) -> Result<(), StoreError> {
    let user = Value::Int(user.get());
    tx.execute(NOTE, [user, Value::Text(&network.to_string()), Value::Time(now)]).await?;
    let sql = "SELECT network, last_at FROM sign_in_networks WHERE user_id = ? ORDER BY last_at DESC, network";
    let rows = tx.fetch(sql, [user]).await?;
    for (at, row) in rows.iter().enumerate() {
        if at >= KEPT || now.since(row.time(1)?) >= REMEMBERED {
            let sql = "DELETE FROM sign_in_networks WHERE user_id = ? AND network = ?";
            tx.execute(sql, [user, Value::Text(row.text(0)?)]).await?;
        }
    }
    Ok(())
}
