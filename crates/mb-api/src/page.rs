//! Lists by cursor, never by offset: a page starts after the last row of the one before, whatever was inserted since.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mb_core::{FieldError, Timestamp};

use crate::problem::ApiError;

/// Rows on a page if the request does not say.
pub const DEFAULT_LIMIT: u32 = 50;
/// The most rows on a page.
pub const MAX_LIMIT: u32 = 250;

/// One page of a list.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
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

/// The paging part of a list's query.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct PageQuery {
    /// Rows wanted, 1 to [`MAX_LIMIT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            let detail = format!("limit must be 1 to {MAX_LIMIT}");
            return Err(ApiError::invalid(vec![FieldError::new("/limit", "out_of_range", detail)]));
        }
        let parse = |text: &String| {
            Cursor::parse(text).ok_or_else(|| {
                let detail = "cursor must be a value of 'next' as it was returned";
                ApiError::invalid(vec![FieldError::new("/cursor", "invalid_cursor", detail)])
            })
        };
        Ok((limit, self.cursor.as_ref().map(parse).transpose()?))
    }
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
}
