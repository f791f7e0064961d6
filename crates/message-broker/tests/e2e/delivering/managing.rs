//! Destinations as they are managed by the command line, beside a running system and on one that is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{ALLOWED, eventually, json_of, submit};
use crate::harness::Broker;
use crate::receiver::{Receiver, TAKEN};

fn list(broker: &Broker) -> Vec<Value> {
    let rows = json_of(broker, &["admin", "destinations", "list", "--json"]);
    rows["data"].as_array().expect("a list").clone()
}

fn delivery(broker: &Broker, id: &str) -> Value {
    json_of(broker, &["admin", "messages", "show", id, "--json"])["deliveries"][0].clone()
}

fn destinations(broker: &Broker, what: &[&str]) {
    broker.run_ok(&[&["admin", "destinations"], what].concat());
}

#[test]
fn a_paused_destination_waits_and_a_disabled_one_gives_up() {
    let broker = Broker::start_with(&ALLOWED);
    let receiver = Receiver::start(Duration::ZERO);
    destinations(&broker, &["create", "hook", "--url", &receiver.url]);
    destinations(&broker, &["pause", "hook"]);
    let waits = submit(&broker, "a", 1).remove(0);
    eventually(&broker, "it waits", || delivery(&broker, &waits)["explanation"] == "the destination is paused");
    destinations(&broker, &["disable", "hook"]);
    let late = submit(&broker, "a", 1).remove(0);
    for id in [&waits, &late] {
        eventually(&broker, "it is given up", || delivery(&broker, id)["state"] == "dead");
    }
    let letters = json_of(&broker, &["admin", "dead-letters", "list", "--reason", "destination_disabled", "--json"]);
    assert_eq!(letters["data"].as_array().map(Vec::len), Some(2));
    assert!(receiver.ids().is_empty());
    destinations(&broker, &["enable", "hook"]);
    for id in [&waits, &late] {
        broker.run_ok(&["admin", "messages", "retry", id]);
    }
    broker.wait_delivered(&[waits, late]);
}

#[test]
fn only_what_matches_by_topic_and_client_goes_to_a_destination() {
    let broker = Broker::start_with(&ALLOWED);
    broker.run_ok(&["ca", "issue", "other"]);
    let receiver = Receiver::start(Duration::ZERO);
    let url = |name: &str| format!("{}/{name}", receiver.url);
    destinations(&broker, &["create", "one", "--url", &url("one"), "--topics", "orders.*", "--clients", "demo"]);
    destinations(&broker, &["create", "all", "--url", &url("all"), "--topics", "orders.**,alarms"]);
    destinations(&broker, &["create", "theirs", "--url", &url("theirs"), "--clients", "other"]);
    let expected = [("orders.eu", vec!["/all", "/one"]), ("orders.eu.north", vec!["/all"]), ("alarms", vec!["/all"])];
    for (topic, paths) in expected {
        let id = submit(&broker, topic, 1).remove(0);
        broker.wait_delivered(std::slice::from_ref(&id));
        let mut got = receiver.of(&id).into_iter().map(|hook| hook.path).collect::<Vec<_>>();
        got.sort();
        assert_eq!(got, paths, "{topic}");
    }
    let stored = submit(&broker, "nobody.waits", 1);
    broker.wait_delivered(&stored);
    assert!(receiver.of(&stored[0]).is_empty());
}

#[test]
fn a_destination_is_asked_no_more_at_once_than_it_bears() {
    let broker = Broker::start_with(&ALLOWED);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (here, peak) = (Arc::clone(&now), Arc::clone(&most));
    let receiver = Receiver::answering(move |_| {
        peak.fetch_max(here.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(50));
        here.fetch_sub(1, Ordering::SeqCst);
        TAKEN.to_owned()
    });
    destinations(&broker, &["create", "hook", "--url", &receiver.url, "--concurrency", "3"]);
    let sent = submit(&broker, "a", 40);
    broker.wait_delivered(&sent);
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[test]
fn a_trial_shows_the_whole_exchange() {
    let broker = Broker::start_with(&ALLOWED);
    let receiver = Receiver::answering(|hook| {
        let status = if hook.path == "/well" { "200 OK" } else { "500 Oh" };
        format!("HTTP/1.1 {status}\r\nx-mood: fair\r\ncontent-length: 4\r\n\r\nhmpf")
    });
    for (name, taken) in [("well", true), ("ill", false)] {
        destinations(&broker, &["create", name, "--url", &format!("{}/{name}", receiver.url)]);
        let output = broker.run(&["admin", "destinations", "test", name, "--json"]);
        assert_eq!(output.status.success(), taken);
        let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let has = |headers: &str, name: &str| {
            shown[headers].as_array().is_some_and(|headers| headers.iter().any(|header| header[0] == name))
        };
        assert!(has("request_headers", "webhook-signature") && has("response_headers", "x-mood"), "{shown}");
        assert_eq!(shown["exchange"]["answer"], "hmpf");
        assert!(shown["peer"].as_str().is_some_and(|peer| receiver.url.ends_with(peer)));
    }
}

#[test]
fn destinations_are_managed_on_a_stopped_system_too() {
    let mut broker = Broker::start_with(&ALLOWED);
    let receiver = Receiver::start(Duration::ZERO);
    broker.terminate();
    destinations(&broker, &["create", "hook", "--url", "https://hooks.example/"]);
    destinations(&broker, &["update", "hook", "--url", &receiver.url, "--rate", "50", "--concurrency", "2"]);
    let again = broker.run(&["admin", "destinations", "create", "hook", "--pull"]);
    assert_eq!(again.status.code(), Some(1), "the name is taken");
    for wrong in [&["create", "x"][..], &["create", "X", "--pull"], &["update", "hook", "--concurrency", "many"]] {
        let output = broker.run(&[&["admin", "destinations"], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
    for refused in [&["update", "hook", "--concurrency", "0"][..], &["pause", "nobody"]] {
        let output = broker.run(&[&["admin", "destinations"], refused].concat());
        assert_eq!(output.status.code(), Some(1), "{refused:?}");
        assert!(!output.stderr.is_empty());
    }
    let trial = broker.run(&["admin", "destinations", "test", "hook"]);
    assert_eq!(trial.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&trial.stderr).contains("the system is stopped"), "{trial:?}");
    assert_eq!((&list(&broker)[0]["rate"], &list(&broker)[0]["concurrency"]), (&json!(50), &json!(2)));
    broker.restart();
    let sent = submit(&broker, "a", 5);
    broker.wait_delivered(&sent);
    assert_eq!(receiver.ids().len(), 5);
    destinations(&broker, &["delete", "hook", "--yes"]);
    assert!(list(&broker).is_empty());
}
