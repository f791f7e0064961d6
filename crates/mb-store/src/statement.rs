//! Statements, where the databases' words differ and where their parameters do.
//!
//! Most statements are one text for all. One that names its parameters (`?1`) is put for `MySQL`, which only knows `?`,
//! with a value repeated for every place that names it; many ids under one name become as many parameters.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use crate::value::Value;

/// A statement in the words of each database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialects {
    pub(crate) sqlite: &'static str,
    /// For `MySQL` and `MariaDB`.
    pub(crate) mysql: &'static str,
}

/// What can be run: one text for every database, or one for each.
pub(crate) trait Statement {
    fn sqlite(self) -> SqlStr;
    fn mysql(self) -> SqlStr;
}

impl Statement for Dialects {
    fn sqlite(self) -> SqlStr {
        self.sqlite.into_sql_str()
    }

    fn mysql(self) -> SqlStr {
        self.mysql.into_sql_str()
    }
}

impl Statement for &'static str {
    fn sqlite(self) -> SqlStr {
        self.into_sql_str()
    }

    fn mysql(self) -> SqlStr {
        self.into_sql_str()
    }
}

impl Statement for SqlStr {
    fn sqlite(self) -> SqlStr {
        self
    }

    fn mysql(self) -> SqlStr {
        self
    }
}

/// The fewest texts serve every number of ids, so that they stay prepared; ids are repeated up to the next size.
const LIST_SIZES: [usize; 5] = [1, 8, 64, 256, 1000];

/// The statement with plain `?` only, and a value for each of them in order.
pub(crate) fn positional<'a>(sql: SqlStr, values: impl IntoIterator<Item = Value<'a>>) -> (SqlStr, Vec<Value<'a>>) {
    let values = values.into_iter().collect::<Vec<_>>();
    let numbered = sql.as_str().as_bytes().windows(2).any(|pair| pair[0] == b'?' && pair[1].is_ascii_digit());
    if !numbered {
        return (sql, values);
    }
    let mut parts = sql.as_str().split('?');
    let mut text = parts.next().unwrap_or_default().to_owned();
    let mut placed = Vec::with_capacity(values.len());
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = part.split_at(digits);
        let value = number.parse::<usize>().ok().and_then(|number| values.get(number.checked_sub(1)?));
        place(&mut text, &mut placed, value.copied().unwrap_or(Value::Null));
        text.push_str(rest);
    }
    (AssertSqlSafe(text).into_sql_str(), placed)
}

fn place<'a>(text: &mut String, placed: &mut Vec<Value<'a>>, value: Value<'a>) {
    let Value::Ids(ids) = value else {
        text.push('?');
        placed.push(value);
        return;
    };
    let size = LIST_SIZES.into_iter().find(|&size| size >= ids.len()).unwrap_or(ids.len());
    let repeated = ids.last().into_iter().cycle();
    let ids = ids.iter().chain(repeated).take(size).map(|id| Value::Blob(id.as_bytes()));
    let before = placed.len();
    placed.extend(ids);
    for at in before..placed.len() {
        let _ = write!(text, "{}?", if at == before { "" } else { ", " });
    }
    if placed.len() == before {
        text.push_str("NULL");
    }
}

#[cfg(test)]
mod tests {
    use mb_core::MessageId;

    use super::*;

    fn put(sql: &'static str, values: &[Value<'_>]) -> (String, String) {
        let (text, placed) = positional(sql.into_sql_str(), values.iter().copied());
        (text.as_str().to_owned(), format!("{placed:?}"))
    }

    #[test]
    fn a_named_value_is_repeated_wherever_it_is_named() {
        let (text, values) = put("a = ?2 AND (b = ?1 OR c = ?2)", &[Value::Int(1), Value::Int(2)]);
        assert_eq!(text, "a = ? AND (b = ? OR c = ?)");
        assert_eq!(values, "[Int(2), Int(1), Int(2)]");
        let eleventh = (1..=11).map(Value::Int).collect::<Vec<_>>();
        assert_eq!(put("?11", &eleventh), ("?".to_owned(), "[Int(11)]".to_owned()));
    }

    #[test]
    fn a_statement_without_names_is_left_alone() {
        assert_eq!(put("a = ? AND b = ?", &[Value::Int(1), Value::Int(2)]).0, "a = ? AND b = ?");
    }

    #[test]
    fn ids_become_a_list_of_one_of_few_sizes() {
        let ids = (0..5).map(|n| MessageId::from_bytes([n; 16])).collect::<Vec<_>>();
        let of = |count: usize| put("id IN (?1)", &[Value::Ids(&ids[..count])]);
        assert_eq!(of(1).0, "id IN (?)");
        let (text, values) = of(5);
        assert_eq!((text.matches('?').count(), values.matches("Blob").count()), (8, 8));
        assert_eq!(of(0).0, "id IN (NULL)");
    }
}
