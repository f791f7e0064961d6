//! Migrating under a lock of the server's, so that main servers which start together migrate once.
//!
//! The driver's own lock asks for an endless wait, which `MariaDB` takes for an error and the driver for success.

use std::time::Duration;

use sqlx::MySql as Driver;
use sqlx::migrate::{AppliedMigration, Migrate as _, Migrator};
use sqlx::mysql::MySqlPool;
use sqlx::pool::PoolConnection;

use super::{MySql, within};
use crate::error::StoreError;

const LOCK: &str = "SELECT COALESCE(GET_LOCK(CONCAT('message-broker.', LEFT(SHA2(DATABASE(), 256), 32)), 60), 0)";

/// Longer than the lock is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(90);

/// Longer than the server takes to say what it has, unless it hangs.
const ASK_TIMEOUT: Duration = Duration::from_secs(30);

/// The right to migrate; it ends with the connection that holds it.
pub(crate) struct Migrating {
    _lock: PoolConnection<Driver>,
    pool: MySqlPool,
}

impl MySql {
    /// Waits until nobody else migrates.
    pub(crate) async fn begin_migrating(&self) -> Result<Migrating, StoreError> {
        let mut connection = self.pool.acquire().await?;
        connection.close_on_drop();
        let locked = sqlx::query_scalar::<_, i64>(LOCK).fetch_one(&mut *connection);
        if within(LOCK_TIMEOUT, locked).await? != 1 {
            return Err(StoreError::Busy(std::sync::Arc::new(sqlx::Error::PoolTimedOut)));
        }
        Ok(Migrating { _lock: connection, pool: self.pool.clone() })
    }

    /// Which migrations the database has.
    pub(crate) async fn applied(&self, migrator: &Migrator) -> Result<Vec<AppliedMigration>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let asked = async {
            connection.ensure_migrations_table(&migrator.table_name).await?;
            Ok(connection.list_applied_migrations(&migrator.table_name).await?)
        };
        within(ASK_TIMEOUT, asked).await
    }
}

impl Migrating {
    /// Applies what is lacking. It may take as long as it takes.
    pub(crate) async fn run(self, migrator: &Migrator) -> Result<(), StoreError> {
        Ok(migrator.run(&self.pool).await?)
    }
}
