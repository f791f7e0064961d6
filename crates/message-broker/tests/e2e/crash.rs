//! kill -9 under load: what was answered with 202 is there afterwards, once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::{Broker, command, message, message_json, status_of};
use crate::http::Connection;

#[test]
fn what_was_acked_survives_sigkill_in_a_loop_under_load() {
    let mut broker = Broker::start();
    let acked = Arc::new(Mutex::new(Vec::new()));
    for round in 0..5 {
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let (acked, stop) = (Arc::clone(&acked), Arc::clone(&stop));
                let mut connection = broker.demo();
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        match connection.post("/api/v1/messages", &message("under load")) {
                            Ok(response) if response.status == 202 => {
                                let id = response.json()["message_id"].as_str().expect("an id").to_owned();
                                acked.lock().expect("no panic while held").push(id);
                            }
                            _ => return,
                        }
                    }
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(150 + 130 * round));
        broker.kill();
        stop.store(true, Ordering::Relaxed);
        for sender in senders {
            sender.join().expect("no panic");
        }
        broker.restart();
    }
    let acked = acked.lock().expect("no panic while held").clone();
    assert!(acked.len() > 100, "the load was real: {}", acked.len());
    let distinct: std::collections::HashSet<_> = acked.iter().collect();
    assert_eq!(distinct.len(), acked.len(), "no id was given twice");
    broker.wait_delivered(&acked);
}

/// Shows that the other test could fail: what was acked and not stored yet lies in the journal alone when the kill comes.
#[test]
fn without_its_journal_a_killed_system_misses_what_it_acked() {
    let mut broker = Broker::start();
    let mut missed = 0;
    for _ in 0..20 {
        let mut connection = broker.demo();
        let batch = serde_json::json!({ "messages": vec![message_json("under load"); 1000] }).to_string();
        let answer = connection.post("/api/v1/messages/batch", &batch).expect("answered").json();
        broker.kill();
        std::fs::remove_dir_all(broker.dir().join("journal")).expect("removed");
        broker.restart();
        let results = answer["results"].as_array().expect("results").iter();
        let ids: Vec<_> = results.map(|row| row["message_id"].as_str().expect("an id").to_owned()).collect();
        missed += ids.len() - status_of(&mut broker.demo(), &ids).len();
        if missed > 0 {
            return;
        }
    }
    panic!("all was stored before any kill: what survives kills proves nothing about the journal");
}

#[test]
fn a_start_that_was_killed_at_any_moment_is_simply_repeated() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let ports = crate::harness::Ports::spare();
    let environment: Vec<(String, String)> = [
        ("MB_PROXY__PORT", ports.proxy),
        ("MB_SERVER__PORT", ports.server),
        ("MB_WORKER__PORT", ports.worker),
        ("MB_PORTAL__PORT", ports.portal),
    ]
    .map(|(name, port)| (name.to_owned(), port.to_string()))
    .into();
    // A whole start elsewhere says how long one takes here and now.
    let begun = Instant::now();
    drop(Broker::start());
    let whole = begun.elapsed();
    for tenth in 1..=12 {
        let mut child = command(dir.path(), &environment)
            .arg("up")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the binary starts");
        std::thread::sleep(whole * tenth / 12);
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
    let mut child = command(dir.path(), &environment).arg("up").spawn().expect("the binary starts");
    let give_up = std::time::Instant::now() + crate::harness::PATIENCE;
    let accepted = loop {
        assert_eq!(child.try_wait().expect("asked"), None, "a repeated start succeeds");
        let answer = Connection::client(dir.path(), ports.proxy, "demo")
            .and_then(|mut connection| connection.post("/api/v1/messages", &message("x")));
        if let Ok(response) = answer
            && response.status == 202
        {
            break true;
        }
        if std::time::Instant::now() > give_up {
            break false;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let _ = child.kill();
    let _ = child.wait();
    assert!(accepted, "the repeated start serves");
}

#[test]
fn torture_finds_nothing_lost_and_nothing_twice() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let output = command(dir.path(), &[]).args(["torture", "--seed", "7", "--count", "2000", "--json"]).output();
    let output = output.expect("the binary runs");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
    assert!(report["acked"].as_u64() >= Some(2000), "{report}");
    assert_eq!((report["lost"].as_u64(), report["duplicates"].as_u64()), (Some(0), Some(0)), "{report}");
}
