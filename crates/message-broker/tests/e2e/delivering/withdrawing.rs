//! Scheduled messages, and clients that withdraw them.

use serde_json::{Value, json};

use super::{ALLOWED, eventually, json_of, submit};
use crate::harness::{Broker, accepted_id, message, status_of};
use crate::http::Connection;
use crate::receiver::Receiver;
use std::time::Duration;

/// Submits a message for a time that is an hour or more ahead.
fn schedule(connection: &mut Connection) -> String {
    let body = json!({
        "sender_number": "+4915112345678", "message_body": "later", "deliver_at": "2099-01-01T00:00:00Z",
    });
    let response = connection.post("/api/v1/messages", &body.to_string()).expect("answered");
    assert_eq!(response.status, 422, "more than 30 days ahead: {}", response.text());
    let at = mb_core::Clock::System.now().plus(Duration::from_hours(2));
    let body = json!({ "sender_number": "+4915112345678", "message_body": "later", "deliver_at": at });
    accepted_id(&connection.post("/api/v1/messages", &body.to_string()).expect("answered"))
}

/// Status and problem code, or state, of a withdrawal.
fn withdraw(connection: &mut Connection, id: &str) -> (u16, Value) {
    let answer = connection.request("DELETE", &format!("/api/v1/messages/{id}"), &[], b"").expect("answered");
    let body = answer.json();
    (answer.status, if answer.status == 200 { body["status"].clone() } else { body["code"].clone() })
}

#[test]
fn a_scheduled_message_waits_is_listed_as_queued_and_can_be_withdrawn_once() {
    let broker = Broker::start_with(&ALLOWED);
    let receiver = Receiver::start(Duration::ZERO);
    let mut client = broker.demo();
    let bare = schedule(&mut client);
    broker.run_ok(&["admin", "destinations", "create", "hook", "--url", &receiver.url]);
    let bound = schedule(&mut client);
    let ids = [bare.clone(), bound.clone()];
    eventually(&broker, "both are registered", || {
        status_of(&mut client, &ids).iter().filter(|row| row["registered_at"].is_string()).count() == 2
    });
    assert!(status_of(&mut client, &ids).iter().all(|row| row["status"] == "queued"));
    let listed = |status: &str| {
        let list = json_of(&broker, &["admin", "messages", "list", "--status", status, "--json"]);
        list["data"].as_array().expect("a list").iter().map(|row| row["message_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(listed("queued"), [json!(bound), json!(bare)]);
    for id in &ids {
        assert_eq!(withdraw(&mut client, id), (200, json!("cancelled")));
        assert_eq!(withdraw(&mut client, id), (409, json!("conflict")), "it is final");
    }
    assert_eq!(listed("cancelled"), [json!(bound), json!(bare)]);
    assert_eq!((listed("queued"), receiver.ids().len()), (vec![], 0));
}

#[test]
fn nobody_withdraws_what_is_delivered_or_not_theirs() {
    let broker = Broker::start();
    broker.run_ok(&["ca", "issue", "other"]);
    let mut client = broker.demo();
    let delivered = submit(&broker, "a", 1);
    broker.wait_delivered(&delivered);
    assert_eq!(withdraw(&mut client, &delivered[0]), (409, json!("conflict")));
    let waits = schedule(&mut client);
    eventually(&broker, "it is registered", || {
        status_of(&mut client, std::slice::from_ref(&waits)).iter().any(|row| row["registered_at"].is_string())
    });
    let mut other = broker.client("other");
    assert_eq!(withdraw(&mut other, &waits), (404, json!("not_found")), "it is another client's");
    for id in ["01890000-0000-7000-8000-000000000000", "not-an-id"] {
        assert_eq!(withdraw(&mut client, id), (404, json!("not_found")), "{id}");
    }
    let mut nobody = Connection::anonymous(broker.dir(), broker.ports.proxy).expect("connected");
    assert_eq!(withdraw(&mut nobody, &waits), (401, json!("no_identity")));
    assert_eq!(withdraw(&mut client, &waits), (200, json!("cancelled")));
}

#[test]
fn a_message_that_is_not_taken_in_time_expires() {
    let broker = Broker::start_with(&ALLOWED);
    let receiver = Receiver::answering(|_| "HTTP/1.1 503 Oh\r\ncontent-length: 0\r\n\r\n".to_owned());
    broker.run_ok(&["admin", "destinations", "create", "hook", "--url", &receiver.url, "--retry", "1s,1s,1s,1h"]);
    let mut client = broker.demo();
    let mut body: Value = serde_json::from_str(&message("in time or not at all")).expect("JSON");
    body["expires_in"] = json!(2);
    let id = accepted_id(&client.post("/api/v1/messages", &body.to_string()).expect("answered"));
    eventually(&broker, "it expires", || status_of(&mut client, std::slice::from_ref(&id))[0]["status"] == "expired");
    assert!(!receiver.of(&id).is_empty(), "it was tried");
    assert_eq!(withdraw(&mut client, &id), (409, json!("conflict")));
}
