//! The disk: room for the journal, and how long a durable write takes, which every 202 waits for.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Finding, Patient};

/// Writes that are timed.
const WRITES: usize = 20;
/// What claims to be done in less has not reached any disk.
const NONE: Duration = Duration::from_micros(10);
/// A disk slower than this holds up every submit.
const SLOW: Duration = Duration::from_millis(20);

pub(super) async fn check(patient: Patient<'_>) -> Vec<Finding> {
    let folder = existing(patient.layout.root());
    let bound = patient.resolved.config.journal.max_bytes;
    let space = match fs4::available_space(&folder) {
        Ok(free) => room(free, bound),
        Err(error) => {
            Finding::warn("disk space", format!("{}: {error}", folder.display()), "look with the system's own tools")
        }
    };
    let timed = tokio::task::spawn_blocking(move || fsync_time(&folder)).await;
    let speed = match timed.map_err(anyhow::Error::from).and_then(|timed| timed) {
        Ok(median) => {
            let detail = format!("a durable write takes {:.2} ms (median of {WRITES})", median.as_secs_f64() * 1e3);
            if median < NONE {
                Finding::warn(
                    "disk speed",
                    format!("{detail}: so fast is none that keeps anything when power fails"),
                    "put the data directory on a disk, not in memory, and turn off caches that lie about a sync",
                )
            } else if median > SLOW {
                Finding::warn(
                    "disk speed",
                    format!("{detail}: every submit waits for one"),
                    "put the data directory on an SSD",
                )
            } else {
                Finding::ok("disk speed", detail)
            }
        }
        Err(error) => {
            Finding::fail("disk speed", format!("{error:#}"), "make the data directory writable for this account")
        }
    };
    vec![space, speed]
}

fn room(free: u64, bound: u64) -> Finding {
    let gib = |bytes: u64| bytes.div_euclid(1 << 20) / 1024;
    let detail = format!("{} GiB free; the journal may grow to {} GiB (journal.max_bytes)", gib(free), gib(bound));
    let fix = "free disk space, or lower journal.max_bytes below what is free";
    if free < 1 << 30 {
        Finding::fail("disk space", format!("{detail}: a full disk is answered 503 journal_full"), fix)
    } else if free < bound {
        Finding::warn("disk space", format!("{detail}: a long outage of the main server fills the disk first"), fix)
    } else {
        Finding::ok("disk space", detail)
    }
}

/// The folder itself, or the nearest one above it that exists.
pub(super) fn existing(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new(".")).to_owned()
}

fn fsync_time(folder: &Path) -> Result<Duration> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    let timed = timed_writes(&path);
    // What could not be made need not be removed.
    std::fs::remove_file(&path).ok();
    let mut sorted = timed.with_context(|| format!("write in {}", folder.display()))?;
    sorted.sort_unstable();
    Ok(sorted[sorted.len() / 2])
}

fn timed_writes(path: &Path) -> std::io::Result<Vec<Duration>> {
    let mut file = File::create(path)?;
    file.write_all(&[0; 4096])?;
    file.sync_all()?;
    let write = |_| {
        let began = Instant::now();
        file.write_all(&[1; 400])?;
        file.sync_data()?;
        Ok(began.elapsed())
    };
    (0..WRITES).map(write).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn room_is_judged_by_what_the_journal_may_take() {
        let status = |free, bound| room(free, bound).status;
        assert_eq!(status(1 << 29, 1 << 20), Status::Fail);
        assert_eq!(status(5 << 30, 10 << 30), Status::Warn);
        assert_eq!(status(11 << 30, 10 << 30), Status::Ok);
    }

    #[test]
    fn a_write_is_timed_where_the_folder_will_be_and_leaves_nothing() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let folder = existing(&dir.path().join("not/yet"));
        assert_eq!(folder, std::path::absolute(dir.path()).expect("absolute"));
        assert!(fsync_time(&folder).expect("writable") > Duration::ZERO);
        assert_eq!(std::fs::read_dir(&folder).expect("readable").count(), 0);
    }
}
