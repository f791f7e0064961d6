//! What clients may submit, and what they are told.

use serde_json::json;

use crate::harness::{Broker, accepted_id, message, status_of, submit};

#[test]
fn a_message_is_accepted_stored_and_its_state_read_back() {
    let broker = Broker::start();
    let mut demo = broker.demo();
    let response = demo.post("/api/v1/messages", &message("hello \u{1f600}")).expect("answered");
    assert_eq!(response.status, 202, "{}", response.text());
    let answer = response.json();
    let mut keys: Vec<_> = answer.as_object().expect("an object").keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["client_id", "message_id", "position", "queued_at", "status"]);
    assert_eq!((answer["status"].as_str(), answer["client_id"].as_str()), (Some("queued"), Some("demo")));
    assert!(answer["queued_at"].as_str().expect("a time").ends_with('Z'));

    let id = answer["message_id"].as_str().expect("an id").to_owned();
    broker.wait_delivered(std::slice::from_ref(&id));
    let status = demo.get(&format!("/api/v1/messages/{id}")).expect("answered").json();
    assert_eq!(status["status"], "delivered");
    assert_eq!(status["topic"], "default");
    assert_eq!(status["queued_at"], answer["queued_at"]);
    assert!(status["delivered_at"].as_str() >= status["queued_at"].as_str());
}

#[test]
fn a_json_batch_answers_each_item_in_order() {
    let broker = Broker::start();
    let mut demo = broker.demo();
    let good = json!({ "sender_number": "+4915112345678", "message_body": "one", "topic": "orders.eu" });
    let bad = json!({ "sender_number": "12", "message_body": " " });
    let body = json!({ "messages": [good, bad, good] }).to_string();
    let response = demo.post("/api/v1/messages/batch", &body).expect("answered");
    assert_eq!(response.status, 202, "{}", response.text());
    let results = response.json()["results"].as_array().expect("a list").clone();
    assert_eq!(results.len(), 3);
    assert_eq!(results[1]["code"], "validation_failed");
    let pointers: Vec<_> =
        results[1]["errors"].as_array().expect("errors").iter().map(|e| e["pointer"].as_str()).collect();
    assert_eq!(pointers, [Some("/sender_number"), Some("/message_body")]);
    let ids: Vec<_> = [0, 2].iter().map(|at| results[*at]["message_id"].as_str().expect("an id").to_owned()).collect();
    assert!(ids[0] < ids[1], "ids sort by acceptance");
    broker.wait_delivered(&ids);
    assert_eq!(status_of(&mut demo, &ids)[0]["topic"], "orders.eu");
}

#[test]
fn ndjson_skips_blank_lines_and_survives_bad_ones() {
    let broker = Broker::start();
    let mut demo = broker.demo();
    let lines = format!("{}\n\n  \nnot json\r\n{}", message("first"), message("last, without a line end"));
    let headers = [("content-type", "application/x-ndjson")];
    let response = demo.post_with("/api/v1/messages/batch", &headers, lines.as_bytes()).expect("answered");
    assert_eq!(response.status, 202, "{}", response.text());
    let results = response.json()["results"].as_array().expect("a list").clone();
    assert_eq!(results.len(), 3, "{results:?}");
    assert_eq!(results[1]["code"], "malformed_json");
    let ids: Vec<_> = [0, 2].iter().map(|at| results[*at]["message_id"].as_str().expect("an id").to_owned()).collect();
    broker.wait_delivered(&ids);
}

#[test]
fn ndjson_stops_reading_after_ten_thousand_lines() {
    let broker = Broker::start();
    let lines = format!("{}\n", message("x")).repeat(10_001);
    let headers = [("content-type", "application/x-ndjson")];
    let response = broker.demo().post_with("/api/v1/messages/batch", &headers, lines.as_bytes()).expect("answered");
    assert_eq!(response.status, 202);
    let results = response.json()["results"].as_array().expect("a list").clone();
    assert_eq!(results.len(), 10_001);
    assert_eq!(results[10_000]["code"], "too_many_items");
    let ids: Vec<_> =
        results[..10_000].iter().map(|item| item["message_id"].as_str().expect("an id").to_owned()).collect();
    broker.wait_delivered(&ids);
}

