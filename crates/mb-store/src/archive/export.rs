//! Out of the database: every table as of one moment, in pieces that the receiver's pace holds back.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::pool::PoolConnection;
use sqlx::{MySql, Sqlite};
use tokio::sync::mpsc;

use super::tables::{TABLES, Table};
use super::{Contents, format};
use crate::Store;
use crate::error::StoreError;
use crate::value::Row;

/// Pieces of the stream are about this long.
const PIECE: usize = 256 << 10;

/// The longest that a database may take for the next row.
const NEXT_ROW: Duration = Duration::from_mins(1);

impl Store {
    /// Writes all rows as of one moment into `pieces`, and how many there were. Writers go on meanwhile. Whoever receives
    /// has the whole once this has returned; a receiver that goes away ends it with [`StoreError::Closed`].
    pub async fn export(&self, pieces: mpsc::Sender<Vec<u8>>) -> Result<Contents, StoreError> {
        let schema = self.migration_status().await?.last().map_or(0, |newest| newest.version);
        let mut outlet = Outlet { pieces, piece: Vec::with_capacity(PIECE * 2) };
        format::put_start(&mut outlet.piece, schema.unsigned_abs());
        let mut snapshot = self.backend().snapshot().await?;
        let mut contents = Contents::default();
        for table in TABLES {
            format::put_table(&mut outlet.piece, table);
            let rows = snapshot.copy(table, &mut outlet).await?;
            format::put_table_end(&mut outlet.piece, rows);
            contents.0.insert(table.name.to_owned(), rows);
        }
        format::put_end(&mut outlet.piece);
        outlet.send().await?;
        Ok(contents)
    }
}

/// Where the stream goes.
pub(crate) struct Outlet {
    pieces: mpsc::Sender<Vec<u8>>,
    piece: Vec<u8>,
}

impl Outlet {
    async fn send_if_long(&mut self) -> Result<(), StoreError> {
        if self.piece.len() >= PIECE { self.send().await } else { Ok(()) }
    }

    async fn send(&mut self) -> Result<(), StoreError> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE * 2));
        self.pieces.send(piece).await.map_err(|_| StoreError::Closed)
    }
}

/// A connection that sees the database as it was when this was made. It does not go back to the others.
pub(crate) enum Snapshot {
    Sqlite(PoolConnection<Sqlite>),
    MySql(PoolConnection<MySql>),
}

impl Snapshot {
    async fn copy(&mut self, table: &Table, outlet: &mut Outlet) -> Result<u64, StoreError> {
        let mut count = 0;
        match self {
            Self::Sqlite(connection) => {
                let mut rows = sqlx::query(table.select()).fetch(&mut **connection);
                while let Some(row) = next(rows.try_next()).await? {
                    format::put_row(&mut outlet.piece, &Row::Sqlite(row), table)?;
                    count += 1;
                    outlet.send_if_long().await?;
                }
            }
            Self::MySql(connection) => {
                let mut rows = sqlx::query(table.select()).fetch(&mut **connection);
                while let Some(row) = next(rows.try_next()).await? {
                    format::put_row(&mut outlet.piece, &Row::MySql(row), table)?;
                    count += 1;
                    outlet.send_if_long().await?;
                }
            }
        }
        Ok(count)
    }
}

async fn next<R>(row: impl Future<Output = Result<Option<R>, sqlx::Error>>) -> Result<Option<R>, StoreError> {
    let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    Ok(tokio::time::timeout(NEXT_ROW, row).await.map_err(late)??)
}
