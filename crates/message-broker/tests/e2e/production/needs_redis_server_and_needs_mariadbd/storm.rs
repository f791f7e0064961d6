//! Many wait while the main server is away: what is ahead of confirmation stays within the windows, and nothing is
//! registered again and again.
//!
//! `MB_TEST_STORM_COUNT`, `MB_TEST_STORM_WINDOW` and `MB_TEST_STORM_SECONDS` make it larger; `cargo xtask storm` sets them.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use mb_core::handover::Batch;

use super::super::cluster::{Cluster, wait_until};
use super::super::load::{patience, setting, submit_many};
use crate::http::Connection;

const PROXIES: u64 = 2;
/// Between two looks at the queue.
const LOOK: Duration = Duration::from_millis(250);

#[derive(Default, Debug)]
struct Most {
    entries: u64,
    envelopes: u64,
}

impl Most {
    /// Looks at the queue now.
    fn look(&mut self, cluster: &Cluster) {
        let entries = cluster.queue().entries();
        let count = |(_, unit): &(String, Vec<u8>)| Batch::parse(unit).map_or(0, |unit| unit.envelopes.len() as u64);
        self.entries = self.entries.max(entries.len() as u64);
        self.envelopes = self.envelopes.max(entries.iter().map(count).sum());
    }
}

fn registrations(cluster: &Cluster) -> u64 {
    let of = |result: &str| {
        cluster.metric(cluster.ports.server, &format!("mb_server_register_results_total{{result=\"{result}\"}}"))
    };
    ["stored", "duplicate", "quarantined", "refused"].into_iter().map(of).sum()
}

#[test]
fn what_waits_for_the_main_server_stays_within_the_windows_and_is_registered_once() {
    let count = setting("MB_TEST_STORM_COUNT").unwrap_or(30_000);
    let window = setting("MB_TEST_STORM_WINDOW").unwrap_or(5_000);
    let away = Duration::from_secs(setting("MB_TEST_STORM_SECONDS").unwrap_or(15));
    let setting = window.to_string();
    let times = [("MB_REDIS__CLAIM_IDLE", "11"), ("MB_REDIS__FORWARD_AGAIN", "3")];
    let settings = [("MB_JOURNAL__WINDOW", setting.as_str()), times[0], times[1]];
    let mut cluster = Cluster::start_with(&settings, &[]);
    let other = cluster.add("proxy-2", "proxy");
    let mut most = Most::default();
    cluster.kill_role("main-server");
    let begun = Instant::now();
    let mut ids = HashSet::new();
    let mut lanes =
        [cluster.ports.proxy, other].map(|port| Connection::client(&cluster.dir(), port, "demo").expect("connected"));
    let pieces = usize::try_from(count / PROXIES / 1000).expect("fits").max(1);
    for piece in 0..pieces {
        for lane in &mut lanes {
            ids.extend(submit_many(lane, &format!("storm {piece}"), 1000));
        }
        if piece.is_multiple_of(10) {
            most.look(&cluster);
        }
    }
    while begun.elapsed() < away {
        most.look(&cluster);
        std::thread::sleep(LOOK);
    }
    assert!(most.envelopes > window, "both windows were used: {most:?}");

    cluster.start_role("main-server");
    let depth = |port| cluster.metric(port, "mb_journal_depth");
    let give_up = Instant::now() + patience(ids.len());
    while depth(cluster.ports.proxy) + depth(other) > 0 {
        assert!(Instant::now() < give_up, "not drained: {}", cluster.logs());
        most.look(&cluster);
        std::thread::sleep(LOOK);
    }
    cluster.wait_stored(&ids, patience(0));
    wait_until(&cluster, "an empty queue", || cluster.queue().length() == 0);
    assert!(most.envelopes <= PROXIES * window, "{most:?} in the queue, windows of {window}");
    let (registrations, messages) = (registrations(&cluster), ids.len() as u64);
    assert!(registrations * 100 <= messages * 105, "{registrations} registrations of {messages} messages");
    let seconds = begun.elapsed().as_secs();
    eprintln!("{messages} messages, {registrations} registrations, at most {most:?} in the queue, {seconds} s");
}
