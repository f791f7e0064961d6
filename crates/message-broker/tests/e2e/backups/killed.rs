//! kill -9 in the middle of a backup and of a restore.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{PASSPHRASE, back_up, lose_database, path, restore, said};
use crate::harness::{Broker, PATIENCE, command};
use crate::production::load::submit_many;

fn spawn(broker: &Broker, args: &[&str]) -> Child {
    let environment = [(PASSPHRASE.0.to_owned(), PASSPHRASE.1.to_owned())];
    let mut command = command(broker.dir(), &environment);
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts")
}

/// Kills the process a while after `begun` is true of its work.
fn kill(mut child: Child, after: Duration, begun: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !begun() {
        assert_eq!(child.try_wait().expect("asked"), None, "it ended before it began");
        assert!(Instant::now() < give_up, "it does not begin");
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(after);
    let _ = child.kill();
    child.wait().expect("ended");
}

/// About as much is written before a restore begins with the rows.
const SCHEMA: u64 = 560_000;

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_backup_that_was_killed_is_none() {
    let mut broker = Broker::start_with(&[PASSPHRASE]);
    let ids = submit_many(&mut broker.demo(), "kept", 1000);
    broker.wait_delivered(&ids);
    assert_eq!(broker.terminate().0, Some(0));
    let backups = broker.dir().join("backups");
    for after in [0, 30, 100, 300, 700] {
        let left = names(&backups).len();
        let child = spawn(&broker, &["backup", "create"]);
        kill(child, Duration::from_millis(after), || names(&backups).len() > left);
    }
    let listed: Value = serde_json::from_str(&broker.run_ok(&["backup", "list", "--json"])).expect("JSON");
    for row in listed["data"].as_array().expect("a list") {
        assert_eq!(row["state"], "good", "{listed}");
    }
    broker.run_ok(&["backup", "verify", path(&back_up(&broker))]);
}

#[test]
fn a_restore_that_was_killed_is_repeated_and_nothing_starts_before() {
    let mut broker = Broker::start_with(&[PASSPHRASE]);
    let ids = submit_many(&mut broker.demo(), "kept", 3000);
    broker.wait_delivered(&ids);
    let backup = back_up(&broker);
    assert_eq!(broker.terminate().0, Some(0));
    let before = std::fs::read(broker.dir().join("secrets/encryption.key")).expect("read");
    let mut half = 0;
    for after in [0, 300, 1000, 3000] {
        lose_database(broker.dir());
        let child = spawn(&broker, &["backup", "restore", path(&backup), "--yes"]);
        let size = |name: &str| std::fs::metadata(broker.dir().join(name)).map_or(0, |file| file.len());
        kill(child, Duration::from_millis(after), || size("message-broker.db-wal") > SCHEMA);
        let looked = broker.run(&["backup", "list"]);
        if said(&looked).contains("half restored") {
            half += 1;
            let started = broker.run(&["up"]);
            assert_eq!(started.status.code(), Some(1));
            assert!(said(&started).contains("half restored"), "{}", said(&started));
        }
    }
    assert!(half > 0, "none was killed in the middle");
    let report = restore(&broker, &backup);
    assert_eq!(report["messages"], ids.len(), "{report}");
    assert_eq!(std::fs::read(broker.dir().join("secrets/encryption.key")).expect("read"), before);
    broker.restart();
    broker.wait_delivered(&ids);
}
