//! Backups: what they hold, what is seen of damage, and that a restore brings everything back.

mod damage;
mod drill;
mod killed;
mod needs_mariadbd;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Instant;

use crate::harness::{Broker, PATIENCE};

const PASSPHRASE: (&str, &str) = ("MB_BACKUP__PASSPHRASE", "Unspoken correct horse");

/// Makes a backup, beside the running broker or on its stopped data.
fn back_up(broker: &Broker) -> PathBuf {
    PathBuf::from(broker.run_ok(&["backup", "create"]).trim())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn restore(broker: &Broker, backup: &Path) -> serde_json::Value {
    let text = broker.run_ok(&["backup", "restore", path(backup), "--yes", "--json"]);
    serde_json::from_str(&text).expect("JSON")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// Removes the database with all that goes with it.
fn lose_database(dir: &Path) {
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("message-broker.db")) {
            std::fs::remove_file(path).expect("removed");
        }
    }
}

/// Waits until the main server holds every message that the journal does.
fn wait_confirmed(broker: &Broker) {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let metrics = broker.component("admin", broker.ports.proxy).get("/metrics").expect("answered").text();
        if metrics.lines().any(|line| line.starts_with("mb_journal_depth 0")) {
            return;
        }
        assert!(Instant::now() < give_up, "not confirmed: {}", broker.stderr());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// What the message says.
fn read(broker: &Broker, id: &str) -> String {
    broker.run_ok(&["admin", "messages", "show", id, "--decrypt"])
}
