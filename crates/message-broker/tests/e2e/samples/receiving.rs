//! A receiver of webhooks: it takes what is genuine, once, and nothing that is signed under another secret.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::sample;
use crate::delivering::{eventually, json_of};
use crate::harness::{Broker, submit};

/// The sample, running; ends with the test.
struct Receiver {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Receiver {
    /// On a port that was spare when it was asked for.
    fn start(port: u16, secrets: &str) -> Self {
        let mut command = Command::new("python3");
        command.arg(sample("receive_webhook.py")).args(["--port", &port.to_string()]);
        command.env("WEBHOOK_SECRET", secrets).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    /// The next message that it prints.
    fn next(&mut self) -> serde_json::Value {
        serde_json::from_str(&self.lines.next().expect("a line").expect("text")).expect("JSON")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn attempts(broker: &Broker, id: &str) -> usize {
    let shown = json_of(broker, &["admin", "messages", "show", id, "--json"]);
    shown["attempts"].as_array().map_or(0, Vec::len)
}

#[test]
fn the_receiver_takes_each_genuine_message_once_and_no_other_needs_python3() {
    let broker = Broker::start_with(&[("MB_DELIVERY__ALLOW_CIDRS", "127.0.0.0/8")]);
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a spare port").port();
    let url = format!("http://127.0.0.1:{port}/");
    let create = |name: &str, topic: &str| {
        let args = ["admin", "destinations", "create", name, "--url", &url, "--topics", topic, "--json"];
        json_of(&broker, &args)["secret"].as_str().expect("a secret").to_owned()
    };
    let (secret, _) = (create("hook", "default"), create("stranger", "unused"));
    let mut receiver = Receiver::start(port, &secret);
    eventually(&broker, "it listens", || broker.run(&["admin", "destinations", "test", "hook"]).status.success());
    assert_eq!(receiver.next()["message_body"], "This is a trial.");

    let refused = broker.run(&["admin", "destinations", "test", "stranger", "--json"]);
    let refused: serde_json::Value = serde_json::from_slice(&refused.stdout).expect("JSON");
    assert_eq!(refused["exchange"]["status"], 401, "{refused}");

    // While the secret is rotated both sign, so a receiver that knows the old one alone goes on.
    broker.run_ok(&["admin", "destinations", "rotate-secret", "hook"]);
    let first = submit(&mut broker.demo(), "first");
    broker.wait_delivered(std::slice::from_ref(&first));
    let got = receiver.next();
    assert_eq!((&got["message_id"], &got["message_body"]), (&first.clone().into(), &"first".into()));

    // A repeat is answered as taken and told to nobody: what it prints next is the next message.
    broker.run_ok(&["admin", "messages", "replay", "--destination", "hook", "--since", "2026-01-01T00:00:00Z"]);
    eventually(&broker, "it is sent again", || attempts(&broker, &first) == 2);
    let second = submit(&mut broker.demo(), "second");
    assert_eq!(receiver.next()["message_id"], second);
}
