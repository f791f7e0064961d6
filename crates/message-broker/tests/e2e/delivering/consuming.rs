//! Consumers of a pull destination: they share the work, give back what they cannot use, and wait for what comes.

use std::collections::BTreeSet;
use std::process::Output;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::{eventually, json_of, submit};
use crate::harness::{Broker, PATIENCE};
use crate::http::Connection;

/// A broker with a pull destination `inbox` for topic `a` and a consumer `reader`.
fn broker(retry: &str) -> Broker {
    let broker = Broker::start();
    broker.run_ok(&["admin", "destinations", "create", "inbox", "--pull", "--topics", "a", "--retry", retry]);
    broker.run_ok(&["ca", "issue", "reader", "default", "--role", "consumer"]);
    broker
}

/// Runs `listen` until nothing waits.
fn listen(broker: &Broker, more: &[&str]) -> Output {
    let files = broker.dir().join("certs").join("clients").join("reader");
    let file = |name: &str| files.join(name).display().to_string();
    let url = format!("https://localhost:{}", broker.ports.server);
    let (cert, key) = (file("reader.crt"), file("reader.key"));
    let args = ["listen", "inbox", "--url", &url, "--cert", &cert, "--key", &key, "--drain"];
    broker.run(&[&args, more].concat())
}

fn ids(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    let id = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["message_id"].as_str().map(str::to_owned);
    text.lines().map(|line| id(line).expect("an id")).collect()
}

fn reader(broker: &Broker) -> Connection {
    Connection::client(broker.dir(), broker.ports.server, "reader").expect("connected")
}

/// What a consumer is given now, or after a while.
fn pull(consumer: &mut Connection, max: u32, wait_seconds: u64) -> Vec<Value> {
    let body = json!({ "max": max, "wait_seconds": wait_seconds }).to_string();
    let answer = consumer.post("/api/v1/pull/inbox", &body).expect("answered");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"].as_array().expect("a list").clone()
}

fn settle(consumer: &mut Connection, how: &str, messages: &[Value]) {
    let ids: Vec<_> = messages.iter().map(|message| &message["id"]).collect();
    let answer = consumer.post(&format!("/api/v1/pull/inbox/{how}"), &json!({ "ids": ids }).to_string());
    assert_eq!(answer.expect("answered").status, 204);
}

fn delivery(broker: &Broker, id: &str) -> Value {
    json_of(broker, &["admin", "messages", "show", id, "--json"])["deliveries"][0].clone()
}

#[test]
fn a_consumer_fetches_what_waits_for_it() {
    let broker = broker("5s");
    let sent = submit(&broker, "a", 15);
    let mut got = BTreeSet::new();
    eventually(&broker, "all are fetched", || {
        got.extend(ids(&listen(&broker, &[])));
        got.len() >= sent.len()
    });
    assert_eq!(got, sent.iter().cloned().collect());
    broker.wait_delivered(&sent);
}

#[test]
fn several_consumers_share_the_work_and_one_message_is_one_consumers() {
    let broker = Arc::new(broker("5s"));
    let sent = submit(&broker, "a", 200);
    let consume = |broker: Arc<Broker>| {
        std::thread::spawn(move || {
            let mut consumer = reader(&broker);
            let mut got = Vec::new();
            loop {
                let messages = pull(&mut consumer, 7, 2);
                if messages.is_empty() {
                    return got;
                }
                settle(&mut consumer, "ack", &messages);
                got.extend(messages.iter().map(|one| one["message"]["message_id"].as_str().expect("an id").to_owned()));
            }
        })
    };
    let consumers: Vec<_> = (0..3).map(|_| consume(Arc::clone(&broker))).collect();
    let shares: Vec<_> = consumers.into_iter().map(|consumer| consumer.join().expect("no panic")).collect();
    assert!(shares.iter().all(|share| !share.is_empty()), "each had some");
    let all: Vec<_> = shares.concat();
    assert_eq!(all.len(), sent.len(), "none twice");
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), sent.iter().cloned().collect());
    broker.wait_delivered(&sent);
}

