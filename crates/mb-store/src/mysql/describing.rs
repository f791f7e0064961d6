//! What a server says of the database: its own estimates, which cost nothing.

use sqlx::SqlStr;

use super::MySql;
use crate::describing::{Described, Product, TableSize, pool_use};
use crate::error::StoreError;

const TABLES: &str = "SELECT table_name, CAST(COALESCE(table_rows, 0) AS SIGNED), \
                      CAST(COALESCE(data_length + index_length, 0) AS SIGNED) FROM information_schema.tables \
                      WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY table_name";

impl MySql {
    pub(crate) async fn describe(&self) -> Result<Described, StoreError> {
        let rows = self.fetch(SqlStr::from_static(TABLES), []).await?;
        let table = |row: &crate::value::Row| {
            Ok((row.text(0)?.to_owned(), TableSize { rows: row.unsigned(1)?, bytes: Some(row.unsigned(2)?) }))
        };
        let tables = rows.iter().map(table).collect::<Result<_, StoreError>>()?;
        let version = self.fetch(SqlStr::from_static("SELECT VERSION()"), []).await?;
        let version = version.first().ok_or(StoreError::Damaged("version"))?.text(0)?.to_owned();
        let product = if version.contains("MariaDB") { Product::MariaDb } else { Product::MySql };
        let pools = vec![pool_use("general", &self.pool), pool_use("register", &self.registering)];
        Ok(Described { product, version, tables, file: None, pools })
    }
}
