//! One log file that starts anew at midnight UTC and when it is full, and its old ones, which end by age and by size.
//!
//! The current file always has the plain name. What was cut off at midnight is `NAME.YYYY-MM-DD` of the day that it holds,
//! what was cut off for its size `NAME.YYYY-MM-DD.N`, numbered from 1. A line is written whole or not at all: after a
//! failed write the file is cut back to its last whole line.

mod archive;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant, UNIX_EPOCH};

use mb_core::{Clock, Timestamp};

use archive::{Archive, Day};

/// After a failure nothing is tried for so long: a full disk is not asked once per line.
const PAUSE: Duration = Duration::from_secs(1);

/// What old files may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Limits {
    /// Bytes of the current file.
    pub(super) file: u64,
    /// Bytes of all old files.
    pub(super) archived: u64,
    /// How many days old files are kept.
    pub(super) days: i64,
}

impl Limits {
    /// Kept 7 days (contract, section 7); a day that logs gigabytes keeps its end.
    pub(super) const STANDARD: Self = Self { file: 100 << 20, archived: 900 << 20, days: 7 };
}

/// A log file.
#[derive(Debug)]
pub(super) struct RollingFile {
    dir: PathBuf,
    name: &'static str,
    clock: Clock,
    limits: Limits,
    open: Option<Open>,
    /// When writing last failed.
    failed_at: Option<Instant>,
    /// When the file could last not be renamed.
    stuck_at: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    file: File,
    len: u64,
    /// The day that its lines are of.
    day: Day,
}

impl RollingFile {
    pub(super) fn new(dir: PathBuf, name: &'static str, clock: Clock, limits: Limits) -> Self {
        Self { dir, name, clock, limits, open: None, failed_at: None, stuck_at: None }
    }

    /// Appends a line, which ends with a line break.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.failed_at.is_some_and(|at| at.elapsed() < PAUSE) {
            return Err(io::Error::other("the file failed a moment ago"));
        }
        let written = self.append(line);
        if written.is_err() {
            self.open = None;
        }
        self.failed_at = written.is_err().then(Instant::now);
        written
    }

    /// What is due without a line: the file is there, and is of today.
    pub(super) fn tick(&mut self) {
        if self.open.is_some() && !self.dir.join(self.name).exists() {
            self.open = None;
        }
        if self.failed_at.is_none_or(|at| at.elapsed() >= PAUSE) {
            self.failed_at = self.ready(0).err().map(|_| Instant::now());
        }
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let bytes = line.len() as u64;
        let limit = self.limits.file;
        let open = self.ready(bytes)?;
        // Only a file that cannot be renamed gets here so large; twice its bound is where it ends.
        if open.len > 0 && open.len + bytes > limit.saturating_mul(2) {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the full log file cannot be renamed"));
        }
        if let Err(error) = open.file.write_all(line) {
            // Cutting needs no room, and if even that fails, opening ends the broken line.
            open.file.set_len(open.len).ok();
            return Err(error);
        }
        open.len += bytes;
        Ok(())
    }

    /// The open file of today with room for `bytes` more.
    fn ready(&mut self, bytes: u64) -> io::Result<&mut Open> {
        let today = Day::of(self.clock.now());
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open(today)?,
        };
        let is_old = open.day < today;
        let is_full = open.len + bytes > self.limits.file;
        let may_try = self.stuck_at.is_none_or(|at| at.elapsed() >= PAUSE);
        if open.len == 0 {
            open.day = open.day.max(today);
        } else if (is_old || is_full) && may_try {
            let (day, is_whole) = (open.day, is_old);
            // Windows renames no open file.
            drop(open);
            self.stuck_at = self.set_aside(day, is_whole).err().map(|_| Instant::now());
            open = self.open(today)?;
            if self.stuck_at.is_some() {
                open.day = day;
            }
        }
        Ok(self.open.insert(open))
    }

    fn open(&self, today: Day) -> io::Result<Open> {
        // Others may read a log and never write it, whatever the process was told of new files.
        let (mut folder, mut options) = (DirBuilder::new(), OpenOptions::new());
        #[cfg(unix)]
        {
            std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o755);
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
        }
        folder.recursive(true).create(&self.dir)?;
        let mut file = options.read(true).append(true).create(true).open(self.dir.join(self.name))?;
        let metadata = file.metadata()?;
        let mut len = metadata.len();
        let mut day = today;
        if len > 0 {
            let last = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            day = day.min(Day::of(Timestamp::default().plus(last)));
            len += end_last_line(&mut file)?;
        }
        self.prune(today);
        Ok(Open { file, len, day })
    }

    fn set_aside(&self, day: Day, is_whole: bool) -> io::Result<()> {
        let archives = archive::list(&self.dir, self.name)?;
        let is_free = !archives.iter().any(|archive| archive.day == day && archive.part.is_none());
        let parts = archives.iter().filter(|archive| archive.day == day).filter_map(|archive| archive.part);
        let part = if is_whole && is_free { None } else { Some(parts.max().unwrap_or(0).saturating_add(1)) };
        fs::rename(self.dir.join(self.name), self.dir.join(Archive::name(self.name, day, part)))
    }

    /// Removes old files past their age, and the oldest past the bound. One that cannot be removed is tried again with the
    /// next.
    fn prune(&self, today: Day) {
        let Ok(mut archives) = archive::list(&self.dir, self.name) else { return };
        archives.sort_unstable_by_key(Archive::order);
        let mut bytes = 0;
        for archive in archives.iter().rev() {
            bytes += archive.bytes;
            if bytes > self.limits.archived || archive.day.is_before(today, self.limits.days) {
                fs::remove_file(&archive.path).ok();
            }
        }
    }
}

/// Ends a line that a crash has cut, so that the next stays readable; how many bytes that took.
fn end_last_line(file: &mut File) -> io::Result<u64> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" {
        return Ok(0);
    }
    file.write_all(b"\n")?;
    Ok(1)
}

#[cfg(test)]
mod tests;
