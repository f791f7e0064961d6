//! Into a database: it is emptied, filled in transactions of a few MiB, and made a store again by the last one.

use serde_json::json;
use tokio::sync::mpsc;

use super::Contents;
use super::format::{Cell, Decoder, Frame};
use super::tables::{self, Table};
use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::migration::check_schema;
use crate::settings;
use crate::user_changes::leap_generations;
use crate::value::Value;

/// There while a restore is under way.
const RESTORING: &str = "restoring";

/// A statement takes this many values at most (`SQLite`: 32,766), and about this many bytes.
const VALUES: usize = 16_000;
const BYTES: usize = 4 << 20;

/// Rows that have been read and not been written.
struct Batch {
    table: &'static Table,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    bytes: usize,
}

impl Store {
    /// Replaces everything in the store by what the stream holds, and how many rows that were. The store gets a new epoch
    /// and a policy version beyond any that was handed out, and nobody stays signed in.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for a stream that is not whole, [`StoreError::SchemaNewer`] for one of a newer program. The
    /// store is then half restored; repeat it.
    pub async fn import(&self, mut pieces: mpsc::Receiver<Vec<u8>>, actor: &str) -> Result<Contents, StoreError> {
        self.empty().await?;
        let mut decoder = Decoder::default();
        let mut contents = Contents::default();
        let mut batch = None::<Batch>;
        loop {
            let Some(frame) = decoder.next()? else {
                let piece = pieces.recv().await.ok_or(StoreError::Damaged("archive"))?;
                decoder.feed(&piece);
                continue;
            };
            match frame {
                Frame::Start(schema) => check_schema(i64::try_from(schema).unwrap_or(i64::MAX))?,
                Frame::Table(name, columns) => batch = Some(Batch::new(&name, columns.iter().map(|(name, _)| name))?),
                Frame::Row(row) => {
                    let batch = batch.as_mut().ok_or(StoreError::Damaged("archive"))?;
                    *contents.0.entry(batch.table.name.to_owned()).or_default() += 1;
                    if batch.add(row) {
                        self.write(batch).await?;
                    }
                }
                Frame::TableEnd(rows) => {
                    let mut batch = batch.take().ok_or(StoreError::Damaged("archive"))?;
                    self.write(&mut batch).await?;
                    if *contents.0.entry(batch.table.name.to_owned()).or_default() != rows {
                        return Err(StoreError::Damaged("archive"));
                    }
                }
                Frame::End => break,
            }
        }
        self.finish(actor, &contents).await?;
        Ok(contents)
    }

    /// Whether a restore was broken off: what is there is not the whole.
    pub async fn is_half_restored(&self) -> Result<bool, StoreError> {
        Ok(self.setting(RESTORING).await?.is_some())
    }

    async fn empty(&self) -> Result<(), StoreError> {
        let mut tx = self.backend().begin().await?;
        tx.execute("DELETE FROM settings WHERE name = ?", [Value::Text(RESTORING)]).await?;
        let mark = [Value::Text(RESTORING), Value::Blob(&[1])];
        tx.execute("INSERT INTO settings (name, value) VALUES (?, ?)", mark).await?;
        tx.commit().await?;
        for table in tables::to_empty() {
            let mut tx = self.backend().begin().await?;
            let sql = match table {
                "settings" => format!("DELETE FROM settings WHERE name <> '{RESTORING}'"),
                table => format!("DELETE FROM {table}"),
            };
            tx.execute(tables::statement(sql), []).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    async fn write(&self, batch: &mut Batch) -> Result<(), StoreError> {
        if batch.rows.is_empty() {
            return Ok(());
        }
        let mut tx = self.backend().begin().await?;
        batch.insert(&mut tx).await?;
        tx.commit().await
    }

    async fn finish(&self, actor: &str, contents: &Contents) -> Result<(), StoreError> {
        let mut tx = self.backend().begin().await?;
        tx.execute("DELETE FROM settings WHERE name = ?", [Value::Text(RESTORING)]).await?;
        settings::mint_epoch(&mut tx, self.now()).await?;
        settings::leap(&mut tx).await?;
        leap_generations(&mut tx).await?;
        let detail = json!({ "rows": contents.0.values().sum::<u64>() });
        audit::insert(&mut tx, &Change::new(self, actor, "store.restore", "store").detail(detail)).await?;
        tx.commit().await
    }
}

impl Batch {
    fn new<'a>(table: &str, columns: impl Iterator<Item = &'a String>) -> Result<Self, StoreError> {
        let table = Table::named(table).ok_or(StoreError::Damaged("archive"))?;
        let columns = columns.map(|column| table.column(column).ok_or(StoreError::Damaged("archive")));
        Ok(Self { table, columns: columns.collect::<Result<_, _>>()?, rows: Vec::new(), bytes: 0 })
    }

    /// Whether it is time to write.
    fn add(&mut self, row: Vec<Cell>) -> bool {
        self.bytes += row.iter().map(Cell::size).sum::<usize>();
        self.rows.push(row);
        self.bytes >= BYTES || (self.rows.len() + 1) * self.columns.len() > VALUES
    }

    async fn insert(&mut self, tx: &mut Transaction) -> Result<(), StoreError> {
        let sql = self.table.insert(&self.columns, self.rows.len());
        let values = self.rows.iter().flatten().map(Cell::value).collect::<Vec<_>>();
        tx.execute(sql, values).await?;
        self.rows.clear();
        self.bytes = 0;
        Ok(())
    }
}
