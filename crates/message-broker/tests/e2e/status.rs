//! Status: single and bulk, at every moment of a message's life.

use crate::harness::{Broker, message, status_of, submit};

#[test]
fn a_just_accepted_id_is_never_unknown() {
    let broker = Broker::start();
    let mut demo = broker.demo();
    for round in 0..300 {
        let id = submit(&mut demo, &format!("{round}"));
        let response = demo.get(&format!("/api/v1/messages/{id}")).expect("answered");
        assert_eq!(response.status, 200, "round {round}: {}", response.text());
        let state = response.json()["status"].as_str().map(str::to_owned);
        assert!(matches!(state.as_deref(), Some("queued" | "delivered")), "{state:?}");
    }
}

#[test]
fn unknown_ids_are_told_apart_from_those_still_on_their_way() {
    let broker = Broker::start();
    let mut demo = broker.demo();
    submit(&mut demo, "x");
    for unknown in ["nonsense", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "01890000-0000-7000-8000-000000000000"] {
        demo.get(&format!("/api/v1/messages/{unknown}")).expect("answered").assert_problem(404, "not_found");
    }
    let elsewhere = "abababab-abab-8bab-abab-abababababab";
    let response = demo.get(&format!("/api/v1/messages/{elsewhere}")).expect("answered");
    response.assert_problem(503, "status_unavailable");
    assert_eq!(response.header("retry-after"), Some("1"));
}

#[test]
fn bulk_status_leaves_unknown_ids_out() {
    let broker = Broker::start();
    let mut demo = broker.demo();
    let known = submit(&mut demo, "x");
    let ids = vec![known.clone(), "nonsense".to_owned(), "6ba7b810-9dad-11d1-80b4-00c04fd430c8".to_owned()];
    let rows = status_of(&mut demo, &ids);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["message_id"], known.as_str());
    assert_eq!(rows[0]["attempt_count"], 0);
    demo.post("/api/v1/messages/status", &message("x")).expect("answered").assert_problem(422, "validation_failed");
}
