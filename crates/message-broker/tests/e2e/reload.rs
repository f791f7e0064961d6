//! Settings that change while the system runs.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Broker, PATIENCE, message};

fn write(broker: &Broker, toml: &str) {
    std::fs::write(broker.dir().join("message-broker.toml"), toml).expect("written");
}

/// The limit that a client is told.
fn limit(broker: &Broker) -> Option<u64> {
    let response = broker.demo().post("/api/v1/messages", &message("x")).expect("answered");
    response.header("x-ratelimit-limit").map(|limit| limit.parse().expect("a number"))
}

fn reload(broker: &Broker) -> (bool, Value) {
    let output = broker.run(&["config", "reload", "--json"]);
    let rows: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    (output.status.success(), rows[0].clone())
}

#[test]
fn limits_and_the_log_level_are_taken_up_and_the_rest_is_named() {
    let broker = Broker::start();
    assert_eq!(limit(&broker), None);
    write(&broker, "[proxy]\nrate_limit = 30\npolicy_max_age = 7200\n[log]\nlevel = \"debug\"");
    let (succeeded, row) = reload(&broker);
    assert!(succeeded, "{row}");
    assert_eq!(row["roles"], serde_json::json!(["main-server", "proxy", "worker", "portal"]));
    assert_eq!(row["applied"], serde_json::json!(["log.level", "proxy.rate_limit"]));
    assert_eq!(row["needs_restart"], serde_json::json!(["proxy.policy_max_age"]));
    assert_eq!(limit(&broker), Some(30));

    write(&broker, "[proxy]\nrate_limit = 40");
    let hangup = Command::new("kill").args(["-HUP", &broker.pid().to_string()]).status();
    assert!(hangup.expect("kill runs").success());
    let give_up = Instant::now() + PATIENCE;
    while limit(&broker) != Some(40) {
        assert!(Instant::now() < give_up, "SIGHUP does the same: {}", broker.stderr());
        std::thread::sleep(Duration::from_millis(20));
    }

    write(&broker, "[proxy]\nrate_limit = 50\nprot = 1");
    let (succeeded, row) = reload(&broker);
    assert!(!succeeded && row["error"].as_str().is_some_and(|error| error.contains("proxy.port")), "{row}");
    assert_eq!(limit(&broker), Some(40), "the last good settings stay");
    assert!(broker.stderr().contains("the last good settings stay"), "{}", broker.stderr());
}

#[test]
fn where_nothing_runs_nothing_is_reloaded() {
    let mut broker = Broker::start();
    broker.kill();
    let output = broker.run(&["config", "reload"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing runs"), "{output:?}");
}
