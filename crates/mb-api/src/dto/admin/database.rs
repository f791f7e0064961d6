//! The database behind the store.

use utoipa::ToSchema;

/// Which database it is, and how large.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct DatabaseReport {
    /// Which one.
    pub backend: DatabaseKind,
    /// Its version.
    pub version: String,
    /// Bytes on its disk, the log included; as a server estimates them.
    pub bytes: u64,
    /// Bytes of the log that are still to be written to the file; `null` for a server.
    pub wal_bytes: Option<u64>,
    /// Bytes within the file that are free for later; `null` for a server.
    pub free_bytes: Option<u64>,
    /// The tables, by name.
    pub tables: Vec<DatabaseTable>,
    /// The migrations that this program knows, in order.
    pub migrations: Vec<DatabaseMigration>,
    /// Connections of the main server that answers.
    pub pools: Vec<DatabasePool>,
}

/// The databases there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseKind {
    /// A file.
    Sqlite,
    /// A server.
    MySql,
    /// A server.
    MariaDb,
}

/// A table.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct DatabaseTable {
    /// Its name.
    pub name: String,
    /// Its rows, about: nothing counts all of them. Of a file, the numbers given so far less those before the first row, or
    /// counted up to 100,000.
    pub rows: u64,
    /// Bytes with its indexes, about; `null` for a file of more than 256 MiB, of which that is not cheap to say.
    pub bytes: Option<u64>,
}

/// A migration.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct DatabaseMigration {
    /// Its number.
    pub version: i64,
    /// What it is about.
    pub description: String,
    /// Whether the database has it.
    pub is_applied: bool,
}

/// Connections that are kept for one use.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct DatabasePool {
    /// For what: `write`, `read`, `general`, `register`.
    pub name: String,
    /// Those in use.
    pub in_use: u32,
    /// Those that are open and idle.
    pub idle: u32,
    /// The most there may be.
    pub max: u32,
}
