//! A backup that is not whole, or not what it says, is never taken for one; and none shows anything.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{PASSPHRASE, back_up, path, said};
use crate::harness::{Broker, command, files};
use crate::production::load::submit_many;

const BODY: &str = "the quick brown fox in clear text";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for file in files(from) {
        std::fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("copied");
    }
}

/// A copy of the backup under the name of another time, with something done to it.
fn damaged(backup: &Path, second: u32, damage: impl FnOnce(&Path)) -> PathBuf {
    let copied = backup.with_file_name(format!("backup_20200101_0000{second:02}"));
    copy(backup, &copied);
    damage(&copied);
    copied
}

fn flip(file: &Path, at: usize) {
    let mut bytes = std::fs::read(file).expect("read");
    let place = bytes.len() * at / 100;
    bytes[place] ^= 1;
    std::fs::write(file, bytes).expect("written");
}

#[test]
fn damage_is_seen_before_anything_is_changed() {
    let mut broker = Broker::start_with(&[PASSPHRASE]);
    let ids = submit_many(&mut broker.demo(), BODY, 50);
    broker.wait_delivered(&ids);
    let first = back_up(&broker);
    let second = back_up(&broker);
    assert_ne!(first, second);
    assert_eq!(broker.terminate().0, Some(0));
    let read = |name: &str| std::fs::read(second.join(name)).expect("read");
    let cases = [
        ("SHA-256", damaged(&first, 1, |copy| flip(&copy.join("database.age"), 60))),
        ("SHA-256", damaged(&first, 2, |copy| flip(&copy.join("files.age"), 30))),
        (
            "bytes",
            damaged(&first, 3, |copy| {
                let file = copy.join("database.age");
                let whole = std::fs::read(&file).expect("read");
                std::fs::write(&file, &whole[..whole.len() - 100]).expect("written");
            }),
        ),
        ("manifest", damaged(&first, 4, |copy| std::fs::remove_file(copy.join("manifest.json")).expect("removed"))),
        (
            "another backup",
            damaged(&first, 5, |copy| {
                std::fs::write(copy.join("database.age"), read("database.age")).expect("written");
                forge(copy, &second);
            }),
        ),
    ];
    for (word, backup) in &cases {
        for verb in [&["backup", "verify", path(backup)][..], &["backup", "restore", path(backup), "--yes"]] {
            let output = broker.run(verb);
            assert_eq!(output.status.code(), Some(1), "{verb:?}");
            assert!(said(&output).contains(word), "{verb:?}: {}", said(&output));
        }
    }
    std::fs::write(cases[0].1.join("manifest.json"), read("manifest.json")).expect("written");
    assert_eq!(broker.run(&["backup", "verify", path(&cases[0].1)]).status.code(), Some(1), "another's manifest");
    let listed: Value = serde_json::from_str(&broker.run_ok(&["backup", "list", "--json"])).expect("JSON");
    let state = |name: &Path| {
        let rows = listed["data"].as_array().expect("a list").iter();
        let mut found = rows.filter(|row| name.ends_with(row["name"].as_str().expect("a name")));
        found.next().map(|row| row["state"].as_str().expect("a state").to_owned())
    };
    assert_eq!(state(&first).as_deref(), Some("good"));
    assert_eq!(state(&cases[2].1).as_deref(), Some("damaged"), "{listed}");
    assert_eq!(state(&cases[3].1).as_deref(), Some("damaged"), "{listed}");

    let keyed = |pairs: &[(&str, &str)], args: &[&str]| {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        command(broker.dir(), &pairs).args(args).output().expect("the binary runs")
    };
    let wrong = keyed(&[(PASSPHRASE.0, "another passphrase")], &["backup", "verify", path(&first)]);
    assert!(!wrong.status.success() && said(&wrong).contains("another passphrase or key"), "{}", said(&wrong));
    for args in
        [&["backup", "create"][..], &["backup", "verify", path(&first)], &["backup", "restore", path(&first), "--yes"]]
    {
        let without = keyed(&[], args);
        assert_eq!(without.status.code(), Some(1), "{args:?}");
        assert!(said(&without).contains("MB_BACKUP__PASSPHRASE"), "{args:?}: {}", said(&without));
    }
    broker.run_ok(&["backup", "verify", path(&first)]);
    broker.restart();
    broker.wait_delivered(&ids);
}

/// The manifest of `copy` as of a pair of files that do not belong together: the rows' of `other`, the files' of its own.
fn forge(copy: &Path, other: &Path) {
    let manifest = |folder: &Path| -> Value {
        serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).expect("read")).expect("JSON")
    };
    let (own, mut forged) = (manifest(copy), manifest(other));
    forged["files"]["files.age"] = own["files"]["files.age"].clone();
    std::fs::write(copy.join("manifest.json"), forged.to_string()).expect("written");
}

#[test]
fn nothing_readable_lies_in_a_backup() {
    let broker = Broker::start_with(&[PASSPHRASE, ("ADMIN_PASSWORD", "Unspoken1word")]);
    let ids = submit_many(&mut broker.demo(), BODY, 20);
    broker.wait_delivered(&ids);
    let backup = back_up(&broker);
    let secrets =
        [BODY, "+4915112345678", PASSPHRASE.1, "Unspoken1word", "PRIVATE KEY", "message-broker-master-key", "demo"];
    for file in files(&backup) {
        let content = std::fs::read(&file).expect("read");
        for secret in secrets {
            let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret:?} stands in {}", file.display());
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&file).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }
    }
    assert!(!broker.stderr().contains(PASSPHRASE.1));
    let metrics = broker.component("admin", broker.ports.server).get("/metrics").expect("answered").text();
    let made = metrics.lines().find(|line| line.starts_with("mb_backup_last_success_timestamp_seconds "));
    assert!(made.is_some_and(|line| !line.ends_with(" 0")), "{made:?}");
    let audit = broker.run_ok(&["admin", "audit", "list", "--json"]);
    assert!(audit.contains("backup.create"), "{audit}");
}

#[test]
fn without_a_key_it_is_said_that_no_backups_are_made() {
    let broker = Broker::start();
    let give_up = std::time::Instant::now() + crate::harness::PATIENCE;
    while !broker.run_ok(&["admin", "notices", "list"]).contains("backup_failed") {
        assert!(std::time::Instant::now() < give_up, "no notice: {}", broker.stderr());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let output = broker.run(&["backup", "create"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("MB_BACKUP__PASSPHRASE"), "{}", said(&output));
}
