//! What can go wrong in the store, told apart by what a caller does about it.
//!
//! Callers ask [`StoreError::is_passing`]: a passing fault is answered "try again" and the sender keeps its copy; a
//! permanent one is not cured by repeating. Errors are cloned, because one failed transaction answers many callers.

use std::sync::Arc;

use mb_core::{ClientName, DomainName};

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
    /// A newer program has migrated the database.
    #[error("the database has schema {found}, this program knows {known} at most: use the newer program")]
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

/// Sorts by `SQLite`'s primary result code (<https://sqlite.org/rescode.html>), the low byte of the extended one.
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        let code = code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
        match (code, error) {
            (Some(5 | 6), error) | (None, error @ sqlx::Error::PoolTimedOut) => Self::Busy(Arc::new(error)),
            (Some(13), error) => Self::Full(Arc::new(error)),
            (Some(8), error) => Self::ReadOnly(Arc::new(error)),
            (Some(7 | 9 | 10 | 14 | 15), error) | (None, error @ (sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed)) => {
                Self::Unavailable(Arc::new(error))
            }
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
