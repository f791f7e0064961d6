//! Everything is killed in random order under load: what was answered with 202 is in the store once, and states only go
//! forward.
//!
//! `MB_TEST_TORTURE_COUNT` and `MB_TEST_TORTURE_SEED` make it longer or repeat it; `cargo xtask torture` sets them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::super::cluster::Cluster;
use crate::harness::{message, status_of};
use crate::http::Connection;

/// Lanes that submit.
const LANES: usize = 4;
/// From the last submit to everything stored.
const SETTLE: Duration = Duration::from_mins(3);

/// `SplitMix64` (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

#[expect(clippy::disallowed_methods, reason = "settings of this test alone")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[derive(Default)]
struct Load {
    acked: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl Load {
    fn acked(&self) -> usize {
        self.acked.lock().expect("no panic while held").len()
    }
}

/// Submits one message or ten at a time until told to stop; connects again after every failure.
fn lane(dir: std::path::PathBuf, port: u16, load: Arc<Load>, number: usize) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut sent = 0_usize;
        while !load.stop.load(Ordering::Relaxed) {
            let Ok(mut connection) = Connection::client(&dir, port, "demo") else {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            while !load.stop.load(Ordering::Relaxed) {
                sent += 1;
                let Some(ids) = submit(&mut connection, &format!("{number}-{sent}"), sent.is_multiple_of(10)) else {
                    break;
                };
                load.acked.lock().expect("no panic while held").extend(ids);
            }
        }
    })
}

/// The ids that were answered with 202; `None` if the connection is of no more use.
fn submit(connection: &mut Connection, text: &str, batch: bool) -> Option<Vec<String>> {
    if !batch {
        let response = connection.post("/api/v1/messages", &message(text)).ok()?;
        let id = (response.status == 202).then(|| response.json()["message_id"].as_str().map(str::to_owned))?;
        return Some(id.into_iter().collect());
    }
    let lines: Vec<_> = (0..10).map(|n| message(&format!("{text}-{n}"))).collect();
    let headers = [("content-type", "application/x-ndjson")];
    let response = connection.post_with("/api/v1/messages/batch", &headers, lines.join("\n").as_bytes()).ok()?;
    let results = (response.status == 202).then(|| response.json()["results"].as_array().cloned())??;
    Some(results.iter().filter_map(|result| result["message_id"].as_str().map(str::to_owned)).collect())
}

/// Asks for states of what was acked, again and again, and finds every step back.
fn watch(dir: std::path::PathBuf, port: u16, load: Arc<Load>) -> JoinHandle<Vec<String>> {
    let rank = |state: &str| match state {
        "queued" => 0,
        "processing" => 1,
        _ => 2,
    };
    std::thread::spawn(move || {
        let (mut seen, mut steps_back) = (HashMap::new(), Vec::new());
        while !load.stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(100));
            let sample: Vec<_> = load.acked.lock().expect("no panic while held").iter().step_by(17).cloned().collect();
            let Ok(mut connection) = Connection::client(&dir, port, "demo") else { continue };
            for ids in sample.chunks(500) {
                let body = serde_json::json!({ "ids": ids }).to_string();
                let Ok(response) = connection.post("/api/v1/messages/status", &body) else { break };
                for row in response.json()["data"].as_array().into_iter().flatten() {
                    let (id, state) = (row["message_id"].to_string(), row["status"].as_str().unwrap_or_default());
                    let before = seen.insert(id.clone(), rank(state)).unwrap_or(0);
                    if rank(state) < before {
                        steps_back.push(format!("{id} went back to {state}"));
                    }
                }
            }
        }
        steps_back
    })
}