#[test]
fn what_is_given_back_comes_again_by_the_schedule_and_ends_as_a_dead_letter() {
    let broker = broker("1s");
    let mut consumer = reader(&broker);
    let id = submit(&broker, "a", 1).remove(0);
    let first = pull(&mut consumer, 10, 20);
    assert_eq!((first.len(), &first[0]["attempt"]), (1, &json!(1)));
    assert_eq!(delivery(&broker, &id)["lease_holder"], "consumer:reader");
    assert!(pull(&mut consumer, 10, 0).is_empty(), "it is somebody's");
    settle(&mut consumer, "nack", &first);
    settle(&mut consumer, "nack", &first);
    let second = pull(&mut consumer, 10, 20);
    assert_eq!((second.len(), &second[0]["attempt"]), (1, &json!(2)), "a repeated nack counted once");
    assert_ne!(second[0]["id"], first[0]["id"]);
    settle(&mut consumer, "nack", &second);
    assert_eq!(delivery(&broker, &id)["state"], "dead");
    let letters = json_of(&broker, &["admin", "dead-letters", "list", "--json"]);
    assert_eq!(letters["data"][0]["reason"], "nacked");
}

#[test]
fn a_consumer_that_waits_is_given_what_comes_at_once() {
    let broker = Arc::new(broker("5s"));
    let other = Arc::clone(&broker);
    let waiting = std::thread::spawn(move || {
        let begun = Instant::now();
        (pull(&mut reader(&other), 1, 25), begun.elapsed())
    });
    eventually(&broker, "the message is fetched", || {
        if !waiting.is_finished() {
            submit(&broker, "a", 1);
        }
        waiting.is_finished()
    });
    let (messages, waited) = waiting.join().expect("no panic");
    assert_eq!(messages.len(), 1);
    assert!(waited < PATIENCE / 3, "{waited:?}");
}

#[test]
fn a_command_that_fails_gives_its_message_back_and_one_that_succeeds_takes_it() {
    let broker = broker("1s,1s,1s");
    let sent = submit(&broker, "a", 6);
    let folder = broker.dir().display().to_string();
    // Each message fails the first time it is seen; what it gets is the message.
    let command = format!(
        "body=$(cat); id=$(printf %s \"$body\" | sed 's/.*\"message_id\":\"\\([^\"]*\\)\".*/\\1/'); \
         if [ -e '{folder}'/$id ]; then echo $id >> '{folder}'/done; else : > '{folder}'/$id; exit 3; fi"
    );
    let done = broker.dir().join("done");
    eventually(&broker, "the command has run for all", || {
        let output = listen(&broker, &["--exec", &command]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(&done).is_ok_and(|text| text.lines().count() >= sent.len())
    });
    let done = std::fs::read_to_string(&done).expect("written");
    assert_eq!(done.lines().map(str::to_owned).collect::<BTreeSet<_>>(), sent.iter().cloned().collect());
    broker.wait_delivered(&sent);
    for id in &sent {
        assert_eq!(delivery(&broker, id)["attempts"], 2);
    }
}

#[test]
fn nobody_settles_what_they_did_not_fetch() {
    let broker = broker("5s");
    let mut consumer = reader(&broker);
    let id = submit(&broker, "a", 1).remove(0);
    eventually(&broker, "it is there", || delivery(&broker, &id)["state"] == "open");
    let made_up = json!({ "id": format!("{id}.{}", "0f".repeat(16)) });
    let ids = json!({ "ids": [made_up["id"]] }).to_string();
    for how in ["ack", "nack"] {
        let answer = consumer.post(&format!("/api/v1/pull/inbox/{how}"), &ids).expect("answered");
        assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("conflict")));
    }
    assert_eq!((&delivery(&broker, &id)["state"], &delivery(&broker, &id)["attempts"]), (&json!("open"), &json!(0)));
    let fetched = pull(&mut consumer, 1, 20);
    let ids = json!({ "ids": [fetched[0]["id"], made_up["id"]] }).to_string();
    let kept = consumer.post("/api/v1/pull/inbox/prolong", &ids).expect("answered").json();
    assert_eq!(kept["lost"], json!([made_up["id"]]));
    assert!(kept["leased_until"].as_str() > fetched[0]["leased_until"].as_str());
    let answer = consumer.post("/api/v1/pull/inbox/ack", &ids).expect("answered");
    assert_eq!(answer.status, 409, "of one of them");
    broker.wait_delivered(&[id]);
}

