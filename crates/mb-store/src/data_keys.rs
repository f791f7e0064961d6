//! Data keys: the signed, wrapped keys that messages are sealed with. A key's row comes into the store in the
//! transaction of the first messages that use it.

use bytes::Bytes;
use mb_core::{KeyId, Timestamp};

use crate::Store;
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::value::{Row, Value};

/// A data key as its proxy signed it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataKeyRow {
    /// The data key.
    pub key_id: KeyId,
    /// The master key that it is wrapped to.
    pub master_key_id: KeyId,
    /// The whole signed record, `mb_core::envelope::SignedKey` encoded.
    pub record: Bytes,
    /// Name of the proxy that signed it.
    pub proxy_name: String,
    /// Serial number of the certificate that signed it.
    pub proxy_serial: Vec<u8>,
    /// When the proxy made it.
    pub created_at: Timestamp,
    /// The key as it was sealed anew under `master_key_id`; `None` while the record's own wrapping is the one that counts.
    pub rewrapped: Option<Bytes>,
}

const BY_ID: &str = "SELECT key_id, master_key_id, record, proxy_name, proxy_serial, created_at, rewrapped \
                     FROM data_keys WHERE key_id = ?";
const NEWEST: &str = "SELECT key_id, master_key_id, record, proxy_name, proxy_serial, created_at, rewrapped \
                      FROM data_keys ORDER BY created_at DESC LIMIT ?";
const INSERT: &str = "INSERT INTO data_keys (key_id, master_key_id, record, proxy_name, proxy_serial, created_at) \
                      VALUES (?, ?, ?, ?, ?, ?)";

pub(crate) fn read(row: &Row) -> Result<DataKeyRow, StoreError> {
    Ok(DataKeyRow {
        key_id: row.key_id(0)?,
        master_key_id: row.key_id(1)?,
        record: Bytes::copy_from_slice(row.blob(2)?),
        proxy_name: row.text(3)?.to_owned(),
        proxy_serial: row.blob(4)?.to_vec(),
        created_at: row.time(5)?,
        rewrapped: row.optional_blob(6)?.map(Bytes::copy_from_slice),
    })
}

impl Store {
    /// A data key by its id.
    pub async fn data_key(&self, id: KeyId) -> Result<Option<DataKeyRow>, StoreError> {
        let row = self.backend().fetch_optional(BY_ID, [Value::Blob(id.as_bytes())]).await?;
        row.as_ref().map(read).transpose()
    }

    /// The newest data keys, at most `limit`: what a server that starts will be asked for first.
    pub async fn newest_data_keys(&self, limit: u32) -> Result<Vec<DataKeyRow>, StoreError> {
        self.backend().fetch(NEWEST, [Value::Int(limit.into())]).await?.iter().map(read).collect()
    }
}

/// Inserts the key unless its id is known.
pub(crate) async fn insert_if_absent(tx: &mut Transaction, key: &DataKeyRow) -> Result<(), StoreError> {
    let known = "SELECT 1 FROM data_keys WHERE key_id = ?";
    if tx.fetch_optional(known, [Value::Blob(key.key_id.as_bytes())]).await?.is_some() {
        return Ok(());
    }
    let values = [
        Value::Blob(key.key_id.as_bytes()),
        Value::Blob(key.master_key_id.as_bytes()),
        Value::Blob(&key.record),
        Value::Text(&key.proxy_name),
        Value::Blob(&key.proxy_serial),
        Value::Time(key.created_at),
    ];
    tx.execute(INSERT, values).await?;
    Ok(())
}
