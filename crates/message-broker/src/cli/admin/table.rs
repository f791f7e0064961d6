//! Rows of data in aligned columns, under their names.
//!
//! Cells hold what people and peers have chosen, so nothing in them may steer a terminal or begin a line of its own, and one
//! long cell does not make every line as long: it is cut, and whole with `--json`. What comes last widens nothing and stays.

use crate::output;

/// The longest cell that is not cut: fingerprints are as long.
const LONGEST: usize = 64;

/// A table under construction.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub(super) fn new(columns: &[&str]) -> Self {
        Self { rows: vec![columns.iter().map(|name| name.to_uppercase()).collect()] }
    }

    /// Adds a row; an empty cell is shown as `-`.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cells = cells.into_iter().enumerate().map(|(at, cell)| {
            let cell = shown(&cell);
            if at + 1 == N { cell } else { cut(cell) }
        });
        self.rows.push(cells.collect());
    }

    /// Writes it to stdout.
    pub(super) fn print(&self) {
        self.lines().iter().for_each(|line| output::data(line));
    }

    fn lines(&self) -> Vec<String> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<_> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

/// The cell, or its beginning if it is too long.
fn cut(cell: String) -> String {
    match cell.char_indices().nth(LONGEST) {
        None => cell,
        Some(_) => cell.chars().take(LONGEST - 1).chain(['…']).collect(),
    }
}

/// What there may be none of.
pub(super) fn optional<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// An enum's word, as the API has it.
pub(super) fn word<T: serde::Serialize>(value: T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Yes or no.
pub(super) fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

/// The text with every control character replaced, and every character that turns the direction of what follows (UAX #9);
/// `-` for none.
pub(super) fn shown(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_cell_is_cut_unless_it_is_the_last() {
        let mut table = Table::new(&["name", "detail"]);
        table.row(["é".repeat(64), "x".repeat(300)]);
        table.row(["é".repeat(65), "y".to_owned()]);
        let lines = table.lines();
        assert_eq!(lines[1], format!("{}  {}", "é".repeat(64), "x".repeat(300)));
        assert_eq!(lines[2], format!("{}…  y", "é".repeat(63)));
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_nothing_steers_the_terminal() {
        let mut table = Table::new(&["name", "role"]);
        table.row(["ann@example.org".to_owned(), "user".to_owned()]);
        table.row(["b\u{1b}[2J\u{202e}".to_owned(), String::new()]);
        assert_eq!(
            table.lines(),
            ["NAME             ROLE", "ann@example.org  user", "b\u{fffd}[2J\u{fffd}           -"]
        );
    }
}
