//! `/admin/database`: which database it is, how large, and how busy this main server's connections are.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mb_api::dto::{DatabaseKind, DatabaseMigration, DatabasePool, DatabaseReport, DatabaseTable};
use mb_api::paths;
use mb_api::problem::ApiError;
use mb_store::{DatabaseDescription, DatabaseProduct};

use super::store_fault;
use crate::app::App;
use crate::caller::Caller;

#[utoipa::path(
    get, path = paths::DATABASE, tag = "database", operation_id = "show_database",
    summary = "Describe the database",
    description = "Nothing here counts rows, so it costs the same however many there are. Connections are those of the main \
                   server that answers.",
    responses((status = 200, body = DatabaseReport)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn show(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<DatabaseReport>, ApiError> {
    caller.admin()?;
    let DatabaseDescription { described, bytes, migrations } = app.store.describe().await.map_err(store_fault)?;
    let tables = described.tables.into_iter();
    let migration = |status: mb_store::MigrationStatus| DatabaseMigration {
        version: status.version,
        description: status.description,
        is_applied: status.applied,
    };
    let pool = |pool: mb_store::PoolUse| DatabasePool {
        name: pool.name.to_owned(),
        in_use: pool.in_use,
        idle: pool.idle,
        max: pool.max,
    };
    Ok(Json(DatabaseReport {
        backend: match described.product {
            DatabaseProduct::Sqlite => DatabaseKind::Sqlite,
            DatabaseProduct::MySql => DatabaseKind::MySql,
            DatabaseProduct::MariaDb => DatabaseKind::MariaDb,
        },
        version: described.version,
        bytes,
        wal_bytes: described.file.map(|file| file.wal),
        free_bytes: described.file.map(|file| file.free),
        tables: tables.map(|(name, size)| DatabaseTable { name, rows: size.rows, bytes: size.bytes }).collect(),
        migrations: migrations.into_iter().map(migration).collect(),
        pools: described.pools.into_iter().map(pool).collect(),
    }))
}
