//! What an operator does to single roles: new settings, a look at how they are, a stop behind a load balancer.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::cluster::{Cluster, wait_until};
use super::flow::wait_delivered;
use crate::harness::{accepted_id, message};
use crate::http::Connection;

fn limit(cluster: &Cluster) -> Option<u64> {
    let response = cluster.demo().ok()?.post("/api/v1/messages", &message("what is my limit?")).ok()?;
    response.header("x-ratelimit-limit")?.parse().ok()
}

fn write(cluster: &Cluster, toml: &str) {
    std::fs::write(cluster.dir().join("message-broker.toml"), toml).expect("written");
}

#[test]
fn a_role_alone_takes_up_settings_by_a_signal_and_all_do_by_a_command() {
    let cluster = Cluster::start();
    write(&cluster, "[proxy]\nrate_limit = 30\n[server]\nin_flight = 500\n[log]\nlevel = \"debug\"");
    cluster.signal("proxy", "-HUP");
    wait_until(&cluster, "the proxy has the limit", || limit(&cluster) == Some(30));
    let rows: Vec<Value> =
        serde_json::from_str(&cluster.run_ok(&["config", "reload", "--json"])).expect("a list of what each did");
    let applied = |role: &str| {
        let row = rows.iter().find(|row| row["roles"] == json!([role])).unwrap_or_else(|| panic!("{role}: {rows:?}"));
        row["applied"].clone()
    };
    assert_eq!(applied("proxy"), json!([]), "it has them already");
    assert_eq!(applied("main-server"), json!(["log.level", "server.in_flight"]));
    assert_eq!(applied("worker"), json!(["log.level"]));
    assert_eq!(applied("portal"), json!(["log.level"]));
}

#[test]
fn a_role_that_stops_is_out_of_the_balancer_before_it_refuses() {
    let mut cluster = Cluster::start_with(&[("MB_SHUTDOWN__DRAIN_DELAY", "3")], &[]);
    let mut open = cluster.demo().expect("connected");
    accepted_id(&open.post("/api/v1/messages", &message("before")).expect("answered"));
    cluster.signal("proxy", "-TERM");
    let begun = Instant::now();
    let ready = || {
        let connection = Connection::anonymous(&cluster.dir(), cluster.ports.proxy);
        connection.and_then(|mut connection| connection.get("/health/ready")).map(|response| response.status)
    };
    wait_until(&cluster, "it says that it is not ready", || ready().is_ok_and(|status| status == 503));
    let late = accepted_id(&open.post("/api/v1/messages", &message("meanwhile")).expect("answered"));
    assert!(begun.elapsed() < Duration::from_secs(3), "the balancer still sends some: {:?}", begun.elapsed());
    assert!(cluster.ended("proxy").success(), "{}", cluster.logs());
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    cluster.start_role("proxy");
    cluster.wait_ready();
    wait_delivered(&cluster, &[late]);
}

/// The findings by check, and whether the command says that all is well.
fn doctor(cluster: &Cluster) -> (bool, Vec<Value>) {
    let output = cluster.run(&["doctor", "--json"]);
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).expect("a list of findings");
    for finding in &findings {
        let said = |member: &str| finding[member].as_str().is_some_and(|text| !text.is_empty());
        assert!(said("check") && said("detail"), "{finding}");
        let is_well = finding["status"] == "ok";
        assert!(is_well || (["warn", "fail"].iter().any(|bad| finding["status"] == *bad) && said("fix")), "{finding}");
    }
    (output.status.success(), findings)
}

fn status<'a>(findings: &'a [Value], check: &str) -> &'a str {
    let finding = findings.iter().find(|finding| finding["check"] == check);
    finding.and_then(|finding| finding["status"].as_str()).unwrap_or_else(|| panic!("{check}: {findings:#?}"))
}

#[test]
fn the_doctor_tells_what_would_lose_messages() {
    let cluster = Cluster::start();
    let (is_well, findings) = doctor(&cluster);
    assert_eq!((status(&findings, "redis"), status(&findings, "redis eviction")), ("ok", "ok"));
    assert_eq!(status(&findings, "main server"), "ok");
    let failing = findings.iter().any(|finding| finding["status"] == "fail");
    assert_eq!(is_well, !failing, "{findings:#?}");

    cluster.redis.redis_cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let (is_well, findings) = doctor(&cluster);
    assert_eq!((is_well, status(&findings, "redis eviction")), (false, "fail"));
    cluster.redis.redis_cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    cluster.redis.redis_cli(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(status(&doctor(&cluster).1, "redis"), "fail");
    cluster.redis.redis_cli(&["REPLICAOF", "NO", "ONE"]);
}
