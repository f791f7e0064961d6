//! Midnight, full files, old files, and disks that fail.

use std::path::Path;

use tempfile::TempDir;

use super::*;

const LIMITS: Limits = Limits { file: 100, archived: 1000, days: 7 };

struct Rig {
    dir: TempDir,
    clock: Clock,
    limits: Limits,
}

impl Rig {
    fn new(limits: Limits) -> Self {
        Self { dir: tempfile::tempdir().expect("a folder"), clock: Clock::manual(time("2026-02-27T10:00:00Z")), limits }
    }

    fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }

    fn file(&self) -> RollingFile {
        RollingFile::new(self.logs(), "proxy.log", self.clock.clone(), self.limits)
    }

    fn at(&self, text: &str) {
        self.clock.set(time(text));
    }

    fn put(&self, name: &str, content: &str) -> PathBuf {
        fs::create_dir_all(self.logs()).expect("a folder");
        let path = self.logs().join(name);
        fs::write(&path, content).expect("written");
        path
    }

    /// Names and contents, sorted.
    fn found(&self) -> Vec<(String, String)> {
        let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
        let entries = fs::read_dir(self.logs()).expect("a folder").map(|entry| entry.expect("an entry").path());
        let mut found: Vec<_> =
            entries.map(|path| (name(&path), fs::read_to_string(&path).expect("readable"))).collect();
        found.sort();
        found
    }

    fn names(&self) -> Vec<String> {
        self.found().into_iter().map(|(name, _)| name).collect()
    }
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("a time")
}

fn pair(name: &str, content: &str) -> (String, String) {
    (name.to_owned(), content.to_owned())
}

#[test]
fn at_midnight_utc_yesterdays_lines_get_their_date() {
    let rig = Rig::new(LIMITS);
    let mut file = rig.file();
    rig.at("2026-02-28T23:59:59Z");
    file.write(b"a\n").expect("written");
    rig.at("2026-03-01T00:00:00Z");
    file.write(b"b\n").expect("written");
    assert_eq!(rig.found(), [pair("proxy.log", "b\n"), pair("proxy.log.2026-02-28", "a\n")]);
}

#[test]
fn midnight_comes_for_quiet_files_too_and_never_leaves_empty_ones() {
    let rig = Rig::new(LIMITS);
    let mut file = rig.file();
    file.tick();
    assert_eq!(rig.found(), [pair("proxy.log", "")]);
    rig.at("2026-02-28T00:00:00Z");
    file.tick();
    assert_eq!(rig.names(), ["proxy.log"]);
    file.write(b"a\n").expect("written");
    rig.at("2026-03-01T12:00:00Z");
    file.tick();
    assert_eq!(rig.found(), [pair("proxy.log", ""), pair("proxy.log.2026-02-28", "a\n")]);
}

#[test]
fn a_clock_set_back_moves_nothing() {
    let rig = Rig::new(LIMITS);
    let mut file = rig.file();
    file.write(b"a\n").expect("written");
    rig.at("2026-02-26T10:00:00Z");
    file.write(b"b\n").expect("written");
    assert_eq!(rig.found(), [pair("proxy.log", "a\nb\n")]);
}

#[test]
fn a_full_file_is_numbered_within_its_day() {
    let rig = Rig::new(LIMITS);
    let mut file = rig.file();
    for n in 0..4 {
        file.write(format!("{n}{}\n", "x".repeat(58)).as_bytes()).expect("written");
    }
    rig.at("2026-02-28T10:00:00Z");
    file.write(b"next\n").expect("written");
    let expected = [
        "proxy.log",
        "proxy.log.2026-02-27",
        "proxy.log.2026-02-27.1",
        "proxy.log.2026-02-27.2",
        "proxy.log.2026-02-27.3",
    ];
    assert_eq!(rig.names(), expected);
    let first = |at: usize| rig.found()[at].1.chars().next();
    assert_eq!([first(1), first(2), first(3), first(4)], [Some('3'), Some('0'), Some('1'), Some('2')]);
    file.write(format!("{}\n", "y".repeat(500)).as_bytes()).expect("a line longer than a file");
    assert_eq!(rig.found()[0].1.len(), 501);
}

#[test]
fn old_files_end_after_seven_days_and_strangers_stay() {
    let rig = Rig::new(LIMITS);
    let kept = [
        "proxy.log.2026-02-20",
        "proxy.log.2026-02-20.3",
        "proxy.log.gz",
        "proxy.log.2026-1-1",
        "worker.log.2020-01-01",
    ];
    for name in kept.into_iter().chain(["proxy.log.2026-02-19", "proxy.log.2025-12-31.7"]) {
        rig.put(name, "old\n");
    }
    rig.file().write(b"a\n").expect("written");
    let mut expected = [&["proxy.log"][..], &kept].concat();
    expected.sort_unstable();
    assert_eq!(rig.names(), expected);
}

#[test]
fn old_files_together_have_a_bound_and_the_oldest_go_first() {
    let rig = Rig::new(Limits { archived: 250, ..LIMITS });
    let mut file = rig.file();
    for n in 0..6 {
        file.write(format!("{n}{}\n", "x".repeat(98)).as_bytes()).expect("written");
    }
    assert_eq!(rig.names(), ["proxy.log", "proxy.log.2026-02-27.4", "proxy.log.2026-02-27.5"]);
}

#[test]
fn a_start_continues_todays_file_and_sets_yesterdays_aside() {
    let rig = Rig::new(LIMITS);
    let path = rig.put("proxy.log", "a\ncut of");
    let modified = |text: &str| {
        let at = UNIX_EPOCH + time(text).since(Timestamp::default());
        File::options().write(true).open(&path).and_then(|file| file.set_modified(at)).expect("set");
    };
    modified("2026-02-27T09:00:00Z");
    rig.file().write(b"b\n").expect("written");
    assert_eq!(rig.found(), [pair("proxy.log", "a\ncut of\nb\n")], "a cut line is ended");
    modified("2026-02-26T09:00:00Z");
    rig.file().write(b"c\n").expect("written");
    assert_eq!(rig.found(), [pair("proxy.log", "c\n"), pair("proxy.log.2026-02-26", "a\ncut of\nb\n")]);
}

#[test]
fn a_file_that_was_taken_away_is_made_again() {
    let rig = Rig::new(LIMITS);
    let mut file = rig.file();
    file.write(b"a\n").expect("written");
    fs::remove_dir_all(rig.logs()).expect("removed");
    file.tick();
    file.write(b"b\n").expect("written");
    assert_eq!(rig.found(), [pair("proxy.log", "b\n")]);
}

/// `/dev/full` takes a file's open and refuses every byte, as a full disk does.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_found_again_when_there_is_room() {
    let rig = Rig::new(LIMITS);
    fs::create_dir_all(rig.logs()).expect("a folder");
    std::os::unix::fs::symlink("/dev/full", rig.logs().join("proxy.log")).expect("linked");
    let mut file = rig.file();
    let error = file.write(b"a\n").expect_err("no room");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    fs::remove_file(rig.logs().join("proxy.log")).expect("removed");
    assert!(file.write(b"b\n").is_err(), "not tried at once");
    file.failed_at = None;
    file.write(b"c\n").expect("written");
    assert_eq!(rig.found(), [pair("proxy.log", "c\n")]);
}
