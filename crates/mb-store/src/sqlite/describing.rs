//! What a file says of itself.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use super::Sqlite;
use crate::describing::{Described, FileSize, Product, TableSize, pool_use};
use crate::error::StoreError;

/// Up to this size every page is looked at for what belongs to which table: a fraction of a second.
const LOOKED_THROUGH: u64 = 256 << 20;

/// Tables, and whether their rows have no numbers.
const TABLES: &str = "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' \
                      AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";

const BYTES: &str = "SELECT schema.tbl_name, SUM(pages.pgsize) FROM dbstat AS pages \
                     JOIN sqlite_schema AS schema ON schema.name = pages.name WHERE pages.aggregate = TRUE \
                     GROUP BY schema.tbl_name";

const FREE: &str = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size";

impl Sqlite {
    pub(crate) async fn describe(&self) -> Result<Described, StoreError> {
        let fixed = |sql: &'static str| self.fetch(SqlStr::from_static(sql), []);
        let mut tables = BTreeMap::new();
        for row in fixed(TABLES).await? {
            let (name, numberless) = (row.text(0)?.to_owned(), row.int(1)? != 0);
            let rows = self.rows(&name, numberless).await?;
            tables.insert(name, TableSize { rows, bytes: None });
        }
        if self.size().await <= LOOKED_THROUGH {
            for row in fixed(BYTES).await? {
                if let Some(table) = tables.get_mut(row.text(0)?) {
                    table.bytes = Some(row.unsigned(1)?);
                }
            }
        }
        let version = fixed("SELECT sqlite_version()").await?;
        let version = version.first().ok_or(StoreError::Damaged("version"))?.text(0)?.to_owned();
        let free = fixed(FREE).await?.first().map_or(Ok(0), |row| row.unsigned(0))?;
        Ok(Described {
            product: Product::Sqlite,
            version,
            tables,
            file: Some(FileSize { wal: self.log_size().await, free }),
            pools: vec![pool_use("write", &self.writer), pool_use("read", &self.readers)],
        })
    }

    /// About how many: the range of the numbers, or counted as far as that is quick. The name is one that the schema has.
    async fn rows(&self, name: &str, numberless: bool) -> Result<u64, StoreError> {
        let table = name.replace('"', "\"\"");
        let sql = if numberless {
            format!("SELECT COUNT(*) FROM (SELECT 1 FROM \"{table}\" LIMIT 100000)")
        } else {
            format!(
                "SELECT COALESCE((SELECT MAX(rowid) FROM \"{table}\") - (SELECT MIN(rowid) FROM \"{table}\") + 1, 0)"
            )
        };
        let rows = self.fetch(AssertSqlSafe(sql).into_sql_str(), []).await?;
        rows.first().map_or(Ok(0), |row| row.unsigned(0))
    }
}
