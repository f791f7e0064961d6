//! `smoke-test`, on a system that is well and on one that is not.

use serde_json::Value;

use crate::harness::Broker;

fn findings(broker: &Broker) -> (Option<i32>, Vec<Value>) {
    let output = broker.run(&["smoke-test", "--json"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let found =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), found)
}

fn status<'a>(found: &'a [Value], check: &str) -> &'a str {
    let finding = found.iter().find(|finding| finding["check"] == check);
    finding.and_then(|finding| finding["status"].as_str()).unwrap_or("missing")
}

#[test]
fn a_system_that_is_well_passes_and_one_that_is_stopped_says_what_is_missing() {
    let mut broker = Broker::start_with(&[("MB_BACKUP__PASSPHRASE", "what seals a backup")]);
    let (code, found) = findings(&broker);
    assert_eq!(code, Some(0), "{found:#?}");
    for check in [
        "main-server",
        "proxy",
        "worker",
        "portal",
        "metrics main-server",
        "metrics proxy",
        "metrics worker",
        "metrics portal",
        "login page",
        "submit",
        "retrieve",
        "delivery",
        "certificates",
        "logs",
    ] {
        assert_eq!(status(&found, check), "ok", "{check}: {found:#?}");
    }
    assert_eq!(status(&found, "backup"), "warn", "none was made yet");
    broker.run_ok(&["backup", "create"]);
    let people = broker.run(&["smoke-test"]);
    let text = String::from_utf8_lossy(&people.stdout);
    assert!(text.lines().all(|line| line.starts_with("ok  ")), "all is well now: {text}");
    broker.terminate();
    let (code, found) = findings(&broker);
    assert_eq!(code, Some(1));
    for check in ["main-server", "proxy", "worker", "portal", "submit"] {
        assert_eq!(status(&found, check), "fail", "{check}: {found:#?}");
    }
}
