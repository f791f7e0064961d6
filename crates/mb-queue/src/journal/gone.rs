//! Which segments were dropped although an older one still holds something open.
//!
//! The watermark says only that everything before it may be gone. A segment after it that is missing at the next start would
//! be taken for a loss, so an empty file remembers it: `FIRST-NEXT.gone`, the sequences from the first to before the
//! second, hexadecimal. It is of no more use when the watermark has passed it.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::disk::Disk;

/// Remembers one.
pub(crate) fn note(disk: &Disk, journal: &Path, gone: &Range<u64>) -> io::Result<()> {
    disk.replace(&journal.join(format!("{:016x}-{:016x}.gone", gone.start, gone.end)), &[])
}

/// All that are remembered.
pub(crate) fn list(disk: &Disk, journal: &Path) -> io::Result<Vec<Range<u64>>> {
    Ok(disk.list(journal, "gone")?.iter().filter_map(|path| parse(path)).collect())
}

/// Forgets those below a watermark.
pub(crate) fn forget(disk: &Disk, journal: &Path, watermark: u64) -> io::Result<()> {
    let is_passed = |path: &PathBuf| parse(path).is_none_or(|gone| gone.end <= watermark);
    disk.list(journal, "gone")?.iter().filter(|path| is_passed(path)).try_for_each(|path| disk.remove(path))
}

fn parse(path: &Path) -> Option<Range<u64>> {
    let (first, next) = path.file_stem()?.to_str()?.split_once('-')?;
    Some(u64::from_str_radix(first, 16).ok()?..u64::from_str_radix(next, 16).ok()?)
}
