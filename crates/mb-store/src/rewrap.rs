//! What is sealed under master keys, found by its key and sealed anew: data keys, and values of rows. The seals are opaque
//! here but for the id of the key, which each names in its bytes 2 to 17.
//!
//! Each value is replaced only if it is still the one that was read, so that whoever changes it meanwhile wins.

use std::collections::BTreeMap;

use bytes::Bytes;
use mb_core::KeyId;

use crate::Store;
use crate::data_keys::{self, DataKeyRow};
use crate::error::StoreError;
use crate::value::Value;

/// A column of sealed values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SealedColumn {
    /// Second factors of users.
    TotpSecret,
    /// Mails that wait to be sent.
    MailBody,
    /// What destinations' messages are signed with.
    WebhookSecret,
    /// The same, as it was before it was last changed.
    PreviousWebhookSecret,
    /// The same, as it was before that.
    OlderWebhookSecret,
    /// Keys of certificates that are shown to destinations.
    WebhookClientKey,
    /// What receivers answered.
    AttemptAnswer,
}

/// A sealed value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedRow {
    /// The row's place in the column's order.
    pub id: i64,
    /// What the row is called in the seal; empty where that is its id.
    pub name: String,
    /// The seal.
    pub sealed: Bytes,
}

/// The statements of a column: those not under a key, how many under each, and the exchange of one.
struct Statements {
    find: &'static str,
    count: &'static str,
    replace: &'static str,
}

impl SealedColumn {
    /// Every column.
    pub const ALL: [Self; 7] = [
        Self::TotpSecret,
        Self::MailBody,
        Self::WebhookSecret,
        Self::PreviousWebhookSecret,
        Self::OlderWebhookSecret,
        Self::WebhookClientKey,
        Self::AttemptAnswer,
    ];

    const fn statements(self) -> Statements {
        match self {
            Self::TotpSecret => Statements {
                find: "SELECT id, '', totp_secret FROM users WHERE totp_secret IS NOT NULL \
                       AND SUBSTR(totp_secret, 2, 16) <> ? AND id > ? ORDER BY id LIMIT ?",
                count: "SELECT SUBSTR(totp_secret, 2, 16), COUNT(*) FROM users WHERE totp_secret IS NOT NULL GROUP BY 1",
                replace: "UPDATE users SET totp_secret = ? WHERE id = ? AND totp_secret = ?",
            },
            Self::MailBody => Statements {
                find: "SELECT id, recipient, body FROM mail_outbox WHERE next_attempt_at IS NOT NULL \
                       AND SUBSTR(body, 2, 16) <> ? AND id > ? ORDER BY id LIMIT ?",
                count: "SELECT SUBSTR(body, 2, 16), COUNT(*) FROM mail_outbox WHERE next_attempt_at IS NOT NULL GROUP BY 1",
                replace: "UPDATE mail_outbox SET body = ? WHERE id = ? AND body = ?",
            },
            Self::WebhookSecret => Statements {
                find: "SELECT id, CONCAT(domain, '/', name), secret FROM destinations WHERE secret IS NOT NULL \
                       AND SUBSTR(secret, 2, 16) <> ? AND id > ? ORDER BY id LIMIT ?",
                count: "SELECT SUBSTR(secret, 2, 16), COUNT(*) FROM destinations WHERE secret IS NOT NULL GROUP BY 1",
                replace: "UPDATE destinations SET secret = ? WHERE id = ? AND secret = ?",
            },
            Self::PreviousWebhookSecret => Statements {
                find: "SELECT id, CONCAT(domain, '/', name), previous_secret FROM destinations \
                       WHERE previous_secret IS NOT NULL AND SUBSTR(previous_secret, 2, 16) <> ? AND id > ? \
                       ORDER BY id LIMIT ?",
                count: "SELECT SUBSTR(previous_secret, 2, 16), COUNT(*) FROM destinations \
                        WHERE previous_secret IS NOT NULL GROUP BY 1",
                replace: "UPDATE destinations SET previous_secret = ? WHERE id = ? AND previous_secret = ?",
            },
            Self::OlderWebhookSecret => Statements {
                find: "SELECT id, CONCAT(domain, '/', name), older_secret FROM destinations \
                       WHERE older_secret IS NOT NULL AND SUBSTR(older_secret, 2, 16) <> ? AND id > ? \
                       ORDER BY id LIMIT ?",
                count: "SELECT SUBSTR(older_secret, 2, 16), COUNT(*) FROM destinations \
                        WHERE older_secret IS NOT NULL GROUP BY 1",
                replace: "UPDATE destinations SET older_secret = ? WHERE id = ? AND older_secret = ?",
            },
            Self::WebhookClientKey => Statements {
                find: "SELECT id, CONCAT(domain, '/', name), client_key FROM destinations WHERE client_key IS NOT NULL \
                       AND SUBSTR(client_key, 2, 16) <> ? AND id > ? ORDER BY id LIMIT ?",
                count: "SELECT SUBSTR(client_key, 2, 16), COUNT(*) FROM destinations \
                        WHERE client_key IS NOT NULL GROUP BY 1",
                replace: "UPDATE destinations SET client_key = ? WHERE id = ? AND client_key = ?",
            },
            Self::AttemptAnswer => Statements {
                find: "SELECT id, LOWER(HEX(attempt_id)), answer FROM attempts WHERE answer IS NOT NULL \
                       AND SUBSTR(answer, 2, 16) <> ? AND id > ? ORDER BY id LIMIT ?",
                count: "SELECT SUBSTR(answer, 2, 16), COUNT(*) FROM attempts WHERE answer IS NOT NULL GROUP BY 1",
                replace: "UPDATE attempts SET answer = ? WHERE id = ? AND answer = ?",
            },
        }
    }
}

