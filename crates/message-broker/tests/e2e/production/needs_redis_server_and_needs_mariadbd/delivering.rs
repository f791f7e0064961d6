//! Workers that share a destination, die between sending and reporting, and freeze in mid-batch: at least once, under the
//! same id, and nothing lost.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::cluster::{Cluster, wait_until};
use super::flow::wait_delivered;
use crate::harness::{PATIENCE, submit};
use crate::receiver::Receiver;

fn cluster() -> Cluster {
    Cluster::start_with(&[("MB_DELIVERY__ALLOW_CIDRS", "127.0.0.0/8")], &[])
}

fn submit_many(cluster: &Cluster, count: usize) -> Vec<String> {
    let mut connection = cluster.demo().expect("connected");
    (0..count).map(|n| submit(&mut connection, &format!("text {n}"))).collect()
}

fn create(cluster: &Cluster, receiver: &Receiver) {
    cluster.run_ok(&["admin", "destinations", "create", "hook", "--url", &receiver.url, "--concurrency", "4"]);
}

/// The same as an id's text.
fn set(ids: &[String]) -> BTreeSet<String> {
    ids.iter().cloned().collect()
}

#[test]
fn a_worker_that_is_killed_between_sending_and_reporting_sends_again_under_the_same_id() {
    let mut cluster = cluster();
    let receiver = Receiver::start(Duration::from_millis(300));
    create(&cluster, &receiver);
    let sent = submit_many(&cluster, 40);
    wait_until(&cluster, "something is sent", || !receiver.ids().is_empty());
    cluster.kill_role("worker");
    let before = receiver.ids();
    assert!(before.len() < sent.len(), "it died in the middle");
    let claims = cluster.database.sql("SELECT COUNT(*) FROM broker.deliveries WHERE lease_id IS NOT NULL");
    assert_ne!(claims.trim(), "0", "what it held is still its own");
    cluster.start_role("worker");
    // Leases end a minute after they were last prolonged.
    for _ in 0..2 {
        if receiver.ids().len() < sent.len() {
            std::thread::sleep(PATIENCE / 2);
        }
    }
    wait_until(&cluster, "everything is sent", || receiver.ids().len() >= sent.len());
    wait_delivered(&cluster, &sent);
    assert_eq!(receiver.ids(), set(&sent));
    assert!(before.iter().any(|id| receiver.of(id).len() > 1), "what was not reported was sent again");
    receiver.assert_repeats_are_the_same();
}

#[test]
fn two_workers_share_a_destination_and_each_message_is_one_workers() {
    let mut cluster = cluster();
    cluster.add("worker-2", "worker");
    let receiver = Receiver::start(Duration::from_millis(100));
    create(&cluster, &receiver);
    let sent = submit_many(&cluster, 300);
    wait_delivered(&cluster, &sent);
    let workers = cluster.database.sql("SELECT COUNT(DISTINCT worker) FROM broker.attempts");
    assert_eq!(workers.trim(), "2");
    assert_eq!(receiver.ids(), set(&sent));
    assert!(sent.iter().all(|id| receiver.of(id).len() == 1), "none was sent twice");
}

#[test]
fn what_a_frozen_worker_holds_another_delivers_and_its_late_report_changes_nothing() {
    let mut cluster = cluster();
    let receiver = Receiver::start(Duration::from_millis(200));
    create(&cluster, &receiver);
    let mut sent = submit_many(&cluster, 40);
    wait_until(&cluster, "something is sent", || receiver.ids().len() >= 4);
    cluster.signal("worker", "-STOP");
    cluster.add("worker-2", "worker");
    sent.extend(submit_many(&cluster, 20));
    // What is new goes at once, what the frozen one holds when its leases end.
    for _ in 0..2 {
        if receiver.ids().len() < sent.len() {
            std::thread::sleep(PATIENCE / 2);
        }
    }
    wait_until(&cluster, "everything is sent", || receiver.ids().len() >= sent.len());
    wait_delivered(&cluster, &sent);
    let attempts = || cluster.database.sql("SELECT COUNT(*) FROM broker.attempts").trim().parse::<u64>().unwrap_or(0);
    let (before, came) = (attempts(), receiver.count());
    cluster.signal("worker", "-CONT");
    wait_until(&cluster, "what it made is on record", || attempts() > before);
    wait_delivered(&cluster, &sent);
    assert_eq!(cluster.stored(), (60, 60));
    // What a runner was about to send as it froze goes; the many that waited behind it do not.
    assert!(receiver.count() <= came + 4, "{} after {came}", receiver.count());
    assert_eq!(receiver.ids(), set(&sent));
    receiver.assert_repeats_are_the_same();
}
