//! Which database is behind the store, and the few things that are asked of it.
//!
//! A closed set, chosen once by the address: an enum, so that every place that must differ is found by the compiler.

use std::path::Path;

use sqlx::SqlSafeStr;

use crate::error::StoreError;
use crate::sqlite::{self, Sqlite};
use crate::value::{Row, Value, sqlite_arguments};

/// The database.
#[derive(Clone, Debug)]
pub(crate) enum Backend {
    Sqlite(Sqlite),
}

impl Backend {
    /// Opens the database at `address`: `sqlite://PATH`, `sqlite:PATH` or a bare path.
    pub(crate) async fn open(address: &str) -> Result<Self, StoreError> {
        let path = match address.split_once(':') {
            Some(("sqlite", path)) => path.strip_prefix("//").unwrap_or(path),
            Some((_, rest)) if rest.starts_with("//") => {
                return Err(StoreError::UnknownAddress(without_password(address)));
            }
            _ => address,
        };
        if path.is_empty() || path.starts_with(":memory:") {
            return Err(StoreError::UnknownAddress(address.to_owned()));
        }
        Ok(Self::Sqlite(Sqlite::open(Path::new(path)).await?))
    }

    /// Begins a transaction that may write; waits for its turn.
    pub(crate) async fn begin(&self) -> Result<Transaction, StoreError> {
        match self {
            Self::Sqlite(db) => db.begin().await.map(Transaction::Sqlite),
        }
    }

    /// Reads rows, in a snapshot of their own.
    pub(crate) async fn fetch<'a>(
        &self,
        sql: impl SqlSafeStr,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(db) => db.fetch(sql, values).await,
        }
    }

    /// Reads at most one row.
    pub(crate) async fn fetch_optional<'a>(
        &self,
        sql: impl SqlSafeStr,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch(sql, values).await?.into_iter().next())
    }

    /// Bytes on disk.
    pub(crate) async fn size(&self) -> u64 {
        match self {
            Self::Sqlite(db) => db.size().await,
        }
    }

    /// Closes all connections, after those who hold one are done.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(db) => db.close().await,
        }
    }
}

/// A database's address for an error message: what stands before the last `@` may be a password.
fn without_password(address: &str) -> String {
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://...@{host}"),
        _ => address.to_owned(),
    }
}

/// A write transaction; undone unless [`Transaction::commit`] succeeds.
pub(crate) enum Transaction {
    Sqlite(sqlite::Transaction),
}

impl Transaction {
    /// Runs a statement; how many rows it changed.
    pub(crate) async fn execute<'a>(
        &mut self,
        sql: impl SqlSafeStr,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(tx) => {
                let arguments = sqlite_arguments(values)?;
                Ok(sqlx::query_with(sql, arguments).execute(tx.connection()).await?.rows_affected())
            }
        }
    }

    /// Reads rows, seeing this transaction's own changes.
    pub(crate) async fn fetch<'a>(
        &mut self,
        sql: impl SqlSafeStr,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(tx) => {
                let arguments = sqlite_arguments(values)?;
                let rows = sqlx::query_with(sql, arguments).fetch_all(tx.connection()).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
        }
    }

    /// Reads at most one row.
    pub(crate) async fn fetch_optional<'a>(
        &mut self,
        sql: impl SqlSafeStr,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch(sql, values).await?.into_iter().next())
    }

    /// Makes the changes durable.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
        }
    }

    /// Undoes the changes and keeps the connection.
    pub(crate) async fn rollback(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await,
        }
    }
}