const DATA_KEYS: &str = "SELECT key_id, master_key_id, record, proxy_name, proxy_serial, created_at, rewrapped \
                         FROM data_keys WHERE master_key_id <> ? AND key_id > ? ORDER BY key_id LIMIT ?";

impl Store {
    /// Data keys after `after` that need another master key than `master`, at most `limit`, by id.
    pub async fn data_keys_not_under(
        &self,
        master: KeyId,
        after: KeyId,
        limit: u32,
    ) -> Result<Vec<DataKeyRow>, StoreError> {
        let values = [Value::Blob(master.as_bytes()), Value::Blob(after.as_bytes()), Value::Int(limit.into())];
        self.backend().fetch(DATA_KEYS, values).await?.iter().map(data_keys::read).collect()
    }

    /// Stores data keys as they were sealed anew under `master`, in one transaction; how many were still as they were read.
    pub async fn rewrap_data_keys(&self, master: KeyId, keys: &[(DataKeyRow, Vec<u8>)]) -> Result<u64, StoreError> {
        let sql = "UPDATE data_keys SET rewrapped = ?, master_key_id = ? WHERE key_id = ? AND master_key_id = ?";
        let mut tx = self.backend().begin().await?;
        let mut changed = 0;
        for (row, sealed) in keys {
            let ids = [master, row.key_id, row.master_key_id];
            let values = std::iter::once(Value::Blob(sealed)).chain(ids.iter().map(|id| Value::Blob(id.as_bytes())));
            changed += tx.execute(sql, values).await?;
        }
        tx.commit().await?;
        Ok(changed)
    }

    /// Values of a column after row `after` that are sealed under another key than `master`, at most `limit`.
    pub async fn sealed_not_under(
        &self,
        column: SealedColumn,
        master: KeyId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<SealedRow>, StoreError> {
        let values = [Value::Blob(master.as_bytes()), Value::Int(after), Value::Int(limit.into())];
        let rows = self.backend().fetch(column.statements().find, values).await?;
        let read = rows.iter().map(|row| {
            let sealed = Bytes::copy_from_slice(row.blob(2)?);
            Ok(SealedRow { id: row.int(0)?, name: row.text(1)?.to_owned(), sealed })
        });
        read.collect()
    }

    /// Puts a value that was sealed anew in the place of the one that was read; whether it was still there.
    pub async fn reseal(&self, column: SealedColumn, row: &SealedRow, sealed: &[u8]) -> Result<bool, StoreError> {
        let mut tx = self.backend().begin().await?;
        let values = [Value::Blob(sealed), Value::Int(row.id), Value::Blob(&row.sealed)];
        let changed = tx.execute(column.statements().replace, values).await?;
        tx.commit().await?;
        Ok(changed == 1)
    }

    /// Puts `after` in the place of a setting that is `before`; whether it was.
    pub async fn exchange_setting(&self, name: &str, before: &[u8], after: &[u8]) -> Result<bool, StoreError> {
        let mut tx = self.backend().begin().await?;
        let sql = "UPDATE settings SET value = ? WHERE name = ? AND value = ?";
        let changed = tx.execute(sql, [Value::Blob(after), Value::Text(name), Value::Blob(before)]).await?;
        tx.commit().await?;
        Ok(changed == 1)
    }

    /// How many data keys and values need each master key; settings are not counted.
    pub async fn master_key_uses(&self) -> Result<BTreeMap<KeyId, u64>, StoreError> {
        let mut uses = BTreeMap::new();
        let data_keys = "SELECT master_key_id, COUNT(*) FROM data_keys GROUP BY 1";
        let columns = SealedColumn::ALL.map(|column| column.statements().count);
        for sql in std::iter::once(data_keys).chain(columns) {
            for row in self.backend().fetch(sql, []).await? {
                *uses.entry(row.key_id(0)?).or_default() += row.unsigned(1)?;
            }
        }
        Ok(uses)
    }
}
