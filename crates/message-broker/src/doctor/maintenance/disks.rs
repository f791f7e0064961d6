//! The disks that the data directory, the database's file and the backups lie on: how much is free, and when it will not be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mb_core::Timestamp;
use serde::Serialize;

use super::backups::Backups;
use super::database::Database;
use super::growth::{Grower, days_until_full};
use super::{Finding, date, size};
use crate::config::Resolved;
use crate::doctor::disk::existing;
use crate::layout::Layout;

/// A disk that is full sooner needs somebody by the next month's maintenance but one.
const SOON_DAYS: u64 = 90;
/// Log files are kept for 7 days besides the current ones.
const LOG_DAYS: u64 = 8;

/// A disk, by the first of what lies there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Disk {
    path: PathBuf,
    free: u64,
    holds: Vec<Grower>,
    /// `null`: not within ten years.
    full_in_days: Option<u64>,
}

/// Where to look, and what is known of what lies there.
#[derive(Clone, Copy)]
pub(super) struct Growing<'a> {
    pub(super) layout: &'a Layout,
    pub(super) resolved: &'a Resolved,
    pub(super) database: Option<&'a Database>,
    pub(super) backups: Option<&'a Backups>,
}

/// The disks, and what there is to say of each and of what lies there.
pub(super) async fn look(growing: Growing<'_>, now: Timestamp) -> (Vec<Disk>, Vec<Finding>) {
    let (root, config) = (growing.layout.root().to_owned(), &growing.resolved.config);
    let (journal, logs) = (growing.layout.journal(), root.join(&config.log.dir));
    let max_bytes = config.journal.max_bytes;
    let mut growers = vec![];
    if config.store.is_embedded()
        && let Some(database) = growing.database
    {
        growers.push(database.grower(config.store_path(&root)));
    }
    growers.extend(growing.backups.map(Backups::grower));
    let looking = tokio::task::spawn_blocking(move || {
        if journal.exists() {
            let bytes = bytes_below(&journal);
            growers.push(Grower { what: "journal", path: journal, bytes, per_day: None, at_most: Some(max_bytes) });
        }
        if logs.exists() {
            growers.push(log_files(logs));
        }
        by_disk(growers)
    });
    match looking.await {
        Ok((disks, problems)) => {
            let said = disks.iter().flat_map(|disk| findings(disk, now)).chain(problems).collect();
            (disks, said)
        }
        Err(error) => (Vec::new(), vec![unreadable("the data directory", &error)]),
    }
}

fn unreadable(path: &str, error: &dyn std::error::Error) -> Finding {
    Finding::fail("disk", format!("{path}: {error}"), "look with the system's own tools")
}

/// What lies on the same disk is looked at together.
fn by_disk(growers: Vec<Grower>) -> (Vec<Disk>, Vec<Finding>) {
    let (mut disks, mut problems) = (BTreeMap::<String, Disk>::new(), Vec::new());
    for grower in growers {
        let folder = existing(&grower.path);
        match (disk_of(&folder), fs4::available_space(&folder)) {
            (Ok(id), Ok(free)) => {
                let disk = Disk { path: folder, free, holds: Vec::new(), full_in_days: None };
                disks.entry(id).or_insert(disk).holds.push(grower);
            }
            (Err(error), _) | (_, Err(error)) => problems.push(unreadable(&folder.display().to_string(), &error)),
        }
    }
    let filled = disks.into_values().map(|disk| Disk { full_in_days: days_until_full(disk.free, &disk.holds), ..disk });
    (filled.collect(), problems)
}

/// What tells one disk from another.
#[cfg(unix)]
fn disk_of(folder: &Path) -> std::io::Result<String> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(fs::metadata(folder)?.dev().to_string())
}

/// What tells one disk from another: its letter, or the share.
#[cfg(not(unix))]
fn disk_of(folder: &Path) -> std::io::Result<String> {
    let first =
        fs::canonicalize(folder)?.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
    Ok(first.unwrap_or_default().to_lowercase())
}