/// One blow, and its remedy.
fn strike(cluster: &mut Cluster, random: &mut Random) {
    let pause = Duration::from_millis(100 + random.below(900));
    match random.below(8) {
        role @ 0..=2 => {
            let role = ["proxy", "worker", "main-server"][usize::try_from(role).expect("small")];
            cluster.kill_role(role);
            std::thread::sleep(pause);
            cluster.start_role(role);
        }
        3 => {
            cluster.redis.kill();
            std::thread::sleep(pause);
            cluster.redis.restart();
        }
        4 => {
            cluster.database.kill();
            std::thread::sleep(pause);
            cluster.database.restart();
        }
        5 => {
            cluster.redis.redis_cli(&["FLUSHALL"]);
        }
        6 => {
            cluster.signal("worker", "-STOP");
            std::thread::sleep(pause * 3);
            cluster.signal("worker", "-CONT");
        }
        _ => {
            cluster.redis.redis_cli(&["DEBUG", "RELOAD"]);
        }
    }
}

#[test]
fn whatever_is_killed_nothing_acked_is_lost_or_stored_twice() {
    let seed = setting("MB_TEST_TORTURE_SEED").unwrap_or(20_261_125);
    let count = usize::try_from(setting("MB_TEST_TORTURE_COUNT").unwrap_or(10_000)).expect("fits");
    eprintln!("seed {seed}, count {count}");
    let mut cluster = Cluster::start_with(
        &[("MB_REDIS__CLAIM_IDLE", "12"), ("MB_REDIS__FORWARD_AGAIN", "3")],
        &["--enable-debug-command", "yes"],
    );
    let load = Arc::new(Load::default());
    let port = cluster.ports.proxy;
    let lanes: Vec<_> = (0..LANES).map(|number| lane(cluster.dir(), port, Arc::clone(&load), number)).collect();
    let watcher = watch(cluster.dir(), port, Arc::clone(&load));
    let mut random = Random(seed);
    let mut strikes = 0;
    let give_up = Instant::now() + Duration::from_secs(60 + count as u64 / 50);
    while load.acked() < count || strikes < 12 {
        assert!(Instant::now() < give_up, "the load stands still at {}: {}", load.acked(), cluster.logs());
        std::thread::sleep(Duration::from_millis(200 + random.below(1200)));
        strike(&mut cluster, &mut random);
        strikes += 1;
    }
    load.stop.store(true, Ordering::Relaxed);
    for lane in lanes {
        lane.join().expect("no panic");
    }
    assert_eq!(watcher.join().expect("no panic"), Vec::<String>::new());
    let acked: HashSet<String> = load.acked.lock().expect("no panic while held").iter().cloned().collect();
    assert_eq!(acked.len(), load.acked(), "no id was given twice");
    settle(&cluster, &acked);
    eprintln!("seed {seed}: {} acked, {strikes} strikes, 0 lost, 0 twice", acked.len());
}

/// Waits until all of them are final, each exactly once.
fn settle(cluster: &Cluster, acked: &HashSet<String>) {
    cluster.wait_ready();
    let give_up = Instant::now() + SETTLE;
    loop {
        let text = cluster.database.sql(
            "SELECT LOWER(INSERT(INSERT(INSERT(INSERT(HEX(message_id), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-')) \
             FROM broker.messages WHERE status = 'delivered'",
        );
        let rows: Vec<&str> = text.lines().collect();
        let stored: HashSet<&str> = rows.iter().copied().collect();
        assert_eq!(stored.len(), rows.len(), "one row per id");
        let lost: Vec<_> = acked.iter().filter(|id| !stored.contains(id.as_str())).collect();
        if lost.is_empty() {
            break;
        }
        assert!(Instant::now() < give_up, "{} lost, such as {:?}: {}", lost.len(), lost.first(), cluster.logs());
        std::thread::sleep(Duration::from_millis(500));
    }
    let mut connection = cluster.demo().expect("connected");
    let sample: Vec<_> = acked.iter().take(1000).cloned().collect();
    let rows = status_of(&mut connection, &sample);
    assert!(rows.iter().all(|row| row["status"] == "delivered"), "the proxy says so too");
    assert_eq!(rows.len(), sample.len());
}
