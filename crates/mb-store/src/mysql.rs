//! The `MySQL` backend, for `MySQL` and `MariaDB`: connections that read and change, and one that registers.
//!
//! In `SQLite` whoever changes something waits for its turn, so a transaction may look and then act. Here that turn is a
//! row's lock, taken as a transaction begins ([`MySql::begin`]); it holds across all main servers of one database.
//! Registering and leasing do not wait for it ([`MySql::begin_beside`]): they rely on unique keys and on the locks of the
//! rows that they take. Every session speaks UTC and utf8mb4, refuses what it would otherwise cut off or bend, and reads
//! what is committed.
//!
//! A transaction that is dropped unfinished takes its connection with it, and so does a statement that is not answered in
//! time: what is on its way there is not worth guessing. A connection is asked whether it lives before it is used, so a
//! server that was restarted is met by a new one.

mod describing;
pub(crate) mod inspect;
mod migrating;
#[cfg(test)]
mod tests;
mod version;

use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, MySql as Driver, SqlStr};

use crate::error::StoreError;
use crate::recorded::{Recorded, Recording};
use crate::statement::positional;
use crate::value::{Row, Value, mysql_arguments};

/// Connections beside the one that registers.
const CONNECTIONS: u32 = 10;

/// Connections that register, each with a transaction of its own at a time.
pub(crate) const LANES: u32 = 2;

/// A connection that nobody uses for so long is closed, before the database does it.
const IDLE: Duration = Duration::from_secs(20);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest that a statement may take; a lock is waited for much shorter.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Distinct statements that a connection keeps prepared.
const STATEMENTS: usize = 200;

/// How often a transaction is begun anew that another one stood in the way of.
const BEGIN_ATTEMPTS: u32 = 3;

/// Reading what is committed takes no locks between rows, which would make writers wait for each other. What would be cut
/// off or bent is refused. `sqlx` itself asks that rows count which an UPDATE finds, as they do in `SQLite`. A main server that
/// stands still within a transaction, because its machine does, keeps its locks from the others for half a minute and no
/// longer: then the database ends its session.
const SESSION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
     SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,\
NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY', autocommit = 1, innodb_lock_wait_timeout = 3, lock_wait_timeout = 20, wait_timeout = 30";

/// The turn is the lock on a row that is always there.
const BEGIN: &str = "START TRANSACTION; SELECT 1 FROM settings WHERE name = 'policy_version' FOR UPDATE";
const BEGIN_BESIDE: &str = "START TRANSACTION";

/// Whoever reads a snapshot may take its time between two pieces, and holds no lock.
const SNAPSHOT: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET SESSION wait_timeout = 28800; \
                        START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

const NOW: &str = "SELECT UTC_TIMESTAMP(6)";

const SIZE: &str = "SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS SIGNED) FROM information_schema.tables \
                    WHERE table_schema = DATABASE()";

/// An open `MySQL` database.
#[derive(Clone, Debug)]
pub(crate) struct MySql {
    pool: MySqlPool,
    registering: MySqlPool,
    recorded: Recorded,
}

impl MySql {
    /// Connects once, to see what answers there; other connections are made as they are needed.
    pub(crate) async fn open(options: MySqlConnectOptions) -> Result<Self, StoreError> {
        let options = options
            .charset("utf8mb4")
            .collation("utf8mb4_bin")
            .statement_cache_capacity(STATEMENTS)
            .pipes_as_concat(false)
            .disable_statement_logging();
        let mut first = within(CONNECT_TIMEOUT, options.connect()).await?;
        let version =
            within(CONNECT_TIMEOUT, sqlx::query_scalar::<_, String>("SELECT VERSION()").fetch_one(&mut first));
        version::accept(&version.await?)?;
        let _ = within(CONNECT_TIMEOUT, first.close()).await;
        let pool = |connections| {
            MySqlPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .test_before_acquire(true)
                .idle_timeout(IDLE)
                .after_connect(|connection, _| Box::pin(async move { connection.execute(SESSION).await.map(drop) }))
                .connect_lazy_with(options.clone())
        };
        Ok(Self { pool: pool(CONNECTIONS), registering: pool(LANES), recorded: Recorded::default() })
    }

    /// Begins a transaction that may look and then act: it waits for its turn, and nothing else that does so runs beside it.
    pub(crate) async fn begin(&self) -> Result<Transaction, StoreError> {
        let mut attempt = 1;
        loop {
            match self.begin_on(&self.pool, BEGIN).await {
                Err(error) if error.is_conflict() && attempt < BEGIN_ATTEMPTS => attempt += 1,
                begun => return begun,
            }
        }
    }

    /// Begins a transaction whose own rows keep it apart from others.
    pub(crate) async fn begin_beside(&self) -> Result<Transaction, StoreError> {
        self.begin_on(&self.pool, BEGIN_BESIDE).await
    }