fn findings(disk: &Disk, now: Timestamp) -> Vec<Finding> {
    let check = format!("disk {}", disk.path.display());
    let free = format!("{} free", size(disk.free));
    let fix =
        "free space there, put backup.dir on another disk, or keep things for shorter (docs/operating.md, section 8)";
    let first = match disk.full_in_days {
        None => Finding::ok(check, format!("{free}; at this pace it does not fill up within ten years")),
        Some(0) => {
            let detail =
                format!("{free}: what may be taken at any time, as the journal's bound, does not fit any more");
            Finding::warn(check, detail, fix)
        }
        Some(days) => {
            let on = date(now.plus(Duration::from_hours(24).saturating_mul(u32::try_from(days).unwrap_or(u32::MAX))));
            let detail = format!("{free}; at this pace it is full in {}, on {on}", crate::output::counted(days, "day"));
            if days < SOON_DAYS { Finding::warn(check, detail, fix) } else { Finding::ok(check, detail) }
        }
    };
    std::iter::once(first).chain(disk.holds.iter().map(told)).collect()
}

fn told(grower: &Grower) -> Finding {
    let pace = match grower.per_day {
        Some(0) => ", growing by nothing".to_owned(),
        Some(bytes) => format!(", {} more a day", size(bytes)),
        None => String::new(),
    };
    let bound = grower.at_most.map_or_else(String::new, |bytes| format!(", {} at most", size(bytes)));
    Finding::ok(format!("  {}", grower.what), format!("{}{pace}{bound}", size(grower.bytes)))
}

/// All bytes below a folder. What goes away meanwhile does not count.
fn bytes_below(folder: &Path) -> u64 {
    let (mut bytes, mut folders) = (0, vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) if metadata.is_file() => bytes += metadata.len(),
                Ok(_) | Err(_) => {}
            }
        }
    }
    bytes
}

/// A day's logs are what the files of past days have on average. They are kept for a week, and then grow no more.
fn log_files(dir: PathBuf) -> Grower {
    let (mut past, mut days) = (0, BTreeSet::new());
    for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let (Some((_, rest)), Ok(metadata)) = (name.split_once(".log."), entry.metadata()) {
            past += metadata.len();
            days.insert(rest.get(..10).unwrap_or(rest).to_owned());
        }
    }
    let bytes = bytes_below(&dir);
    let per_day = (!days.is_empty()).then(|| past / days.len() as u64);
    let at_most = per_day.map(|pace| bytes.max(pace.saturating_mul(LOG_DAYS)));
    Grower { what: "logs", path: dir, bytes, per_day, at_most }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

    fn disk(free: u64, per_day: u64) -> Disk {
        let grower = Grower { what: "database", path: PathBuf::new(), bytes: 0, per_day: Some(per_day), at_most: None };
        let (holds, path) = (vec![grower], PathBuf::from("/data"));
        Disk { full_in_days: days_until_full(free, &holds), path, free, holds }
    }

    #[test]
    fn a_disk_that_is_full_within_three_months_is_a_warning_with_its_day() {
        let said = findings(&disk(400 << 20, 10 << 20), NOW);
        assert_eq!(said[0].status, Status::Warn);
        assert_eq!(said[0].detail, "400.0 MiB free; at this pace it is full in 41 days, on 2026-12-29");
        assert_eq!(said[1].detail, "0 KiB, 10.0 MiB more a day");
        assert_eq!(findings(&disk(400 << 20, 1 << 20), NOW)[0].status, Status::Ok);
        assert_eq!(findings(&disk(400 << 20, 0), NOW)[0].status, Status::Ok);
    }

    #[test]
    fn a_days_logs_are_those_of_past_days_on_average_and_level_off() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let write =
            |name: &str, bytes: usize| std::fs::write(dir.path().join(name), vec![b'x'; bytes]).expect("written");
        write("proxy.log", 50);
        let fresh = log_files(dir.path().to_owned());
        assert_eq!((fresh.bytes, fresh.per_day, fresh.at_most), (50, None, None));
        write("proxy.log.2026-11-24", 100);
        write("proxy.log.2026-11-25", 200);
        write("proxy.log.2026-11-25.1", 300);
        let logs = log_files(dir.path().to_owned());
        assert_eq!((logs.bytes, logs.per_day, logs.at_most), (650, Some(300), Some(2400)));
    }

    #[test]
    fn what_lies_in_one_place_is_on_one_disk() {
        let dir = tempfile::tempdir().expect("temporary folder");
        std::fs::create_dir(dir.path().join("sub")).expect("created");
        let at =
            |name: &str| Grower { what: "thing", path: dir.path().join(name), bytes: 1, per_day: None, at_most: None };
        let (disks, problems) = by_disk(vec![at("sub"), at("not/there/yet")]);
        assert_eq!((disks.len(), disks[0].holds.len(), problems), (1, 2, Vec::new()));
        assert!(disks[0].free > 0);
    }
}
