//! Limits per client over real connections, and changes of what a client may do while it is connected.

use serde_json::json;

use crate::harness::{Broker, accepted_id, message, submit};
use crate::http::Response;

fn told(response: &Response) -> [Option<u64>; 3] {
    let number = |name| response.header(name).map(|value| value.parse().expect("a number"));
    [number("x-ratelimit-limit"), number("x-ratelimit-remaining"), number("x-ratelimit-reset")]
}

#[test]
fn a_client_over_its_limit_is_refused_until_an_admin_lifts_it() {
    let broker = Broker::start_with(&[("MB_PROXY__RATE_LIMIT", "3")]);
    let mut demo = broker.demo();
    for left in [2, 1, 0] {
        let response = demo.post("/api/v1/messages", &message("x")).expect("answered");
        accepted_id(&response);
        let [limit, remaining, reset] = told(&response);
        assert_eq!((limit, remaining), (Some(3), Some(left)));
        assert!(reset.is_some_and(|reset| (1..=60).contains(&reset)), "{reset:?}");
    }
    let refused = demo.post("/api/v1/messages", &message("x")).expect("answered");
    refused.assert_problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), refused.header("x-ratelimit-reset"));
    let batch = json!({ "messages": [{ "sender_number": "+4915112345678", "message_body": "x" }] }).to_string();
    let answer = demo.post("/api/v1/messages/batch", &batch).expect("answered");
    assert_eq!((answer.status, &answer.json()["results"][0]["code"]), (202, &"rate_limited".into()));
    // Reading costs nothing, and another client has tokens of its own.
    assert_eq!(told(&demo.get("/api/v1/health").expect("answered")), [None; 3]);
    broker.run_ok(&["ca", "issue", "other"]);
    submit(&mut broker.client("other"), "x");
    broker.run_ok(&["admin", "clients", "rate-limit", "demo", "5"]);
    let response = demo.post("/api/v1/messages", &message("x")).expect("answered");
    accepted_id(&response);
    assert_eq!(told(&response)[..2], [Some(5), Some(1)]);
    broker.run_ok(&["admin", "clients", "rate-limit", "demo", "0"]);
    let response = demo.post("/api/v1/messages", &message("x")).expect("answered");
    accepted_id(&response);
    assert_eq!(told(&response), [None; 3]);
    broker.run_ok(&["admin", "clients", "rate-limit", "demo", "default"]);
    demo.post("/api/v1/messages", &message("x")).expect("answered");
    assert_eq!(told(&demo.post("/api/v1/messages", &message("x")).expect("answered"))[0], Some(3));
}

#[test]
fn a_suspended_client_is_refused_on_the_next_request_of_an_open_connection() {
    let broker = Broker::start();
    let mut demo = broker.demo();
    submit(&mut demo, "still welcome");
    broker.run_ok(&["admin", "clients", "suspend", "demo"]);
    // The connection may be closed already.
    if let Ok(answer) = demo.post("/api/v1/messages", &message("x")) {
        answer.assert_problem(403, "client_suspended");
    }
    let refused = || broker.demo().post("/api/v1/messages", &message("x")).expect("answered");
    refused().assert_problem(403, "client_suspended");
    broker.run_ok(&["admin", "clients", "archive", "demo"]);
    refused().assert_problem(403, "client_suspended");
    let listed = broker.run_ok(&["admin", "clients", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed, serde_json::json!({ "data": [], "next": null }));
    broker.run_ok(&["admin", "clients", "resume", "demo"]);
    submit(&mut broker.demo(), "welcome again");
}

#[test]
fn a_domains_rules_hold_from_the_next_message_on() {
    let broker = Broker::start();
    broker.run_ok(&["ca", "issue", "till-1", "shop"]);
    let mut till = broker.client("till-1");
    let nameless = json!({ "message_body": "longer than five" }).to_string();
    till.post("/api/v1/messages", &nameless).expect("answered").assert_problem(422, "validation_failed");
    broker.run_ok(&["admin", "domains", "set", "shop", "--sender-number", "optional", "--rate-limit", "100"]);
    let response = till.post("/api/v1/messages", &nameless).expect("answered");
    accepted_id(&response);
    assert_eq!(told(&response)[0], Some(100));
    broker.run_ok(&["admin", "domains", "set", "shop", "--body-limit", "5"]);
    till.post("/api/v1/messages", &nameless).expect("answered").assert_problem(422, "validation_failed");
    let short = json!({ "message_body": "short" }).to_string();
    accepted_id(&till.post("/api/v1/messages", &short).expect("answered"));
    // Another tenant's are as they were.
    submit(&mut broker.demo(), "longer than five");
}
