//! Values on their way into a statement and rows on their way out, the same for every backend.
//!
//! Aggregates write their SQL once, in the subset that all backends share; only this file and the backend's own know how
//! a time or an id is represented.

use mb_core::{ClientName, DomainName, KeyId, MessageId, Timestamp, Topic};
use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::types::time::{OffsetDateTime, PrimitiveDateTime};
use sqlx::{Arguments as _, Row as _};

use crate::error::StoreError;

/// A bound parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Int(i64),
    Time(Timestamp),
    Text(&'a str),
    Blob(&'a [u8]),
    /// Many ids as one value; how they come apart is the statement's matter.
    Ids(&'a [MessageId]),
}

impl<'a> Value<'a> {
    pub(crate) fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }

    /// What names are compared with, where any text may come: names are ASCII, a column of them takes nothing else, and what
    /// follows behind that is part of none.
    pub(crate) fn name(text: &'a str) -> Self {
        Self::Text(&text[..text.find(|c: char| !c.is_ascii()).unwrap_or(text.len())])
    }

    pub(crate) fn time(time: Option<Timestamp>) -> Self {
        time.map_or(Self::Null, Self::Time)
    }

    pub(crate) fn int(number: Option<i64>) -> Self {
        number.map_or(Self::Null, Self::Int)
    }

    pub(crate) fn blob(bytes: Option<&'a [u8]>) -> Self {
        bytes.map_or(Self::Null, Self::Blob)
    }

    /// Counts that come from outside are far below; one that is not stays at the greatest that a database holds.
    pub(crate) fn unsigned(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// The values as `SQLite` takes them: times are whole microseconds.
pub(crate) fn sqlite_arguments<'a>(values: impl IntoIterator<Item = Value<'a>>) -> Result<SqliteArguments, StoreError> {
    let values = values.into_iter();
    let mut arguments = SqliteArguments::default();
    arguments.reserve(values.size_hint().0, 0);
    for value in values {
        match value {
            Value::Null => arguments.add(None::<i64>),
            Value::Int(number) => arguments.add(number),
            Value::Time(time) => arguments.add(time.micros()),
            Value::Text(text) => arguments.add(text),
            Value::Blob(bytes) => arguments.add(bytes),
            Value::Ids(ids) => arguments.add(ids.iter().flat_map(MessageId::as_bytes).copied().collect::<Vec<_>>()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// The values as `MySQL` takes them: times are DATETIME(6) in UTC. Ids have come apart before.
pub(crate) fn mysql_arguments<'a>(values: impl IntoIterator<Item = Value<'a>>) -> Result<MySqlArguments, StoreError> {
    let values = values.into_iter();
    let mut arguments = MySqlArguments::default();
    arguments.reserve(values.size_hint().0, 0);
    for value in values {
        match value {
            Value::Null | Value::Ids(_) => arguments.add(None::<i64>),
            Value::Int(number) => arguments.add(number),
            Value::Time(time) => arguments.add(to_datetime(time)),
            Value::Text(text) => arguments.add(text),
            Value::Blob(bytes) => arguments.add(bytes),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// The first and the last second that a DATETIME holds, 1000-01-01 and 9999-12-31 23:59:59, since 1970.
const DATETIME_SECONDS: std::ops::RangeInclusive<i64> = -30_610_224_000..=253_402_300_799;

const MICROS: i64 = 1_000_000;

/// What lies outside of what a DATETIME holds, as the open ends of a search do, becomes its first or last moment.
fn to_datetime(time: Timestamp) -> PrimitiveDateTime {
    let (first, last) = (DATETIME_SECONDS.start() * MICROS, DATETIME_SECONDS.end() * MICROS + (MICROS - 1));
    let micros = time.micros().clamp(first, last);
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)
        .expect("the years 1000 to 9999 are within what the type holds");
    PrimitiveDateTime::new(moment.date(), moment.time())
}

fn from_datetime(datetime: PrimitiveDateTime) -> Timestamp {
    let moment = datetime.assume_utc();
    Timestamp::from_micros(moment.unix_timestamp() * MICROS + i64::from(moment.microsecond()))
}

/// A row of an answer.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    MySql(MySqlRow),
}

impl Row {
    pub(crate) fn int(&self, at: usize) -> Result<i64, StoreError> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(at)?),
            Self::MySql(row) => Ok(row.try_get(at)?),
        }
    }

    pub(crate) fn optional_int(&self, at: usize) -> Result<Option<i64>, StoreError> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(at)?),
            Self::MySql(row) => Ok(row.try_get(at)?),
        }
    }

    pub(crate) fn optional_text(&self, at: usize) -> Result<Option<&str>, StoreError> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(at)?),
            Self::MySql(row) => Ok(row.try_get(at)?),
        }
    }

    pub(crate) fn optional_blob(&self, at: usize) -> Result<Option<&[u8]>, StoreError> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(at)?),
            Self::MySql(row) => Ok(row.try_get(at)?),
        }
    }

    pub(crate) fn optional_time(&self, at: usize) -> Result<Option<Timestamp>, StoreError> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get::<Option<i64>, _>(at)?.map(Timestamp::from_micros)),
            Self::MySql(row) => Ok(row.try_get::<Option<PrimitiveDateTime>, _>(at)?.map(from_datetime)),
        }
    }

    pub(crate) fn unsigned(&self, at: usize) -> Result<u64, StoreError> {
        u64::try_from(self.int(at)?).map_err(|_| StoreError::Damaged("count"))
    }

    pub(crate) fn optional_count(&self, at: usize) -> Result<Option<u32>, StoreError> {
        self.optional_int(at)?.map(|count| u32::try_from(count).map_err(|_| StoreError::Damaged("count"))).transpose()
    }

    pub(crate) fn text(&self, at: usize) -> Result<&str, StoreError> {
        self.optional_text(at)?.ok_or(StoreError::Damaged("text"))
    }

    pub(crate) fn blob(&self, at: usize) -> Result<&[u8], StoreError> {
        self.optional_blob(at)?.ok_or(StoreError::Damaged("blob"))
    }

    pub(crate) fn time(&self, at: usize) -> Result<Timestamp, StoreError> {
        self.optional_time(at)?.ok_or(StoreError::Damaged("time"))
    }

    pub(crate) fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], StoreError> {
        self.blob(at)?.try_into().map_err(|_| StoreError::Damaged("id"))
    }

    pub(crate) fn message_id(&self, at: usize) -> Result<MessageId, StoreError> {
        self.array(at).map(MessageId::from_bytes)
    }

    pub(crate) fn key_id(&self, at: usize) -> Result<KeyId, StoreError> {
        self.array(at).map(KeyId::from_bytes)
    }

    pub(crate) fn client(&self, at: usize) -> Result<ClientName, StoreError> {
        ClientName::parse(self.text(at)?).ok_or(StoreError::Damaged("client name"))
    }

    pub(crate) fn domain(&self, at: usize) -> Result<DomainName, StoreError> {
        DomainName::parse(self.text(at)?).ok_or(StoreError::Damaged("domain name"))
    }

    pub(crate) fn topic(&self, at: usize) -> Result<Topic, StoreError> {
        Topic::parse(self.text(at)?).ok_or(StoreError::Damaged("topic"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datetime_keeps_microseconds_and_bounds_what_it_cannot_hold() {
        for micros in [0, -1, 1_795_000_000_123_457, DATETIME_SECONDS.start() * MICROS] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(from_datetime(to_datetime(time)), time);
        }
        let first = Timestamp::parse_rfc3339("1000-01-01T00:00:00Z").expect("valid");
        let last = Timestamp::parse_rfc3339("9999-12-31T23:59:59.999999Z").expect("valid");
        assert_eq!(from_datetime(to_datetime(Timestamp::from_micros(i64::MIN))), first);
        assert_eq!(from_datetime(to_datetime(Timestamp::from_micros(i64::MAX))), last);
    }
}
