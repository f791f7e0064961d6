//! Master keys are rotated while messages come and go, and on a stopped system.

use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Broker, PATIENCE, command, submit};
use crate::http::Connection;

/// What a message says when an admin opens it now.
fn read(admin: &mut Connection, id: &str) -> String {
    let response = admin.get(&format!("/portal/messages/{id}")).expect("answered");
    assert_eq!(response.status, 200, "{id}: {}", response.text());
    response.json()["message_body"].as_str().expect("a body").to_owned()
}

fn listed(text: &str) -> Vec<(String, String)> {
    let rows: Value = serde_json::from_str(text).expect("JSON");
    let rows = rows.as_array().expect("a list").iter();
    let text = |row: &Value, name: &str| row[name].as_str().expect("text").to_owned();
    rows.map(|row| (text(row, "id"), text(row, "state"))).collect()
}

/// Submits until told to stop, and opens each message as soon as it is registered; how many.
fn load(broker: &Broker, stop: &AtomicBool) -> Vec<String> {
    let (mut client, mut admin) = (broker.demo(), broker.component("admin", broker.ports.server));
    let mut ids = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let id = submit(&mut client, &format!("text {}", ids.len()));
        let give_up = Instant::now() + PATIENCE;
        while admin.get(&format!("/portal/messages/{id}?body=false")).expect("answered").status != 200 {
            assert!(Instant::now() < give_up, "not registered: {}", broker.stderr());
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(read(&mut admin, &id), format!("text {}", ids.len()));
        ids.push(id);
    }
    ids
}

#[test]
fn a_rotation_under_load_leaves_nothing_unreadable_at_any_moment() {
    let mut broker = Broker::start();
    let first = listed(&broker.run_ok(&["keys", "list", "--json"]));
    assert_eq!(first.iter().map(|(_, state)| state.as_str()).collect::<Vec<_>>(), ["active"]);
    let stop = AtomicBool::new(false);
    let mut ids = std::thread::scope(|scope| {
        let loads: Vec<_> = (0..2).map(|_| scope.spawn(|| load(&broker, &stop))).collect();
        for _ in 0..2 {
            broker.run_ok(&["keys", "rotate"]);
            broker.run_ok(&["keys", "rewrap"]);
        }
        stop.store(true, Ordering::Relaxed);
        loads.into_iter().flat_map(|load| load.join().expect("the load went on")).collect::<Vec<_>>()
    });
    assert!(ids.len() > 10, "there was load: {}", ids.len());
    let keys = listed(&broker.run_ok(&["keys", "list", "--json"]));
    assert_eq!(keys.iter().map(|(_, state)| state.as_str()).collect::<Vec<_>>(), ["active", "retired", "retired"]);
    // The proxy's journal still holds what was sealed under the first key.
    let refused = broker.run(&["keys", "delete", &first[0].0]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("journal of proxy"), "{}", said(&refused));
    broker.crash_and_restart();
    ids.push(submit(&mut broker.demo(), "after the restart"));
    broker.wait_delivered(&ids);
    let mut admin = broker.component("admin", broker.ports.server);
    for id in &ids {
        read(&mut admin, id);
    }
    broker.run_ok(&["admin", "audit", "verify"]);
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_master_keys_lie_where_the_configuration_says() {
    let vault = tempfile::tempdir().expect("temporary folder");
    let path = vault.path().join("vault/master.key");
    let text = path.display().to_string();
    let mut broker = Broker::start_with(&[("ENCRYPTION_KEY_PATH", &text)]);
    broker.crash_and_restart();
    // The process before was the same main server: nobody waits for it to get the key.
    let first = broker.run_ok(&["keys", "rotate"]);
    let mut ids = vec![submit(&mut broker.demo(), "sealed under it")];
    broker.crash_and_restart();
    ids.push(submit(&mut broker.demo(), "after the restart"));
    broker.wait_delivered(&ids);
    let mut admin = broker.component("admin", broker.ports.server);
    assert_eq!(read(&mut admin, &ids[0]), "sealed under it");
    let mut names: Vec<_> = crate::harness::files(vault.path());
    names.sort();
    let name = |path: &std::path::PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
    let names: Vec<_> = names.iter().map(name).collect();
    assert!(names.contains(&"master.key".to_owned()) && names.contains(&"master.key.pub".to_owned()), "{names:?}");
    assert_eq!(names.len(), 3, "and the one before: {names:?}");
    assert!(std::fs::read_to_string(vault.path().join("vault/master.key.pub")).expect("text").contains(first.trim()));
    let strays: Vec<_> = crate::harness::files(&broker.dir().join("secrets")).iter().map(name).collect();
    assert!(!strays.iter().any(|name| name.contains("encryption") || name.contains("master")), "{strays:?}");
    // Without it the system does not start, and makes no other in its place.
    broker.kill();
    std::fs::rename(&path, vault.path().join("aside")).expect("moved");
    let refused = broker.run(&["keys", "list"]);
    assert!(said(&refused).contains("master.key is missing"), "{}", said(&refused));
    assert!(!path.exists());
}

#[test]
fn every_keys_command_works_on_a_stopped_system() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let run = |args: &[&str]| command(dir.path(), &[]).args(args).output().expect("the binary runs");
    let ok = |args: &[&str]| {
        let output = run(args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    let first = ok(&["keys", "init"]);
    assert_eq!(ok(&["keys", "init"]), first, "a second init keeps the key");
    assert_eq!(run(&["keys", "delete", &first]).status.code(), Some(1), "it is active");
    let prepared = ok(&["keys", "rotate", "--prepare"]);
    assert!(dir.path().join("secrets/encryption.next.key").exists());
    assert_eq!(ok(&["keys", "rotate"]), prepared);
    assert!(said(&run(&["keys", "delete", &first])).contains("keys rewrap"));
    // The search key and the audit chain's.
    assert_eq!(ok(&["keys", "rewrap"]), "2");
    assert_eq!(ok(&["keys", "rewrap"]), "0");
    // The proxy of this machine has a certificate and has never run.
    assert!(said(&run(&["keys", "delete", &first])).contains("has never said"));
    let public = std::fs::read_to_string(dir.path().join("secrets/encryption.key.pub")).expect("there");
    assert!(public.contains(&prepared));
    ok(&["admin", "audit", "verify"]);
    assert_eq!(run(&["keys", "delete", "nonsense"]).status.code(), Some(2));
}
