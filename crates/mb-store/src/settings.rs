//! Single values that belong to the store as a whole: its epoch, the policy's version, wrapped keys.

use mb_core::{KeyId, Timestamp};

use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::merging;
use crate::statement::Dialects;
use crate::value::{Row, Value};

const EPOCH: &str = "epoch";
const POLICY_VERSION: &str = "policy_version";
const DESTINATIONS_VERSION: &str = "destinations_version";

/// More changes than happen between two backups.
const LEAP: u64 = 1 << 24;

const SELECT: &str = "SELECT value FROM settings WHERE name = ?";
const MINT: Dialects = Dialects {
    sqlite: "UPDATE settings SET value = randomblob(16) WHERE name = ?",
    mysql: "UPDATE settings SET value = RANDOM_BYTES(16) WHERE name = ?",
};

impl Store {
    /// The store's epoch: minted with it, at every restore and by [`Store::new_epoch`].
    pub async fn epoch(&self) -> Result<[u8; 16], StoreError> {
        let row = self.backend().fetch_optional(SELECT, [Value::Text(EPOCH)]).await?;
        row.ok_or(StoreError::Missing("epoch"))?.array(0)
    }

    /// Gives the store a new epoch, so that proxies offer again all that they keep, and announces it to the edge, so that
    /// they tell at once which revocations they hold.
    pub async fn new_epoch(&self, actor: &str) -> Result<[u8; 16], StoreError> {
        let mut tx = self.backend().begin().await?;
        mint_epoch(&mut tx, self.now()).await?;
        let epoch = epoch(&mut tx).await?;
        leap(&mut tx).await?;
        audit::insert(&mut tx, &Change::new(self, actor, "store.new_epoch", "store")).await?;
        tx.commit().await?;
        Ok(epoch)
    }

    /// Names the master key that is in use from now on, under a setting, and announces it to the edge.
    pub async fn announce_master_key(&self, setting: &str, id: KeyId, actor: &str) -> Result<(), StoreError> {
        let mut tx = self.backend().begin().await?;
        let values = [Value::Blob(id.as_bytes()), Value::Text(setting)];
        if tx.execute("UPDATE settings SET value = ? WHERE name = ?", values).await? == 0 {
            tx.execute("INSERT INTO settings (value, name) VALUES (?, ?)", values).await?;
        }
        bump_policy(&mut tx).await?;
        audit::insert(&mut tx, &Change::new(self, actor, "keys.use", &id.to_string())).await?;
        tx.commit().await
    }

    /// Announces to the edge that what the main server says of itself is another.
    pub async fn announce(&self, action: &str, object: &str, actor: &str) -> Result<(), StoreError> {
        let mut tx = self.backend().begin().await?;
        bump_policy(&mut tx).await?;
        audit::insert(&mut tx, &Change::new(self, actor, action, object)).await?;
        tx.commit().await
    }

    /// The policy's version; it counts up with every change of what the edge must know.
    pub async fn policy_version(&self) -> Result<u64, StoreError> {
        let row = self.backend().fetch_optional(SELECT, [Value::Text(POLICY_VERSION)]).await?;
        version(row)
    }

    /// The version of the destinations; it counts up with every change of what routing depends on.
    pub async fn destinations_version(&self) -> Result<u64, StoreError> {
        let row = self.backend().fetch_optional(SELECT, [Value::Text(DESTINATIONS_VERSION)]).await?;
        version(row)
    }

    /// A value by its name.
    pub async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.backend().fetch_optional(SELECT, [Value::Text(name)]).await?;
        row.map(|row| row.blob(0).map(<[u8]>::to_vec)).transpose()
    }

    /// Stores `value` unless the name has one already; returns the one that counts. Several servers that start together
    /// so agree on one.
    pub async fn setting_or_insert(&self, name: &str, value: &[u8], actor: &str) -> Result<Vec<u8>, StoreError> {
        let mut tx = self.backend().begin().await?;
        if let Some(row) = tx.fetch_optional(SELECT, [Value::Text(name)]).await? {
            let value = row.blob(0)?.to_vec();
            tx.rollback().await?;
            return Ok(value);
        }
        let values = [Value::Text(name), Value::Blob(value)];
        tx.execute("INSERT INTO settings (name, value) VALUES (?, ?)", values).await?;
        audit::insert(&mut tx, &Change::new(self, actor, "setting.insert", name)).await?;
        tx.commit().await?;
        Ok(value.to_vec())
    }

    /// Stores `value` under the name, whatever was there.
    pub async fn replace_setting(&self, name: &str, value: &[u8], actor: &str) -> Result<(), StoreError> {
        let mut tx = self.backend().begin().await?;
        put(&mut tx, name, value).await?;
        audit::insert(&mut tx, &Change::new(self, actor, "setting.replace", name)).await?;
        tx.commit().await
    }
}

