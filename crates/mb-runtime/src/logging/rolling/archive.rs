//! The names of old log files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use mb_core::Timestamp;

/// A day in UTC, counted from 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Day(i64);

impl Day {
    const MICROS: i64 = 86_400_000_000;

    pub(super) fn of(time: Timestamp) -> Self {
        Self(time.micros().div_euclid(Self::MICROS))
    }

    /// Whether it is more than `days` before `today`.
    pub(super) fn is_before(self, today: Self, days: i64) -> bool {
        self.0 < today.0 - days
    }

    fn parse(text: &str) -> Option<Self> {
        Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")).map(Self::of)
    }
}

/// `YYYY-MM-DD`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let midnight = Timestamp::from_micros(self.0.saturating_mul(Self::MICROS)).to_string();
        f.write_str(midnight.split('T').next().unwrap_or_default())
    }
}

/// An old file.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) path: PathBuf,
    pub(super) day: Day,
    /// `None` for the day's last.
    pub(super) part: Option<u32>,
    pub(super) bytes: u64,
}

impl Archive {
    pub(super) fn name(file: &str, day: Day, part: Option<u32>) -> String {
        match part {
            Some(part) => format!("{file}.{day}.{part}"),
            None => format!("{file}.{day}"),
        }
    }

    /// Oldest first.
    pub(super) fn order(&self) -> (Day, u32) {
        (self.day, self.part.unwrap_or(u32::MAX))
    }

    fn parse(file: &str, name: &str) -> Option<(Day, Option<u32>)> {
        let rest = name.strip_prefix(file)?.strip_prefix('.')?;
        let (day, part) = match rest.split_once('.') {
            Some((day, part)) => (day, Some(part.parse().ok()?)),
            None => (rest, None),
        };
        let day = Day::parse(day)?;
        // Only names that were made here: nothing else is ever removed.
        (Self::name(file, day, part) == name).then_some((day, part))
    }
}

/// The old files of `file` in `dir`, in no order.
pub(super) fn list(dir: &Path, file: &str) -> io::Result<Vec<Archive>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Some((day, part)) = entry.file_name().to_str().and_then(|name| Archive::parse(file, name)) else {
            continue;
        };
        // It may have been removed since.
        let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
        found.push(Archive { path: entry.path(), day, part, bytes });
    }
    Ok(found)
}
