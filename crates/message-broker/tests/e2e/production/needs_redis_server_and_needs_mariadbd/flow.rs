//! The guide's deployment as a client sees it.

use std::time::{Duration, Instant};

use super::super::cluster::{Cluster, ROLES};
use crate::harness::{PATIENCE, accepted_id, message, status_of, submit};

pub(super) fn wait_delivered(cluster: &Cluster, ids: &[String]) {
    let mut connection = cluster.demo().expect("connected");
    let give_up = Instant::now() + PATIENCE;
    while !status_of(&mut connection, ids).iter().all(|row| row["status"] == "delivered") {
        assert!(Instant::now() < give_up, "not delivered: {}", cluster.logs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_message_goes_through_four_processes_and_is_read_back() {
    let cluster = Cluster::start();
    let mut connection = cluster.demo().expect("connected");
    let ids: Vec<_> = (0..20).map(|n| submit(&mut connection, &format!("text {n} \u{1f600}"))).collect();
    wait_delivered(&cluster, &ids);
    assert_eq!(cluster.stored(), (20, 20));
    let shown = cluster.run_ok(&["admin", "messages", "show", &ids[3], "--decrypt", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["message_body"], "text 3 \u{1f600}");
}

#[test]
fn the_proxy_accepts_with_everything_else_down_and_drains_by_itself() {
    let mut cluster = Cluster::start();
    let mut ids = vec![submit(&mut cluster.demo().expect("connected"), "before")];
    cluster.kill_role("worker");
    cluster.kill_role("main-server");
    cluster.redis.kill();
    cluster.database.kill();
    cluster.kill_role("proxy");
    cluster.start_role("proxy");
    cluster.wait_ready();
    let mut connection = cluster.demo().expect("connected");
    for n in 0..200 {
        let begun = Instant::now();
        let response = connection.post("/api/v1/messages", &message(&format!("text {n}"))).expect("answered");
        ids.push(accepted_id(&response));
        assert!(begun.elapsed() < Duration::from_secs(2), "no submit waits for what is away");
    }
    cluster.redis.restart();
    cluster.database.restart();
    cluster.start_role("worker");
    cluster.start_role("main-server");
    wait_delivered(&cluster, &ids);
    assert_eq!(cluster.stored().0, 201);
}

#[test]
fn roles_start_in_any_order() {
    let mut cluster = Cluster::start();
    for role in ROLES {
        cluster.kill_role(role);
    }
    for role in ["worker", "portal", "proxy", "main-server"] {
        cluster.start_role(role);
        std::thread::sleep(Duration::from_millis(300));
    }
    cluster.wait_ready();
    let id = submit(&mut cluster.demo().expect("connected"), "in any order");
    wait_delivered(&cluster, &[id]);
}
