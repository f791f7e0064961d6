//! Everything is killed in random order under load: what was answered with 202 is in the store once, and states only go
//! forward.
//!
//! `MB_TEST_TORTURE_COUNT` and `MB_TEST_TORTURE_SEED` make it longer or repeat it; `cargo xtask torture` sets them.

mod blows;
mod lanes;
mod random;
mod watch;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blows::Striker;
use lanes::Load;
use random::Random;

use super::super::cluster::Cluster;
use super::super::load::{patience, setting};
use crate::harness::status_of;

/// Lanes that submit, in turn to one proxy and to the other.
const LANES: usize = 4;
/// Between two blows, about.
const PAUSE: Duration = Duration::from_secs(1);

#[test]
fn whatever_is_killed_nothing_acked_is_lost_or_stored_twice() {
    let seed = setting("MB_TEST_TORTURE_SEED").unwrap_or(20_261_125);
    let count = usize::try_from(setting("MB_TEST_TORTURE_COUNT").unwrap_or(10_000)).expect("fits");
    eprintln!("seed {seed}, count {count}");
    let claim_idle = blows::CLAIM_IDLE.as_secs().to_string();
    let settings = [
        ("MB_REDIS__CLAIM_IDLE", claim_idle.as_str()),
        ("MB_REDIS__FORWARD_AGAIN", "3"),
        ("MB_REDIS__ALLOW_EVICTION", "true"),
    ];
    let mut cluster = Cluster::start_with(&settings, &["--enable-debug-command", "yes"]);
    let ports = [cluster.ports.proxy, cluster.add("proxy-2", "proxy")];
    cluster.add("worker-2", "worker");

    let load = Arc::new(Load::new(count));
    let start = |number: usize| lanes::start(cluster.dir(), ports[number % 2], Arc::clone(&load), number);
    let lanes: Vec<_> = (0..LANES).map(start).collect();
    let watcher = watch::start(cluster.dir(), ports, Arc::clone(&load));
    let mut random = Random(seed);
    let mut striker = Striker::default();
    let begun = Instant::now();
    let give_up = begun + Duration::from_secs(90 + count as u64 / 50);
    let mut strike = |cluster: &mut Cluster, pause: Duration| {
        assert!(Instant::now() < give_up, "it stands still at {}: {}", load.acked(), cluster.logs());
        std::thread::sleep(pause / 5 + pause * u32::try_from(random.below(1000)).expect("small") / 1000);
        striker.strike(cluster, &mut random);
        striker.has_done_all()
    };
    while !strike(&mut cluster, PAUSE) || load.acked() < count {}
    load.stop();
    for lane in lanes {
        lane.join().expect("no panic");
    }
    eprintln!("{} acked, {} of them registered", load.acked(), cluster.registered());
    // What waits is not left in peace either, but for the last of it.
    while cluster.registered() < load.acked() as u64 * 9 / 10 {
        strike(&mut cluster, PAUSE * 10);
    }
    striker.end(&mut cluster);
    let acked: HashSet<String> = load.ids().into_iter().collect();
    assert_eq!(acked.len(), load.acked(), "no id was given twice");
    cluster.wait_ready();
    cluster.wait_stored(&acked, patience(count));
    load.settled();
    assert_eq!(watcher.join().expect("no panic"), Vec::<String>::new(), "states only go forward");
    the_proxy_says_so_too(&cluster, &acked);
    let seconds = begun.elapsed().as_secs();
    eprintln!("seed {seed}: {} acked, {striker}, 0 lost, 0 twice, {seconds} s", acked.len());
}

fn the_proxy_says_so_too(cluster: &Cluster, acked: &HashSet<String>) {
    let mut connection = cluster.demo().expect("connected");
    let sample: Vec<_> = acked.iter().take(1000).cloned().collect();
    let rows = status_of(&mut connection, &sample);
    assert!(rows.iter().all(|row| row["status"] == "delivered"));
    assert_eq!(rows.len(), sample.len());
}
