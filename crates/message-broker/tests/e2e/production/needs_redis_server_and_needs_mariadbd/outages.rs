//! Whatever is down behind a proxy, submits are answered as ever, and the logs say so without filling the disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mb_core::Timestamp;

use super::super::cluster::{Cluster, ROLES};
use super::super::load::patience;
use crate::harness::{accepted_id, message};
use crate::http::Connection;

/// How long each outage lasts.
const OUTAGE: Duration = Duration::from_secs(5);
/// The same cause is told no more often; the clocks of log lines and of the limit are not read at the same moment.
const PERIOD: Duration = Duration::from_millis(950);

/// Ids, and the longest that one of them took.
type Submitted = (Vec<String>, Duration);

/// Submits one after the other until told to stop; every one must be accepted.
fn submit_on(mut connection: Connection, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<Submitted> {
    std::thread::spawn(move || {
        let (mut ids, mut longest) = (Vec::new(), Duration::ZERO);
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let response = connection.post("/api/v1/messages", &message("during an outage")).expect("answered");
            longest = longest.max(begun.elapsed());
            ids.push(accepted_id(&response));
            std::thread::sleep(Duration::from_millis(2));
        }
        (ids, longest)
    })
}

/// What a role said more often than it may. A cause is known by the constant phrase of its lines and by who it hit.
fn too_often(log: &str) -> Vec<String> {
    let mut last: HashMap<[String; 4], Timestamp> = HashMap::new();
    let mut found = Vec::new();
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let at = Timestamp::parse_rfc3339(&text("timestamp")).expect("a time");
        let cause = ["target", "message", "job", "cause"].map(text);
        if let Some(before) = last.insert(cause, at)
            && at.since(before) < PERIOD
        {
            found.push(format!("after {:?}: {line}", at.since(before)));
        }
    }
    found
}

#[test]
fn no_submit_is_refused_or_slow_and_no_cause_fills_the_log() {
    let mut cluster = Cluster::start();
    let stop = Arc::new(AtomicBool::new(false));
    let lanes: Vec<_> = (0..2).map(|_| submit_on(cluster.demo().expect("connected"), Arc::clone(&stop))).collect();
    for (database, redis) in [(true, false), (false, true), (true, true)] {
        if database {
            cluster.database.kill();
        }
        if redis {
            cluster.redis.kill();
        }
        std::thread::sleep(OUTAGE);
        if database {
            cluster.database.restart();
        }
        if redis {
            cluster.redis.restart();
        }
        std::thread::sleep(OUTAGE / 5);
    }
    stop.store(true, Ordering::Relaxed);
    let mut ids = Vec::new();
    for lane in lanes {
        let (accepted, longest) = lane.join().expect("no submit was refused");
        assert!(longest < Duration::from_secs(2), "the slowest took {longest:?}");
        ids.extend(accepted);
    }
    assert!(ids.len() > 500, "the load was real: {}", ids.len());
    let count = ids.len();
    cluster.wait_stored(&ids.into_iter().collect(), patience(count));
    for role in ROLES {
        assert_eq!(too_often(&cluster.log(role)), Vec::<String>::new(), "{role}");
    }
}
