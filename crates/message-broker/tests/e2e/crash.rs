//! kill -9 under load: what was answered with 202 is there afterwards, once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::harness::{Broker, command, message};
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
    for delay in [1, 5, 10, 20, 40, 60, 80, 120, 160] {
        let mut child = command(dir.path(), &environment)
            .arg("up")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the binary starts");
        std::thread::sleep(Duration::from_millis(delay));
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