#[test]
fn a_command_that_takes_long_keeps_nothing_from_other_consumers() {
    let broker = Arc::new(broker("5s"));
    let sent = submit(&broker, "a", 6);
    eventually(&broker, "all are there", || sent.iter().all(|id| delivery(&broker, id)["state"] == "open"));
    let folder = broker.dir().display().to_string();
    // Each waits until somebody else has a message, too.
    let command = |me: &str, other: &str| {
        format!(
            "echo . >> '{folder}'/{me}; for n in $(seq 600); do [ -e '{folder}'/{other} ] && exit 0; sleep 0.1; done; exit 3"
        )
    };
    let commands = [command("one", "two"), command("two", "one")];
    let listeners = commands.map(|command| {
        let broker = Arc::clone(&broker);
        std::thread::spawn(move || listen(&broker, &["--exec", &command]).status.success())
    });
    for listener in listeners {
        assert!(listener.join().expect("no panic"));
    }
    broker.wait_delivered(&sent);
    for id in &sent {
        assert_eq!(delivery(&broker, id)["attempts"], 1, "one consumer's");
    }
}

#[cfg(unix)]
#[test]
fn a_listener_that_is_stopped_leaves_nothing_of_its_command_running() {
    let broker = broker("5s");
    submit(&broker, "a", 1);
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("alive");
    // The loop is the shell's child, not the shell.
    let command = format!("(while true; do echo . >> '{0}'; sleep 0.05; done) & wait; true", mark.display());
    let files = broker.dir().join("certs").join("clients").join("reader");
    let mut listener = crate::harness::command(broker.dir(), &[])
        .args(["listen", "inbox", "--exec", &command, "--url", &format!("https://localhost:{}", broker.ports.server)])
        .arg("--cert")
        .arg(files.join("reader.crt"))
        .arg("--key")
        .arg(files.join("reader.key"))
        .spawn()
        .expect("the binary runs");
    let ticks = || std::fs::metadata(&mark).map_or(0, |mark| mark.len());
    eventually(&broker, "it runs", || ticks() > 0);
    std::process::Command::new("kill").args(["-TERM", &listener.id().to_string()]).status().expect("kill runs");
    listener.wait().expect("ended");
    let mut last = ticks();
    eventually(&broker, "the loop has ended", || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        std::mem::replace(&mut last, ticks()) == last
    });
}

#[test]
fn what_cannot_be_printed_is_not_taken() {
    let broker = broker("5s");
    let id = submit(&broker, "a", 1).remove(0);
    eventually(&broker, "it is there", || delivery(&broker, &id)["state"] == "open");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let Ok(full) = full else { return };
    let files = broker.dir().join("certs").join("clients").join("reader");
    let status = crate::harness::command(broker.dir(), &[])
        .args(["listen", "inbox", "--drain", "--url", &format!("https://localhost:{}", broker.ports.server)])
        .arg("--cert")
        .arg(files.join("reader.crt"))
        .arg("--key")
        .arg(files.join("reader.key"))
        .stdout(full)
        .status()
        .expect("the binary runs");
    assert!(!status.success());
    assert_eq!(delivery(&broker, &id)["state"], "open");
}