/// A value by its name, as this transaction sees it.
pub(crate) async fn in_transaction(tx: &mut Transaction, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let row = tx.fetch_optional(SELECT, [Value::Text(name)]).await?;
    row.map(|row| row.blob(0).map(<[u8]>::to_vec)).transpose()
}

/// Stores a value in the transaction of what it belongs to, whatever was there.
pub(crate) async fn put(tx: &mut Transaction, name: &str, value: &[u8]) -> Result<(), StoreError> {
    let sql = match in_transaction(tx, name).await? {
        Some(_) => "UPDATE settings SET value = ? WHERE name = ?",
        None => "INSERT INTO settings (value, name) VALUES (?, ?)",
    };
    tx.execute(sql, [Value::Blob(value), Value::Text(name)]).await.map(drop)
}

/// Gives the store another epoch, from now on.
pub(crate) async fn mint_epoch(tx: &mut Transaction, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(MINT, [Value::Text(EPOCH)]).await?;
    merging::note_epoch(tx, now).await
}

/// The store's epoch as this transaction sees it.
pub(crate) async fn epoch(tx: &mut Transaction) -> Result<[u8; 16], StoreError> {
    let row = tx.fetch_optional(SELECT, [Value::Text(EPOCH)]).await?;
    row.ok_or(StoreError::Missing("epoch"))?.array(0)
}

/// What registering asks of the store as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) epoch: [u8; 16],
    /// The version of the destinations.
    pub(crate) destinations: u64,
    /// Some message was expunged.
    pub(crate) has_tombstones: bool,
}

/// How the store stands, as this transaction sees it: one question, whatever it holds.
pub(crate) async fn standing(tx: &mut Transaction) -> Result<Standing, StoreError> {
    let sql = "SELECT name, value FROM settings WHERE name IN (?, ?) UNION ALL \
               SELECT '', MIN(message_id) FROM tombstones";
    let (mut epoch, mut destinations, mut has_tombstones) = (None, None, false);
    for row in tx.fetch(sql, [Value::Text(EPOCH), Value::Text(DESTINATIONS_VERSION)]).await? {
        match row.text(0)? {
            EPOCH => epoch = Some(row.array(1)?),
            DESTINATIONS_VERSION => destinations = Some(row.array(1).map(u64::from_be_bytes)?),
            _ => has_tombstones = row.optional_blob(1)?.is_some(),
        }
    }
    let destinations = destinations.ok_or(StoreError::Missing("version of the destinations"))?;
    Ok(Standing { epoch: epoch.ok_or(StoreError::Missing("epoch"))?, destinations, has_tombstones })
}

/// Moves the versions of policy and destinations beyond all that may have been handed out since the store's rows were
/// copied: who holds a version that comes again would not see that it says something else.
pub(crate) async fn leap(tx: &mut Transaction) -> Result<(), StoreError> {
    let version = bump(tx, POLICY_VERSION, LEAP).await?;
    merging::note_announced(tx, version).await?;
    bump(tx, DESTINATIONS_VERSION, LEAP).await.map(drop)
}

/// Counts the policy's version up, in the transaction of the change that it announces.
pub(crate) async fn bump_policy(tx: &mut Transaction) -> Result<u64, StoreError> {
    bump(tx, POLICY_VERSION, 1).await
}

/// Counts the destinations' version up, in the transaction of the change.
pub(crate) async fn bump_destinations(tx: &mut Transaction) -> Result<u64, StoreError> {
    bump(tx, DESTINATIONS_VERSION, 1).await
}

async fn bump(tx: &mut Transaction, name: &str, by: u64) -> Result<u64, StoreError> {
    let next = version(tx.fetch_optional(SELECT, [Value::Text(name)]).await?)? + by;
    let values = [Value::Blob(&next.to_be_bytes()), Value::Text(name)];
    tx.execute("UPDATE settings SET value = ? WHERE name = ?", values).await?;
    Ok(next)
}

fn version(row: Option<Row>) -> Result<u64, StoreError> {
    row.ok_or(StoreError::Missing("version"))?.array(0).map(u64::from_be_bytes)
}
