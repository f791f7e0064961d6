//! Generated messages are like any other.

use crate::harness::Broker;

#[test]
fn a_generated_message_is_listed_searched_and_opened() {
    let mut broker = Broker::start();
    broker.kill();
    let refused = broker.run(&["generate", "--count", "10"]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--yes"));
    let report = broker.run_ok(&["generate", "--count", "2500", "--clients", "5", "--yes", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["messages"], 2500);
    broker.restart();
    let rows = broker.run_ok(&["admin", "messages", "list", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&rows).expect("JSON");
    let id = rows["data"][0]["message_id"].as_str().expect("an id");
    let shown = broker.run_ok(&["admin", "messages", "show", id, "--decrypt", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert!(shown["message_body"].as_str().is_some_and(|body| body.contains(' ')), "{shown}");
    assert!(shown["client_id"].as_str().is_some_and(|client| client.starts_with("generated-")), "{shown}");
}
