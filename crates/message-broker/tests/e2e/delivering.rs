//! Deliveries through the whole binary: to a webhook that this test is, and to a consumer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::{Broker, PATIENCE, accepted_id};

const ALLOWED: [(&str, &str); 1] = [("MB_DELIVERY__ALLOW_CIDRS", "127.0.0.0/8")];

/// A receiver that takes everything, after a pause; what it got, by `webhook-id`.
struct Receiver {
    url: String,
    got: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
}

impl Receiver {
    fn start(pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
        let got = Arc::new(Mutex::new(BTreeMap::new()));
        let all = Arc::clone(&got);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let all = Arc::clone(&all);
                std::thread::spawn(move || while take(&stream, &all, pause).is_some() {});
            }
        });
        Self { url, got }
    }

    fn ids(&self) -> BTreeSet<String> {
        self.got.lock().expect("no panic while held").keys().cloned().collect()
    }
}

fn take(mut stream: &TcpStream, all: &Mutex<BTreeMap<String, Vec<String>>>, pause: Duration) -> Option<()> {
    let mut text = String::new();
    let body = loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length")?.parse::<usize>().ok()?;
            if body.len() >= length {
                break body.to_owned();
            }
        }
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    };
    let id = header(&text, "webhook-id")?;
    assert!(header(&text, "webhook-signature")?.starts_with("v1,"));
    all.lock().expect("no panic while held").entry(id).or_default().push(body);
    std::thread::sleep(pause);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()
}

fn header(head: &str, name: &str) -> Option<String> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
    Some(line.split_once(':')?.1.trim().to_owned())
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
    let created: serde_json::Value = serde_json::from_str(&broker.run_ok(&create)).expect("JSON");
    assert!(created["secret"].as_str().expect("a secret").starts_with("whsec_"));
    broker.run_ok(&["admin", "destinations", "test", "hook"]);
    let (sent, stored) = (submit(&broker, "a.b", 20), submit(&broker, "b", 5));
    broker.wait_delivered(&sent);
    broker.wait_delivered(&stored);
    let got = receiver.ids().into_iter().filter(|id| !id.starts_with("test-")).collect::<BTreeSet<_>>();
    assert_eq!(got, sent.iter().cloned().collect());
    let shown = broker.run_ok(&["admin", "messages", "show", &sent[0], "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
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
    let give_up = Instant::now() + PATIENCE;
    while receiver.ids().is_empty() {
        assert!(Instant::now() < give_up, "something is sent");
        std::thread::sleep(Duration::from_millis(5));
    }
    broker.crash_and_restart();
    // What was leased is due again when its lease ends, a minute later.
    let give_up = Instant::now() + 3 * PATIENCE;
    while receiver.ids().len() < sent.len() {
        assert!(Instant::now() < give_up, "{} of {}", receiver.ids().len(), sent.len());
        std::thread::sleep(Duration::from_millis(100));
    }
    broker.wait_delivered(&sent);
    assert_eq!(receiver.ids(), sent.iter().cloned().collect(), "nothing lost, nothing else");
    for bodies in receiver.got.lock().expect("no panic while held").values() {
        assert!(bodies.iter().all(|body| *body == bodies[0]), "a repeat is the same");
    }
}

#[test]
fn a_consumer_fetches_what_waits_for_it() {
    let broker = Broker::start();
    broker.run_ok(&["admin", "destinations", "create", "inbox", "--pull", "--topics", "a"]);
    broker.run_ok(&["ca", "issue", "reader", "default", "--role", "consumer"]);
    let sent = submit(&broker, "a", 15);
    let files = broker.dir().join("certs").join("clients").join("reader");
    let file = |name: &str| files.join(name).display().to_string();
    let url = format!("https://localhost:{}", broker.ports.server);
    let (cert, key) = (file("reader.crt"), file("reader.key"));
    let listen = ["listen", "inbox", "--url", &url, "--cert", &cert, "--key", &key, "--drain"];
    let mut got = BTreeSet::new();
    let give_up = Instant::now() + PATIENCE;
    while got.len() < sent.len() {
        assert!(Instant::now() < give_up, "{} of {}", got.len(), sent.len());
        for line in broker.run_ok(&listen).lines() {
            let message: serde_json::Value = serde_json::from_str(line).expect("JSON");
            got.insert(message["message_id"].as_str().expect("an id").to_owned());
        }
    }
    assert_eq!(got, sent.iter().cloned().collect());
    broker.wait_delivered(&sent);
}
