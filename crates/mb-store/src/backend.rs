//! Which database is behind the store, and the few things that are asked of it.
//!
//! A closed set, chosen once by the address: an enum, so that every place that must differ is found by the compiler.

use mb_core::{Clock, Timestamp};

use crate::address::Address;
use crate::archive::Snapshot;
use crate::error::StoreError;
use crate::mysql::{self, MySql};
use crate::sqlite::{self, Sqlite};
use crate::statement::Statement;
use crate::value::{Row, Value};

/// The database.
#[derive(Clone, Debug)]
pub(crate) enum Backend {
    Sqlite(Sqlite),
    MySql(MySql),
}

impl Backend {
    /// Opens the database at `address`; see [`Address`].
    pub(crate) async fn open(address: &str) -> Result<Self, StoreError> {
        match Address::parse(address)? {
            Address::Sqlite(path) => Sqlite::open(&path).await.map(Self::Sqlite),
            Address::MySql(options) => MySql::open(*options).await.map(Self::MySql),
        }
    }

    /// Begins a transaction that looks and then acts; waits for its turn.
    pub(crate) async fn begin(&self) -> Result<Transaction, StoreError> {
        match self {
            Self::Sqlite(db) => db.begin().await.map(Transaction::Sqlite),
            Self::MySql(db) => db.begin().await.map(Transaction::MySql),
        }
    }

    /// Begins a transaction that waits for nobody's turn where the database can tell rows apart that are taken: it acts on
    /// rows that it has locked, and skips what others have.
    pub(crate) async fn begin_leasing(&self) -> Result<Transaction, StoreError> {
        match self {
            Self::Sqlite(db) => db.begin().await.map(Transaction::Sqlite),
            Self::MySql(db) => db.begin_beside().await.map(Transaction::MySql),
        }
    }

    /// How many transactions of [`Backend::begin_registering`] may run at once.
    pub(crate) fn lanes(&self) -> u32 {
        match self {
            Self::Sqlite(_) => 1,
            Self::MySql(_) => mysql::LANES,
        }
    }

    /// Begins a transaction that only inserts, and finds out by unique keys what another one has inserted.
    pub(crate) async fn begin_registering(&self) -> Result<Transaction, StoreError> {
        match self {
            Self::Sqlite(db) => db.begin().await.map(Transaction::Sqlite),
            Self::MySql(db) => db.begin_registering().await.map(Transaction::MySql),
        }
    }

    /// A view of the whole as it is now, while others go on writing.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        match self {
            Self::Sqlite(db) => db.snapshot().await.map(Snapshot::Sqlite),
            Self::MySql(db) => db.snapshot().await.map(Snapshot::MySql),
        }
    }

    /// Reads rows, in a snapshot of their own.
    pub(crate) async fn fetch<'a>(
        &self,
        sql: impl Statement,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(db) => db.fetch(sql.sqlite(), values).await,
            Self::MySql(db) => db.fetch(sql.mysql(), values).await,
        }
    }

    /// Reads at most one row.
    pub(crate) async fn fetch_optional<'a>(
        &self,
        sql: impl Statement,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch(sql, values).await?.into_iter().next())
    }

    /// The time that all who share the database agree on: the server's, or for a file this machine's.
    pub(crate) async fn now(&self, clock: &Clock) -> Result<Timestamp, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(clock.now()),
            Self::MySql(db) => db.now().await,
        }
    }

    /// Bytes on disk.
    pub(crate) async fn size(&self) -> u64 {
        match self {
            Self::Sqlite(db) => db.size().await,
            Self::MySql(db) => db.size().await,
        }
    }

    /// Closes all connections, after those who hold one are done.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(db) => db.close().await,
            Self::MySql(db) => db.close().await,
        }
    }
}

/// A write transaction; undone unless [`Transaction::commit`] succeeds.
pub(crate) enum Transaction {
    Sqlite(sqlite::Transaction),
    MySql(mysql::Transaction),
}

impl Transaction {
    /// Runs a statement; how many rows it changed, or found where it changed nothing.
    pub(crate) async fn execute<'a>(
        &mut self,
        sql: impl Statement,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(tx) => tx.execute(sql.sqlite(), values).await,
            Self::MySql(tx) => tx.execute(sql.mysql(), values).await,
        }
    }

    /// Reads rows, seeing this transaction's own changes.
    pub(crate) async fn fetch<'a>(
        &mut self,
        sql: impl Statement,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(tx) => tx.fetch(sql.sqlite(), values).await,
            Self::MySql(tx) => tx.fetch(sql.mysql(), values).await,
        }
    }

    /// Reads at most one row.
    pub(crate) async fn fetch_optional<'a>(
        &mut self,
        sql: impl Statement,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch(sql, values).await?.into_iter().next())
    }

    /// See [`Backend::now`].
    pub(crate) async fn now(&mut self, clock: &Clock) -> Result<Timestamp, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(clock.now()),
            Self::MySql(tx) => tx.now().await,
        }
    }

    /// Makes the changes durable.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::MySql(tx) => tx.commit().await,
        }
    }

    /// Undoes the changes and keeps the connection.
    pub(crate) async fn rollback(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await,
            Self::MySql(tx) => tx.rollback().await,
        }
    }
}
