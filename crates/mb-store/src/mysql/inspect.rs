//! What an operator has to know about a database server before it is trusted with messages.

use std::collections::HashMap;

use mb_core::Timestamp;
use sqlx::SqlStr;

use super::MySql;
use crate::error::StoreError;
use crate::value::Row;

/// What a database server says about itself. What it does not tell is `None`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ServerReport {
    /// Its version as text: `10.11.14-MariaDB`.
    pub version: String,
    /// `innodb_flush_log_at_trx_commit`: 1 means that a commit is on the disk when it is answered.
    pub flush_log_at_commit: Option<u64>,
    /// `sync_binlog`: 1 means that the binary log is too. `None` if it writes none.
    pub sync_binlog: Option<u64>,
    /// The database's name.
    pub database: String,
    /// The database's default character set.
    pub charset: String,
    /// `max_allowed_packet` in bytes.
    pub max_packet: Option<u64>,
    /// What this user may do, one GRANT statement each.
    pub grants: Vec<String>,
    /// What time it is there.
    pub now: Timestamp,
    /// Whether this connection is encrypted.
    pub encrypted: bool,
}

impl ServerReport {
    /// Whether a commit that was answered survives a power failure of its machine.
    ///
    /// # Errors
    /// The setting that is not as it must be, and how it is.
    pub fn is_durable(&self) -> Result<(), String> {
        match (self.flush_log_at_commit, self.sync_binlog) {
            (Some(value), _) if value != 1 => Err(format!("innodb_flush_log_at_trx_commit is {value}")),
            (_, Some(value)) if value != 1 => Err(format!("sync_binlog is {value}")),
            _ => Ok(()),
        }
    }
}

const SETTINGS: &str = "SHOW VARIABLES WHERE variable_name IN ('version', 'innodb_flush_log_at_trx_commit', \
                        'sync_binlog', 'log_bin', 'character_set_database', 'max_allowed_packet')";
const CIPHER: &str = "SHOW SESSION STATUS LIKE 'Ssl_cipher'";
const DATABASE: &str = "SELECT DATABASE()";
const GRANTS: &str = "SHOW GRANTS";

impl MySql {
    pub(crate) async fn inspect(&self) -> Result<ServerReport, StoreError> {
        let read = async |sql| self.fetch(SqlStr::from_static(sql), []).await;
        let pair = |row: &Row| Ok((row.text(0)?.to_owned(), row.optional_text(1)?.unwrap_or_default().to_owned()));
        let settings = read(SETTINGS).await?.iter().map(pair).collect::<Result<HashMap<_, _>, StoreError>>()?;
        let text = |name: &str| settings.get(name).cloned().unwrap_or_default();
        let number = |name: &str| settings.get(name).and_then(|value| value.parse().ok());
        let cipher = read(CIPHER).await?.iter().map(pair).collect::<Result<Vec<_>, StoreError>>()?;
        let database = read(DATABASE).await?;
        let grants = read(GRANTS).await?;
        Ok(ServerReport {
            version: text("version"),
            flush_log_at_commit: number("innodb_flush_log_at_trx_commit"),
            sync_binlog: number("sync_binlog").filter(|_| text("log_bin") == "ON"),
            database: database.first().and_then(|row| row.text(0).ok()).unwrap_or_default().to_owned(),
            charset: text("character_set_database"),
            max_packet: number("max_allowed_packet"),
            grants: grants.iter().map(|row| row.text(0).map(str::to_owned)).collect::<Result<_, _>>()?,
            now: self.now().await?,
            encrypted: cipher.iter().any(|(_, cipher)| !cipher.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_durable_if_both_logs_are_synced_at_every_commit() {
        let of = |flush_log_at_commit, sync_binlog| {
            ServerReport { flush_log_at_commit, sync_binlog, ..ServerReport::default() }.is_durable()
        };
        assert_eq!((of(Some(1), Some(1)), of(Some(1), None)), (Ok(()), Ok(())));
        assert!(of(Some(2), Some(1)).is_err_and(|reason| reason.contains("innodb_flush_log_at_trx_commit is 2")));
        assert!(of(Some(1), Some(0)).is_err_and(|reason| reason.contains("sync_binlog is 0")));
    }
}
