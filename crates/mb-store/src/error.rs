//! What can go wrong in the store, told apart by what a caller does about it.
//!
//! Callers ask [`StoreError::is_passing`]: a passing fault is answered "try again" and the sender keeps its copy; a
//! permanent one is not cured by repeating. Errors are cloned, because one failed transaction answers many callers.

use std::sync::Arc;

use mb_core::{ClientName, DomainName};
use sqlx::mysql::MySqlDatabaseError;

/// A fault of the store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Someone else holds the database; passing.
    #[error("the database is busy")]
    Busy(#[source] Arc<sqlx::Error>),
    /// The disk is full; passing, an operator makes room.
    #[error("the database's disk is full")]
    Full(#[source] Arc<sqlx::Error>),
    /// The database may only be read; passing, an operator corrects it.
    #[error("the database is read-only")]
    ReadOnly(#[source] Arc<sqlx::Error>),
    /// The database cannot be reached or its disk does not answer; passing.
    #[error("the database is unavailable")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// The store has been closed; passing, for another process may open it.
    #[error("the store is closed")]
    Closed,
    /// The address of the database is not one that this program knows.
    #[error("`{0}` is not the address of a database that this program knows")]
    UnknownAddress(String),
    /// The address names a database that this program knows, and cannot be used.
    #[error("`{address}` cannot be used: {reason}")]
    UnusableAddress {
        /// The address without its password.
        address: String,
        /// Why.
        reason: String,
    },
    /// The server at the address would not keep what the store relies on.
    #[error("the database server {version} cannot be used: {reason}")]
    UnusableServer {
        /// What the server says it is.
        version: String,
        /// Why.
        reason: &'static str,
    },
    /// A newer program has migrated the database.
    #[error(
        "the schema is {found}, made by a newer program; this one, {}, knows {known} at most: use the newer program, or \
         go back to a backup that was made before it",
        env!("CARGO_PKG_VERSION")
    )]
    SchemaNewer {
        /// The newest migration that the database has.
        found: i64,
        /// The newest migration that this program has.
        known: i64,
    },
    /// A migration did not succeed.
    #[error("a migration did not succeed")]
    Migration(#[source] Arc<sqlx::migrate::MigrateError>),
    /// A client is in one domain for good.
    #[error("client {client} belongs to domain {domain}")]
    ClientElsewhere {
        /// The client.
        client: ClientName,
        /// Where it is.
        domain: DomainName,
    },
    /// What was to be added is there already.
    #[error("there already is such a {0}")]
    Exists(&'static str),
    /// What a change refers to is not there.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// What a call was decided by has changed meanwhile; the caller decides anew.
    #[error("the destinations have changed")]
    Superseded,
    /// The change would leave nobody who may do everything.
    #[error("this is the last active admin whose account does not end")]
    LastAdmin,
    /// A stored value breaks its own rule, or the file is damaged.
    #[error("the database holds a broken {0}")]
    Damaged(&'static str),
    /// Any other refusal of the database; repeating does not help.
    #[error("the database refused a statement")]
    Refused(#[source] Arc<sqlx::Error>),
}

impl StoreError {
    /// Whether the same call may succeed later without a change of what is asked.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Full(_) | Self::ReadOnly(_) | Self::Unavailable(_) | Self::Closed)
    }

    /// Whether another transaction stood in the way, so that the same one may be tried again at once.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Busy(error) if mysql_number(error).is_some())
    }

    /// Whether a row with the same key was there.
    pub(crate) fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Refused(error)
            if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation))
    }

    /// Whether a row that is referred to was not there.
    pub(crate) fn is_missing_reference(&self) -> bool {
        matches!(self, Self::Refused(error)
            if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation))
    }
}

/// The number of an error of `MySQL`'s
/// (<https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>), the same in `MariaDB` below 1900.
fn mysql_number(error: &sqlx::Error) -> Option<u16> {
    error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

/// Sorts what `MySQL` says. Who may not come in any more, or finds nothing there, is as one who cannot reach it: an operator
/// corrects it, and nothing that waits is at fault.
fn of_mysql(number: u16, error: sqlx::Error) -> StoreError {
    match number {
        // Lock wait, deadlock (Galera's certification too), record changed, certification of Group Replication.
        1205 | 1213 | 1020 | 3101 => StoreError::Busy(Arc::new(error)),
        // Disk full, table full.
        1021 | 1114 => StoreError::Full(Arc::new(error)),
        // Read-only table, server, transaction, mode.
        1036 | 1290 | 1792 | 1836 => StoreError::ReadOnly(Arc::new(error)),
        // I/O, too many connections, access, no database, node not ready, shutdown, network, killed, resources, host.
        1026
        | 1030
        | 1040
        | 1042..=1045
        | 1047
        | 1049
        | 1053
        | 1077..=1080
        | 1129
        | 1130
        | 1142
        | 1143
        | 1152..=1161
        | 1180..=1184
        | 1203
        | 1226
        | 1227
        | 1317
        | 1698
        | 1927
        | 3024
        | 4031 => StoreError::Unavailable(Arc::new(error)),
        _ => StoreError::Refused(Arc::new(error)),
    }
}

/// Sorts by `SQLite`'s primary result code (<https://sqlite.org/rescode.html>), the low byte of the extended one.
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if let Some(number) = mysql_number(&error) {
            return of_mysql(number, error);
        }
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        let code = code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
        match (code, error) {
            (Some(5 | 6), error) | (None, error @ sqlx::Error::PoolTimedOut) => Self::Busy(Arc::new(error)),
            (Some(13), error) => Self::Full(Arc::new(error)),
            (Some(8), error) => Self::ReadOnly(Arc::new(error)),
            (Some(7 | 9 | 10 | 14 | 15), error)
            | (
                None,
                error @ (sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::WorkerCrashed),
            ) => Self::Unavailable(Arc::new(error)),
            (Some(11 | 26), _) => Self::Damaged("file"),
            (None, sqlx::Error::PoolClosed) => Self::Closed,
            (_, error) => Self::Refused(Arc::new(error)),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) => error.into(),
            error => Self::Migration(Arc::new(error)),
        }
    }
}
