//! Lists by cursor, never by offset: a page starts after the last row of the one before, whatever was inserted since.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mb_core::{FieldError, Timestamp};
use utoipa::{IntoParams, ToSchema};

use crate::problem::ApiError;

/// Rows on a page if the request does not say.
pub const DEFAULT_LIMIT: u32 = 50;
/// The most rows on a page.
pub const MAX_LIMIT: u32 = 250;

/// One page of a list.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// The cursor of the next page; `null` on the last.
    pub next: Option<String>,
}

/// A position in a list ordered by (time, id); opaque to callers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// The last row's time.
    pub at: Timestamp,
    /// The last row's id.
    pub id: [u8; 16],
}

impl Cursor {
    /// The position of a row that the store numbers; its time is for show.
    pub fn numbered(at: Timestamp, place: i64) -> Self {
        Self { at, id: i128::from(place).to_be_bytes() }
    }

    /// The number in [`Cursor::numbered`]; a cursor of another kind of list names the end of any.
    pub fn place(&self) -> i64 {
        i64::try_from(i128::from_be_bytes(self.id)).unwrap_or(i64::MAX)
    }

    /// The opaque text: base64url of eight bytes of microseconds and the id.
    pub fn encode(&self) -> String {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.at.micros().to_be_bytes());
        bytes[8..].copy_from_slice(&self.id);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads [`Cursor::encode`]; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (at, id) = bytes.split_at(8);
        Some(Self { at: Timestamp::from_micros(i64::from_be_bytes(at.try_into().ok()?)), id: id.try_into().ok()? })
    }
}

/// A position in a list ordered by name or address; opaque to callers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameCursor(String);

/// Before the name, so that a cursor of this kind is never read as one of the other.
const BY_NAME: &[u8] = b"name:";
/// The longest name that is a position: an e-mail address.
const MAX_NAME: usize = mb_core::account::MAX_EMAIL;

impl NameCursor {
    /// The position of the row of this name.
    pub fn after(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The last row's name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The opaque text: base64url of `name:` and the name.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode([BY_NAME, self.0.as_bytes()].concat())
    }

    /// Reads [`NameCursor::encode`]; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let name = String::from_utf8(bytes.strip_prefix(BY_NAME)?.to_vec()).ok()?;
        let plain = !name.is_empty() && name.len() <= MAX_NAME && !name.contains(char::is_control);
        plain.then_some(Self(name))
    }
}

/// The paging part of a list's query.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Rows wanted, 1 to [`MAX_LIMIT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 250)]
    pub limit: Option<u32>,
    /// [`Page::next`] of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl PageQuery {
    /// The number of rows and the position after which they start.
    ///
    /// # Errors
    /// 422 if the limit is out of range or the cursor is none of ours.
    pub fn resolve(&self) -> Result<(u32, Option<Cursor>), ApiError> {
        resolve(self.limit, self.cursor.as_deref(), Cursor::parse)
    }

    /// As [`PageQuery::resolve`], for a list ordered by name.
    ///
    /// # Errors
    /// 422 if the limit is out of range or the cursor is none of ours.
    pub fn resolve_by_name(&self) -> Result<(u32, Option<NameCursor>), ApiError> {
        resolve_by_name(self.limit, self.cursor.as_deref())
    }
}

pub(crate) fn resolve_by_name(limit: Option<u32>, cursor: Option<&str>) -> Result<(u32, Option<NameCursor>), ApiError> {
    resolve(limit, cursor, NameCursor::parse)
}

fn resolve<C>(
    limit: Option<u32>,
    cursor: Option<&str>,
    parse: impl Fn(&str) -> Option<C>,
) -> Result<(u32, Option<C>), ApiError> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let detail = format!("limit must be 1 to {MAX_LIMIT}");
        return Err(ApiError::invalid(vec![FieldError::new("/limit", "out_of_range", detail)]));
    }
    let parse = |text| {
        parse(text).ok_or_else(|| {
            let detail = "cursor must be a value of 'next' as it was returned";
            ApiError::invalid(vec![FieldError::new("/cursor", "invalid_cursor", detail)])
        })
    };
    Ok((limit, cursor.map(parse).transpose()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip_and_others_are_refused() {
        let cursor = Cursor { at: Timestamp::from_micros(-7), id: [9; 16] };
        assert_eq!(Cursor::parse(&cursor.encode()), Some(cursor));
        for bad in ["", "x", &cursor.encode()[1..], &format!("{}A", cursor.encode())] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn limits_are_held() {
        let resolve = |limit| PageQuery { limit, cursor: None }.resolve();
        assert_eq!(resolve(None).expect("default").0, DEFAULT_LIMIT);
        assert_eq!(resolve(Some(250)).expect("the most").0, 250);
        assert!(resolve(Some(0)).is_err() && resolve(Some(251)).is_err());
        assert!(PageQuery { limit: None, cursor: Some("7".into()) }.resolve().is_err());
    }

    #[test]
    fn names_and_numbers_are_positions_too() {
        let cursor = NameCursor::after("ann@example.org");
        assert_eq!(NameCursor::parse(&cursor.encode()), Some(cursor.clone()));
        for bad in
            [Cursor::numbered(Timestamp::default(), 7).encode(), NameCursor::after("a\0").encode(), String::new()]
        {
            assert_eq!(NameCursor::parse(&bad), None, "{bad}");
        }
        for place in [0, 7, -1, i64::MAX] {
            assert_eq!(Cursor::numbered(Timestamp::default(), place).place(), place);
        }
        assert_eq!(Cursor { at: Timestamp::default(), id: [0x7f; 16] }.place(), i64::MAX);
    }
}
