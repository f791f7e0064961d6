//! Receivers that put deliveries off, and what is done about those that were given up.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mb_core::{Clock, Timestamp};
use mb_crypto::webhook::WebhookSecret;
use serde_json::{Value, json};

use super::{ALLOWED, eventually, json_of, submit};
use crate::harness::Broker;
use crate::receiver::{Hook, Receiver, TAKEN};

fn destination(broker: &Broker, name: &str, url: &str, more: &[&str]) -> Value {
    let args = ["admin", "destinations", "create", name, "--url", url, "--json"];
    json_of(broker, &[&args, more].concat())
}

#[test]
fn retry_after_is_honoured_within_a_day_never_undercuts_the_schedule_and_outlives_a_crash() {
    let mut broker = Broker::start_with(&ALLOWED);
    let date = Command::new("date").args(["-u", "-d", "+20 minutes", "+%a, %d %b %Y %H:%M:%S GMT"]).output();
    let date = String::from_utf8(date.expect("date runs").stdout).expect("text").trim().to_owned();
    let receiver = Receiver::answering(move |hook| {
        let wait = match hook.path.as_str() {
            "/zero" => "0",
            "/huge" => "1000000000",
            _ => &date,
        };
        format!("HTTP/1.1 429 Later\r\nretry-after: {wait}\r\ncontent-length: 0\r\n\r\n")
    });
    for name in ["zero", "huge", "date"] {
        destination(&broker, name, &format!("{}/{name}", receiver.url), &["--retry", "5m,5m", "--topics", name]);
    }
    let now = Clock::System.now();
    let mut waits = Vec::new();
    for (name, from, to) in [("zero", 5, 6), ("huge", 1440, 1440), ("date", 20, 20)] {
        let id = submit(&broker, name, 1).remove(0);
        let delivery = || json_of(&broker, &["admin", "messages", "show", &id, "--json"])["deliveries"][0].clone();
        eventually(&broker, "it was tried", || delivery()["attempts"] == 1);
        let delivery = delivery();
        let next = delivery["next_attempt_at"].as_str().and_then(Timestamp::parse_rfc3339).expect("a time");
        let minutes = (next.since(now).as_secs() + 30) / 60;
        // The test itself takes some of the time.
        assert!((from..=to + 1).contains(&minutes), "{name}: {minutes} minutes, {delivery}");
        assert_eq!(delivery["last_error"], "too_many 429");
        waits.push((id, delivery["next_attempt_at"].clone()));
    }
    broker.crash_and_restart();
    for (id, next) in waits {
        let shown = json_of(&broker, &["admin", "messages", "show", &id, "--json"]);
        assert_eq!(shown["deliveries"][0]["next_attempt_at"], next, "a restart changes nothing");
    }
}

#[test]
fn after_a_rotation_both_secrets_sign() {
    let broker = Broker::start_with(&ALLOWED);
    let receiver = Receiver::start(Duration::ZERO);
    let first = destination(&broker, "hook", &receiver.url, &[])["secret"].as_str().expect("a secret").to_owned();
    let rotated = json_of(&broker, &["admin", "destinations", "rotate-secret", "hook", "--json"]);
    let second = rotated["secret"].as_str().expect("a secret").to_owned();
    assert_ne!(first, second);
    let id = submit(&broker, "a", 1).remove(0);
    broker.wait_delivered(std::slice::from_ref(&id));
    let hook: &Hook = &receiver.of(&id)[0];
    let at = hook.header("webhook-timestamp").expect("a time").parse::<i64>().expect("seconds");
    let sign = |secret: &str| {
        let secret = WebhookSecret::parse(secret).expect("a secret");
        secret.sign(&id, Timestamp::from_micros(at * 1_000_000), hook.body.as_bytes())
    };
    assert_eq!(hook.header("webhook-signature"), Some(format!("{} {}", sign(&second), sign(&first))));
}

#[test]
fn what_was_given_up_is_sent_when_the_receiver_works_again() {
    let broker = Broker::start_with(&ALLOWED);
    let works = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&works);
    let receiver = Receiver::answering(move |_| {
        let refused = "HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nsorry".to_owned();
        if state.load(Ordering::Relaxed) { TAKEN.to_owned() } else { refused }
    });
    destination(&broker, "hook", &receiver.url, &["--retry", "1s"]);
    let sent = submit(&broker, "a", 3);
    let letters = || json_of(&broker, &["admin", "dead-letters", "list", "--json"])["data"].clone();
    eventually(&broker, "all are given up", || letters().as_array().is_some_and(|letters| letters.len() == 3));
    assert_eq!((&letters()[0]["reason"], &letters()[0]["attempts"]), (&json!("client_error"), &json!(2)));
    let shown = json_of(&broker, &["admin", "messages", "show", &sent[0], "--decrypt", "--json"]);
    assert_eq!((&shown["status"], &shown["attempts"][1]["answer"]), (&json!("failed"), &json!("sorry")));
    works.store(true, Ordering::Relaxed);
    let one = letters()[0]["id"].to_string();
    broker.run_ok(&["admin", "dead-letters", "redrive", &one]);
    eventually(&broker, "one goes", || letters().as_array().is_some_and(|letters| letters.len() == 2));
    broker.run_ok(&["admin", "dead-letters", "redrive", "--all", "--reason", "client_error", "--yes"]);
    broker.wait_delivered(&sent);
    assert_eq!(letters(), json!([]));
    for id in &sent {
        assert_eq!(receiver.of(id).len(), 3, "twice in vain, once taken");
    }
    receiver.assert_repeats_are_the_same();
}
