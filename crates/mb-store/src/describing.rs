//! What the database says of itself, cheaply however many rows there are.

use std::collections::BTreeMap;

use crate::Store;
use crate::backend::Backend;
use crate::error::StoreError;
use crate::migration::MigrationStatus;

/// Which database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Product {
    /// A file.
    Sqlite,
    /// A server.
    MySql,
    /// A server.
    MariaDb,
}

/// A table, about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableSize {
    /// Its rows.
    pub rows: u64,
    /// Its bytes with its indexes; `None`: that is not cheap to say.
    pub bytes: Option<u64>,
}

/// Connections that are kept for one use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolUse {
    /// For what.
    pub name: &'static str,
    /// Those in use.
    pub in_use: u32,
    /// Those that are open and idle.
    pub idle: u32,
    /// The most there may be.
    pub max: u32,
}

/// What a file consists of beside its rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileSize {
    /// Bytes of the log.
    pub wal: u64,
    /// Bytes that are free within the file.
    pub free: u64,
}

/// What one kind of database says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Described {
    /// Which one.
    pub product: Product,
    /// Its version.
    pub version: String,
    /// The tables by name.
    pub tables: BTreeMap<String, TableSize>,
    /// Of a file.
    pub file: Option<FileSize>,
    /// Connections.
    pub pools: Vec<PoolUse>,
}

/// The database, its size and its schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DatabaseDescription {
    /// What it says.
    pub described: Described,
    /// Bytes on disk.
    pub bytes: u64,
    /// The migrations, in order.
    pub migrations: Vec<MigrationStatus>,
}

impl Store {
    /// Describes the database.
    pub async fn describe(&self) -> Result<DatabaseDescription, StoreError> {
        let described = match self.backend() {
            Backend::Sqlite(db) => db.describe().await?,
            Backend::MySql(db) => db.describe().await?,
        };
        let (bytes, migrations) = (self.size().await, self.migration_status().await?);
        Ok(DatabaseDescription { described, bytes, migrations })
    }
}

/// How a pool stands.
pub(crate) fn pool_use<DB: sqlx::Database>(name: &'static str, pool: &sqlx::Pool<DB>) -> PoolUse {
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
    PoolUse { name, in_use: pool.size().saturating_sub(idle), idle, max: pool.options().get_max_connections() }
}