#[test]
fn an_idempotency_key_makes_repeats_the_same_message() {
    let mut broker = Broker::start();
    let mut demo = broker.demo();
    let headers = [("content-type", "application/json"), ("idempotency-key", "order-1")];
    let first = demo.post_with("/api/v1/messages", &headers, message("pay").as_bytes()).expect("answered");
    let id = accepted_id(&first);
    assert_eq!(first.header("idempotency-replayed"), None);
    for round in 0..3 {
        let repeat = demo.post_with("/api/v1/messages", &headers, message("pay").as_bytes()).expect("answered");
        assert_eq!(accepted_id(&repeat), id);
        assert_eq!(repeat.header("idempotency-replayed"), Some("true"));
        assert_eq!(repeat.json()["queued_at"], first.json()["queued_at"]);
        let other = demo.post_with("/api/v1/messages", &headers, message("pay twice").as_bytes()).expect("answered");
        other.assert_problem(422, "idempotency_conflict");
        if round == 0 {
            broker.wait_delivered(std::slice::from_ref(&id));
        }
        if round == 1 {
            broker.crash_and_restart();
            demo = broker.demo();
        }
    }
    let batch = json!({ "messages": [
        { "sender_number": "+4915112345678", "message_body": "a" },
        { "sender_number": "+4915112345678", "message_body": "b" },
    ] });
    let headers = [("content-type", "application/json"), ("idempotency-key", "batch-1")];
    let ids = |response: &crate::http::Response| {
        response.json()["results"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|item| item["message_id"].to_string())
            .collect::<Vec<_>>()
    };
    let body = batch.to_string();
    let one = demo.post_with("/api/v1/messages/batch", &headers, body.as_bytes()).expect("answered");
    let two = demo.post_with("/api/v1/messages/batch", &headers, body.as_bytes()).expect("answered");
    assert_eq!(ids(&one), ids(&two));
    assert_ne!(ids(&one)[0], ids(&one)[1]);
}

#[test]
fn an_idempotency_key_is_bound_to_the_time_of_delivery() {
    let broker = Broker::start();
    let mut demo = broker.demo();
    let headers = [("content-type", "application/json"), ("idempotency-key", "later")];
    let mut send = |deliver_at: Option<&str>| {
        let body = json!({ "sender_number": "+4915112345678", "message_body": "x", "deliver_at": deliver_at });
        demo.post_with("/api/v1/messages", &headers, body.to_string().as_bytes()).expect("answered")
    };
    // Times that have passed are delivered at once, but remain what was asked for.
    let first = accepted_id(&send(Some("2026-01-01T00:00:00Z")));
    assert_eq!(accepted_id(&send(Some("2026-01-01T01:00:00+01:00"))), first);
    for other in [None, Some("2026-01-01T00:00:01Z")] {
        send(other).assert_problem(422, "idempotency_conflict");
    }
}

#[test]
fn the_same_key_of_two_clients_is_two_messages() {
    let broker = Broker::start();
    broker.run_ok(&["ca", "issue", "other"]);
    let headers = [("content-type", "application/json"), ("idempotency-key", "same")];
    let one = broker.demo().post_with("/api/v1/messages", &headers, message("x").as_bytes()).expect("answered");
    let two =
        broker.client("other").post_with("/api/v1/messages", &headers, message("x").as_bytes()).expect("answered");
    assert_ne!(accepted_id(&one), accepted_id(&two));
}

#[test]
fn scheduled_messages_stay_queued_and_expired_ones_say_so() {
    let broker = Broker::start();
    let mut demo = broker.demo();
    let body =
        json!({ "sender_number": "+4915112345678", "message_body": "later", "deliver_at": "2026-01-01T00:00:00Z" });
    let past = accepted_id(&demo.post("/api/v1/messages", &body.to_string()).expect("answered"));
    broker.wait_delivered(&[past]);
    let next_year = "2999-01-01T00:00:00Z";
    let body = json!({ "sender_number": "+4915112345678", "message_body": "x", "deliver_at": next_year });
    demo.post("/api/v1/messages", &body.to_string()).expect("answered").assert_problem(422, "validation_failed");

    let in_an_hour = mb_core::Clock::System.now().plus(std::time::Duration::from_hours(1)).to_string();
    let body = json!({ "sender_number": "+4915112345678", "message_body": "x", "deliver_at": in_an_hour });
    let id = accepted_id(&demo.post("/api/v1/messages", &body.to_string()).expect("answered"));
    let marker = submit(&mut demo, "registered after the scheduled one");
    broker.wait_delivered(&[marker]);
    let status = demo.get(&format!("/api/v1/messages/{id}")).expect("answered").json();
    assert_eq!(status["status"], "queued");
    assert_eq!(status["deliver_at"], in_an_hour);
}
