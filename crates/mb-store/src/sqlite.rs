//! The `SQLite` backend: one connection that writes, a few that read.
//!
//! The writer is a pool of one, so writers queue up fairly in this process instead of finding the database locked. Every
//! transaction begins IMMEDIATE: it never has to upgrade a lock half way. A transaction that is dropped unfinished (an
//! error, a cancelled request) takes its connection with it: `SQLite` rolls back by itself on some faults (disk full,
//! I/O), after which the state of the connection is not worth guessing.

mod describing;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, SqlStr, Sqlite as Driver};

use crate::error::StoreError;
use crate::value::{Row, Value, sqlite_arguments};

const READERS: u32 = 4;
const WRITER_CACHE_KIB: u32 = 16 * 1024;
const READER_CACHE_KIB: u32 = 4 * 1024;

/// A checkpoint writes each changed page once, however often it changed since the last: index pages are hit at random,
/// so a longer log means fewer writes. 16,384 pages are 64 MiB of log.
const CHECKPOINT_PAGES: u32 = 16_384;

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// An open `SQLite` database.
#[derive(Clone, Debug)]
pub(crate) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    path: PathBuf,
}

impl Sqlite {
    pub(crate) async fn open(path: &Path) -> Result<Self, StoreError> {
        create_private(path).await.map_err(sqlx::Error::Io)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("temp_store", "MEMORY")
            .pragma("mmap_size", "0")
            .disable_statement_logging();
        let writing = options
            .clone()
            .thread_name(|_| "store-writer".into())
            .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"))
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
            .pragma("journal_size_limit", (u64::from(CHECKPOINT_PAGES) * 4096).to_string());
        let reading = options
            .thread_name(|id| format!("store-reader-{id}"))
            .pragma("cache_size", format!("-{READER_CACHE_KIB}"))
            .pragma("query_only", "ON");
        let pool = || {
            SqlitePoolOptions::new()
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
        };
        // The writer connects first: it is the one that makes a new file a WAL database.
        let writer = pool().max_connections(1).connect_with(writing).await?;
        let readers = pool().max_connections(READERS).connect_lazy_with(reading);
        Ok(Self { writer, readers, path: path.to_owned() })
    }

    pub(crate) fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    /// Takes the write lock; waits for its turn.
    pub(crate) async fn begin(&self) -> Result<Transaction, StoreError> {
        let mut transaction = Transaction { connection: self.writer.acquire().await?, open: true };
        sqlx::query("BEGIN IMMEDIATE").execute(transaction.connection()).await?;
        Ok(transaction)
    }

    /// Reads rows on one of the reading connections.
    pub(crate) async fn fetch<'a>(
        &self,
        sql: SqlStr,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<Vec<Row>, StoreError> {
        let arguments = sqlite_arguments(values)?;
        let mut connection = self.readers.acquire().await?;
        let rows = sqlx::query_with(sql, arguments).fetch_all(&mut *connection).await?;
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    /// A reading connection that sees what is there now until it is closed. The log grows meanwhile.
    pub(crate) async fn snapshot(&self) -> Result<PoolConnection<Driver>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        connection.close_on_drop();
        sqlx::query("BEGIN").execute(&mut *connection).await?;
        // Only the first look fixes what is seen.
        sqlx::query("SELECT 1 FROM settings").execute(&mut *connection).await?;
        Ok(connection)
    }

    /// Bytes on disk, the log included.
    pub(crate) async fn size(&self) -> u64 {
        length(&self.path).await + self.log_size().await
    }

    /// Bytes of the log.
    pub(crate) async fn log_size(&self) -> u64 {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        length(Path::new(&log)).await
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

async fn length(file: &Path) -> u64 {
    tokio::fs::metadata(file).await.map_or(0, |meta| meta.len())
}

/// Creates the file for its owner alone; `SQLite` gives its log and index the same rights.
async fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = tokio::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    options.mode(0o600);
    options.open(path).await.map(drop)
}

/// A write transaction.
pub(crate) struct Transaction {
    connection: PoolConnection<Driver>,
    open: bool,
}

impl Transaction {
    fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    pub(crate) async fn execute<'a>(
        &mut self,
        sql: SqlStr,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<u64, StoreError> {
        let arguments = sqlite_arguments(values)?;
        Ok(sqlx::query_with(sql, arguments).execute(self.connection()).await?.rows_affected())
    }

    pub(crate) async fn fetch<'a>(
        &mut self,
        sql: SqlStr,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<Vec<Row>, StoreError> {
        let arguments = sqlite_arguments(values)?;
        let rows = sqlx::query_with(sql, arguments).fetch_all(self.connection()).await?;
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        sqlx::query("COMMIT").execute(&mut *self.connection).await?;
        self.open = false;
        Ok(())
    }

    pub(crate) async fn rollback(mut self) -> Result<(), StoreError> {
        sqlx::query("ROLLBACK").execute(&mut *self.connection).await?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.open {
            self.connection.close_on_drop();
        }
    }
}
