//! The stream's bytes. All numbers are big-endian.
//!
//! `MBSTORE1`, schema (u64), then per table `T`, name, count of columns (u8), per column name and kind (u8); per row `R`
//! and per column 0 for NULL or 1 and the value (i64 for numbers and microseconds since 1970, else length (u32) and
//! bytes); `E` and the count of rows (u64) at a table's end; `Z` at the stream's. Names are length (u8) and bytes. The
//! kinds stand in the stream, so that a stream of an older schema can be read.

use mb_core::Timestamp;

use super::tables::{Kind, Table};
use crate::error::StoreError;
use crate::value::{Row, Value};

const MAGIC: &[u8; 8] = b"MBSTORE1";

/// The longest value that a stream may hold: a column's own bound is 16 MiB.
const MAX_VALUE: usize = 32 << 20;

/// A value by itself.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Time(Timestamp),
    Text(String),
    Blob(Vec<u8>),
}

impl Cell {
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Int(number) => Value::Int(*number),
            Self::Time(time) => Value::Time(*time),
            Self::Text(text) => Value::Text(text),
            Self::Blob(bytes) => Value::Blob(bytes),
        }
    }

    /// How many bytes it adds to a statement, roughly.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Blob(bytes) => bytes.len(),
            _ => 8,
        }
    }
}

/// A part of the stream.
#[derive(PartialEq, Debug)]
pub(crate) enum Frame {
    /// The number of the newest migration that the rows' store had.
    Start(u64),
    Table(String, Vec<(String, Kind)>),
    Row(Vec<Cell>),
    TableEnd(u64),
    End,
}

pub(crate) fn put_start(out: &mut Vec<u8>, schema: u64) {
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&schema.to_be_bytes());
}

pub(crate) fn put_table(out: &mut Vec<u8>, table: &Table) {
    out.push(b'T');
    put_name(out, table.name);
    out.push(u8::try_from(table.columns.len()).unwrap_or(u8::MAX));
    for (name, kind) in table.columns {
        put_name(out, name);
        out.push(match kind {
            Kind::Int => 0,
            Kind::Time => 1,
            Kind::Text => 2,
            Kind::Blob => 3,
        });
    }
}

pub(crate) fn put_row(out: &mut Vec<u8>, row: &Row, table: &Table) -> Result<(), StoreError> {
    out.push(b'R');
    for (at, (_, kind)) in table.columns.iter().enumerate() {
        match kind {
            Kind::Int => put_number(out, row.optional_int(at)?),
            Kind::Time => put_number(out, row.optional_time(at)?.map(Timestamp::micros)),
            Kind::Text => put_bytes(out, row.optional_text(at)?.map(str::as_bytes)),
            Kind::Blob => put_bytes(out, row.optional_blob(at)?),
        }
    }
    Ok(())
}

pub(crate) fn put_table_end(out: &mut Vec<u8>, rows: u64) {
    out.push(b'E');
    out.extend_from_slice(&rows.to_be_bytes());
}

pub(crate) fn put_end(out: &mut Vec<u8>) {
    out.push(b'Z');
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name.as_bytes());
}

fn put_number(out: &mut Vec<u8>, number: Option<i64>) {
    out.push(u8::from(number.is_some()));
    if let Some(number) = number {
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    out.push(u8::from(bytes.is_some()));
    if let Some(bytes) = bytes {
        out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(bytes);
    }
}

/// Takes a stream apart that comes in pieces of any length.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    buffer: Vec<u8>,
    at: usize,
    started: bool,
    kinds: Vec<Kind>,
}

impl Decoder {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next part, or `None` if more bytes are needed for it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`]: this is no stream of ours.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, StoreError> {
        let mut reader = Reader { rest: &self.buffer[self.at..] };
        let Some(frame) = reader.frame(self.started, &self.kinds)? else { return Ok(None) };
        self.at = self.buffer.len() - reader.rest.len();
        self.started = true;
        if let Frame::Table(_, columns) = &frame {
            self.kinds = columns.iter().map(|(_, kind)| *kind).collect();
        }
        Ok(Some(frame))
    }
}

/// Reads from the front; `None` where the bytes end too early.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn frame(&mut self, started: bool, kinds: &[Kind]) -> Result<Option<Frame>, StoreError> {
        if !started {
            let Some(magic) = self.take(MAGIC.len()) else { return Ok(None) };
            if magic != MAGIC {
                return Err(StoreError::Damaged("archive"));
            }
            return Ok(self.number().map(Frame::Start));
        }
        let Some(tag) = self.byte() else { return Ok(None) };
        match tag {
            b'T' => self.table(),
            b'R' => self.row(kinds),
            b'E' => Ok(self.number().map(Frame::TableEnd)),
            b'Z' => Ok(Some(Frame::End)),
            _ => Err(StoreError::Damaged("archive")),
        }
    }

    fn table(&mut self) -> Result<Option<Frame>, StoreError> {
        let Some(name) = self.name()? else { return Ok(None) };
        let Some(count) = self.byte() else { return Ok(None) };
        let mut columns = Vec::with_capacity(count.into());
        for _ in 0..count {
            let Some(column) = self.name()? else { return Ok(None) };
            let kind = match self.byte() {
                None => return Ok(None),
                Some(0) => Kind::Int,
                Some(1) => Kind::Time,
                Some(2) => Kind::Text,
                Some(3) => Kind::Blob,
                Some(_) => return Err(StoreError::Damaged("archive")),
            };
            columns.push((column, kind));
        }
        Ok(Some(Frame::Table(name, columns)))
    }

    fn row(&mut self, kinds: &[Kind]) -> Result<Option<Frame>, StoreError> {
        let mut cells = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let Some(cell) = self.cell(*kind)? else { return Ok(None) };
            cells.push(cell);
        }
        Ok(Some(Frame::Row(cells)))
    }

    fn cell(&mut self, kind: Kind) -> Result<Option<Cell>, StoreError> {
        match self.byte() {
            None => return Ok(None),
            Some(0) => return Ok(Some(Cell::Null)),
            Some(1) => {}
            Some(_) => return Err(StoreError::Damaged("archive")),
        }
        if matches!(kind, Kind::Int | Kind::Time) {
            let Some(number) = self.number().map(u64::cast_signed) else { return Ok(None) };
            let time = || Cell::Time(Timestamp::from_micros(number));
            return Ok(Some(if kind == Kind::Int { Cell::Int(number) } else { time() }));
        }
        let Some(length) = self.take(4) else { return Ok(None) };
        let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        if length > MAX_VALUE {
            return Err(StoreError::Damaged("archive"));
        }
        let Some(bytes) = self.take(length) else { return Ok(None) };
        Ok(Some(if kind == Kind::Blob { Cell::Blob(bytes.to_vec()) } else { Cell::Text(text(bytes)?) }))
    }

    fn name(&mut self) -> Result<Option<String>, StoreError> {
        let Some(length) = self.byte() else { return Ok(None) };
        self.take(length.into()).map(text).transpose()
    }

    fn number(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_be_bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }
}

fn text(bytes: &[u8]) -> Result<String, StoreError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| StoreError::Damaged("archive"))
}
