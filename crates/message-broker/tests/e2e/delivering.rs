//! Deliveries through the whole binary: to a webhook that this test is, and to a consumer.

mod consuming;
mod expunging;
mod failing;
mod managing;
mod names;
mod withdrawing;

use std::time::{Duration, Instant};

use crate::harness::{Broker, PATIENCE, accepted_id};
use crate::receiver::Receiver;

const ALLOWED: [(&str, &str); 1] = [("MB_DELIVERY__ALLOW_CIDRS", "127.0.0.0/8")];

/// What a command printed as JSON.
pub(crate) fn json_of(broker: &Broker, args: &[&str]) -> serde_json::Value {
    serde_json::from_str(&broker.run_ok(args)).expect("JSON")
}

/// Waits until something is so.
pub(crate) fn eventually(broker: &Broker, what: &str, mut is_so: impl FnMut() -> bool) {
    let give_up = Instant::now() + 3 * PATIENCE;
    while !is_so() {
        assert!(Instant::now() < give_up, "{what} did not happen: {}", broker.stderr());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn submit(broker: &Broker, topic: &str, count: usize) -> Vec<String> {
    let mut connection = broker.demo();
    let body = |n: usize| {
        serde_json::json!({ "sender_number": "+4915112345678", "message_body": format!("m{n}"), "topic": topic })
            .to_string()
    };
    (0..count).map(|n| accepted_id(&connection.post("/api/v1/messages", &body(n)).expect("answered"))).collect()
}

#[test]
fn a_matching_message_reaches_its_webhook_and_others_are_stored() {
    let broker = Broker::start_with(&ALLOWED);
    let receiver = Receiver::start(Duration::ZERO);
    let create = ["admin", "destinations", "create", "hook", "--url", &receiver.url, "--topics", "a.**", "--json"];
    let created = json_of(&broker, &create);
    assert!(created["secret"].as_str().expect("a secret").starts_with("whsec_"));
    broker.run_ok(&["admin", "destinations", "test", "hook"]);
    let (sent, stored) = (submit(&broker, "a.b", 20), submit(&broker, "b", 5));
    broker.wait_delivered(&sent);
    broker.wait_delivered(&stored);
    assert_eq!(receiver.ids(), sent.iter().cloned().collect());
    let shown = json_of(&broker, &["admin", "messages", "show", &sent[0], "--json"]);
    assert_eq!(
        (&shown["attempts"][0]["class"], &shown["deliveries"][0]["state"]),
        (&"taken".into(), &"delivered".into())
    );
    assert_eq!(shown["attempt_count"], 1);
}

#[test]
fn a_process_that_dies_between_sending_and_reporting_sends_again_under_the_same_id() {
    let mut broker = Broker::start_with(&ALLOWED);
    let receiver = Receiver::start(Duration::from_millis(300));
    broker.run_ok(&["admin", "destinations", "create", "hook", "--url", &receiver.url]);
    let sent = submit(&broker, "a", 30);
    eventually(&broker, "something is sent", || !receiver.ids().is_empty());
    broker.crash_and_restart();
    // What was leased is due again when its lease ends, a minute later.
    eventually(&broker, "everything is sent", || receiver.ids().len() >= sent.len());
    broker.wait_delivered(&sent);
    assert_eq!(receiver.ids(), sent.iter().cloned().collect(), "nothing lost, nothing else");
    receiver.assert_repeats_are_the_same();
}
