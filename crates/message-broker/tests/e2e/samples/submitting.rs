//! Clients that submit: what they send is stored as it is, and once; what is refused they tell, what passes they outlast.

use std::process::Command;

use super::{run, sample, start, text};
use crate::harness::{Broker, status_of};

const NUMBER: &str = "+4915112345678";

/// What JSON and a shell would have eaten.
const TRICKY: &str = "say \"hi\" \\n to\ttabs, $HOME, `ls`\nand \u{20ac}\n";

fn curl(broker: &Broker, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.arg(sample("submit.sh")).args(arguments);
    command.env("BROKER_URL", format!("https://localhost:{}", broker.ports.proxy));
    let places = places(broker);
    command.envs([("BROKER_CERT", &places[0]), ("BROKER_KEY", &places[1]), ("BROKER_CA", &places[2])]);
    command
}

fn python(broker: &Broker, arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.arg(sample("submit.py")).args(arguments);
    command.args(["--url", &format!("https://localhost:{}", broker.ports.proxy)]);
    let places = places(broker);
    command.args(["--cert", &places[0], "--key", &places[1], "--ca", &places[2]]);
    command
}

/// The client's certificate, its key and the authority's certificate.
fn places(broker: &Broker) -> [String; 3] {
    let place = |path: &str| broker.dir().join(path).display().to_string();
    ["certs/clients/demo/demo.crt", "certs/clients/demo/demo.key", "certs/ca.crt"].map(place)
}

/// Sends the tricky text, twice under one key; it is stored once, as it was. A mistake is told by name.
fn stores_once_and_tells_mistakes(broker: &Broker, mut first: Command, mut again: Command, mut wrong: Command) {
    let id = |command: &mut Command| {
        let output = run(command, TRICKY);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("the answer");
        assert_eq!(answer["status"], "queued");
        answer["message_id"].as_str().expect("an id").to_owned()
    };
    let sent = id(&mut first);
    assert_eq!(sent, id(&mut again));
    broker.wait_delivered(std::slice::from_ref(&sent));
    let shown = broker.run_ok(&["admin", "messages", "show", &sent, "--decrypt", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["message_body"], TRICKY.trim_end(), "{shown}");
    let listed = broker.run_ok(&["admin", "messages", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
    let refused = run(&mut wrong, "x");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("/sender_number"), "{}", text(&refused.stderr));
}

#[test]
fn curl_stores_once_and_tells_mistakes_needs_curl() {
    let broker = Broker::start();
    let command = |arguments: &[&str]| curl(&broker, arguments);
    let (first, again) = (command(&[NUMBER, "order-4711"]), command(&[NUMBER, "order-4711"]));
    stores_once_and_tells_mistakes(&broker, first, again, command(&["4915112345678"]));
}

#[test]
fn python_stores_once_and_tells_mistakes_needs_python3() {
    let broker = Broker::start();
    let command = |arguments: &[&str]| python(&broker, arguments);
    let keyed = [NUMBER, "--idempotency-key", "order-4711"];
    stores_once_and_tells_mistakes(&broker, command(&keyed), command(&keyed), command(&["4915112345678"]));
}

#[test]
fn python_waits_as_it_is_told_and_outlasts_a_proxy_that_is_away_needs_python3() {
    let mut broker = Broker::start_with(&[("MB_PROXY__RATE_LIMIT", "1")]);
    assert!(run(&mut python(&broker, &[NUMBER]), "the only one in this minute").status.success());
    // The minute is longer than the patience, which it sees from Retry-After without waiting.
    let limited = run(&mut python(&broker, &[NUMBER, "--give-up-after", "0.1"]), "one too many");
    assert_eq!(limited.status.code(), Some(3));
    assert!(text(&limited.stderr).contains("rate_limited"), "{}", text(&limited.stderr));
    broker.run_ok(&["admin", "clients", "rate-limit", "demo", "0"]);
    broker.kill();
    let waiting = start(&mut python(&broker, &[NUMBER]), "patient");
    broker.restart();
    let output = waiting.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("the answer");
    let id = answer["message_id"].as_str().expect("an id").to_owned();
    assert_eq!(status_of(&mut broker.demo(), &[id]).len(), 1);
}
