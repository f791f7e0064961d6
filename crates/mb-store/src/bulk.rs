//! Many rows by few statements: INSERTs of several sizes, the largest that fits first, so that few texts serve any number
//! of rows and stay prepared.

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use crate::backend::Transaction;
use crate::error::StoreError;
use crate::statement::Statement;
use crate::value::Value;

const SIZES: [usize; 4] = [128, 32, 8, 1];

/// The INSERTs into one table. A row that is there already is an error, unless the text of either database says otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Bulk<const COLUMNS: usize> {
    statements: [Insert; SIZES.len()],
}

/// An INSERT of a number of rows, in the words of each database.
#[derive(Clone, Debug)]
pub(crate) struct Insert {
    sqlite: SqlStr,
    mysql: SqlStr,
}

impl Insert {
    /// `into` is a table with its columns, `table (a, b)`, of which there are `columns`.
    ///
    /// OR FAIL leaves the undoing to the transaction. `SQLite`'s default (ABORT) would copy each page before a statement
    /// changes it, only to be able to undo that statement alone; for messages that costs a fifth of the rate.
    pub(crate) fn new(into: &str, columns: usize, rows: usize) -> Self {
        let row = format!("({})", vec!["?"; columns].join(", "));
        let text = format!("INTO {into} VALUES {}", vec![row; rows].join(", "));
        Self {
            sqlite: AssertSqlSafe(format!("INSERT OR FAIL {text}")).into_sql_str(),
            mysql: AssertSqlSafe(format!("INSERT {text}")).into_sql_str(),
        }
    }
}

impl Insert {
    /// The same for a table of counts: where the row with this key is there, its `count` grows by that of the new one.
    fn counting(into: &str, key: &str, columns: usize, rows: usize) -> Self {
        let row = format!("({})", vec!["?"; columns].join(", "));
        let text = format!("INSERT INTO {into} VALUES {}", vec![row; rows].join(", "));
        let sqlite = format!("{text} ON CONFLICT ({key}) DO UPDATE SET count = count + excluded.count");
        let mysql = format!("{text} ON DUPLICATE KEY UPDATE count = count + VALUES(count)");
        Self { sqlite: AssertSqlSafe(sqlite).into_sql_str(), mysql: AssertSqlSafe(mysql).into_sql_str() }
    }
}

impl Statement for Insert {
    fn sqlite(self) -> SqlStr {
        self.sqlite
    }

    fn mysql(self) -> SqlStr {
        self.mysql
    }
}

impl<const COLUMNS: usize> Bulk<COLUMNS> {
    /// As [`Insert::new`].
    pub(crate) fn new(into: &str) -> Self {
        Self { statements: SIZES.map(|rows| Insert::new(into, COLUMNS, rows)) }
    }

    /// As [`Insert::counting`].
    pub(crate) fn counting(into: &str, key: &str) -> Self {
        Self { statements: SIZES.map(|rows| Insert::counting(into, key, COLUMNS, rows)) }
    }

    pub(crate) async fn insert(&self, tx: &mut Transaction, rows: &[[Value<'_>; COLUMNS]]) -> Result<(), StoreError> {
        let mut rest = rows;
        while !rest.is_empty() {
            let at = SIZES.iter().position(|&size| size <= rest.len()).unwrap_or(SIZES.len() - 1);
            let (these, behind) = rest.split_at(SIZES[at]);
            tx.execute(self.statements[at].clone(), these.iter().flatten().copied()).await?;
            rest = behind;
        }
        Ok(())
    }
}