    /// Begins a transaction on one of the connections that register.
    pub(crate) async fn begin_registering(&self) -> Result<Transaction, StoreError> {
        self.begin_on(&self.registering, BEGIN_BESIDE).await
    }

    async fn begin_on(&self, pool: &MySqlPool, begin: &'static str) -> Result<Transaction, StoreError> {
        let recording = self.recorded.begin();
        let mut transaction = Transaction { connection: pool.acquire().await?, open: true, recording };
        transaction.say(begin).await?;
        Ok(transaction)
    }

    pub(crate) const fn recorded(&self) -> &Recorded {
        &self.recorded
    }

    /// Reads rows, in a snapshot of their own.
    pub(crate) async fn fetch<'a>(
        &self,
        sql: SqlStr,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        fetch(&mut connection, sql, values).await
    }

    /// A connection that sees what is there now until it is closed.
    pub(crate) async fn snapshot(&self) -> Result<PoolConnection<Driver>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        connection.close_on_drop();
        within(STATEMENT_TIMEOUT, connection.execute(sqlx::raw_sql(SNAPSHOT))).await?;
        Ok(connection)
    }

    /// The time that all who share the database agree on.
    pub(crate) async fn now(&self) -> Result<mb_core::Timestamp, StoreError> {
        let rows = self.fetch(SqlStr::from_static(NOW), []).await?;
        rows.first().ok_or(StoreError::Damaged("time"))?.time(0)
    }

    /// Bytes on disk, as the server estimates them.
    pub(crate) async fn size(&self) -> u64 {
        let rows = self.fetch(SqlStr::from_static(SIZE), []).await;
        rows.ok().and_then(|rows| rows.first()?.unsigned(0).ok()).unwrap_or(0)
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
        self.registering.close().await;
    }
}

/// A write transaction.
pub(crate) struct Transaction {
    connection: PoolConnection<Driver>,
    open: bool,
    recording: Recording,
}

impl Transaction {
    pub(crate) async fn execute<'a>(
        &mut self,
        sql: SqlStr,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<u64, StoreError> {
        let (sql, values) = positional(sql, values);
        let query = sqlx::query_with(sql, mysql_arguments(values)?);
        let done = within(STATEMENT_TIMEOUT, query.execute(&mut *self.connection)).await?;
        Ok(done.rows_affected())
    }

    pub(crate) async fn insert<'a>(
        &mut self,
        sql: SqlStr,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<i64, StoreError> {
        let (sql, values) = positional(sql, values);
        let query = sqlx::query_with(sql, mysql_arguments(values)?);
        let done = within(STATEMENT_TIMEOUT, query.execute(&mut *self.connection)).await?;
        i64::try_from(done.last_insert_id()).map_err(|_| StoreError::Damaged("id"))
    }

    pub(crate) const fn recorded(&mut self) -> &mut Recording {
        &mut self.recording
    }

    pub(crate) async fn fetch<'a>(
        &mut self,
        sql: SqlStr,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Result<Vec<Row>, StoreError> {
        fetch(&mut self.connection, sql, values).await
    }

    pub(crate) async fn now(&mut self) -> Result<mb_core::Timestamp, StoreError> {
        let rows = self.fetch(SqlStr::from_static(NOW), []).await?;
        rows.first().ok_or(StoreError::Damaged("time"))?.time(0)
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        self.say("COMMIT").await?;
        self.open = false;
        self.recording.committed();
        Ok(())
    }

    pub(crate) async fn rollback(mut self) -> Result<(), StoreError> {
        self.say("ROLLBACK").await?;
        self.open = false;
        Ok(())
    }

    /// Statements that frame a transaction are not prepared.
    async fn say(&mut self, sql: &'static str) -> Result<(), StoreError> {
        within(STATEMENT_TIMEOUT, self.connection.execute(sqlx::raw_sql(sql))).await.map(drop)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.open {
            self.connection.close_on_drop();
        }
    }
}

async fn fetch<'a>(
    connection: &mut PoolConnection<Driver>,
    sql: SqlStr,
    values: impl IntoIterator<Item = Value<'a>>,
) -> Result<Vec<Row>, StoreError> {
    let (sql, values) = positional(sql, values);
    let query = sqlx::query_with(sql, mysql_arguments(values)?);
    let rows = within(STATEMENT_TIMEOUT, query.fetch_all(&mut **connection)).await;
    if matches!(rows, Err(StoreError::Unavailable(_))) {
        connection.close_on_drop();
    }
    Ok(rows?.into_iter().map(Row::MySql).collect())
}

/// What is not answered within `limit` is a fault of the connection.
async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    Ok(tokio::time::timeout(limit, work).await.map_err(late)??)
}
