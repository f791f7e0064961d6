//! Lists by cursor, never by offset: a page starts after the last row of the one before, whatever was inserted since.

use mb_core::FieldError;
use utoipa::{IntoParams, ToSchema};

use crate::cursor::{self, Cursor, List, NameCursor, Position};
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
    /// The number of rows and the position after which they start in `list`.
    ///
    /// # Errors
    /// 422 if the limit is out of range or the cursor is none of this list.
    pub fn resolve(&self, list: List) -> Result<(u32, Option<Cursor>), ApiError> {
        resolve(list, self.limit, self.cursor.as_deref())
    }

    /// As [`PageQuery::resolve`], for a list ordered by name.
    ///
    /// # Errors
    /// 422 if the limit is out of range or the cursor is none of this list.
    pub fn resolve_by_name(&self, list: List) -> Result<(u32, Option<NameCursor>), ApiError> {
        resolve(list, self.limit, self.cursor.as_deref())
    }
}

pub(crate) fn resolve<P: Position>(
    list: List,
    limit: Option<u32>,
    cursor: Option<&str>,
) -> Result<(u32, Option<P>), ApiError> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let detail = format!("limit must be 1 to {MAX_LIMIT}");
        return Err(ApiError::invalid(vec![FieldError::new("/limit", "out_of_range", detail)]));
    }
    Ok((limit, cursor.map(|text| cursor::parse(list, text)).transpose()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_held() {
        let resolve = |limit| PageQuery { limit, cursor: None }.resolve(List::Notices);
        assert_eq!(resolve(None).expect("default").0, DEFAULT_LIMIT);
        assert_eq!(resolve(Some(250)).expect("the most").0, 250);
        assert!(resolve(Some(0)).is_err() && resolve(Some(251)).is_err());
        assert!(PageQuery { limit: None, cursor: Some("7".into()) }.resolve(List::Notices).is_err());
    }
}
