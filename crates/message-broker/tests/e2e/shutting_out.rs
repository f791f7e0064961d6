//! Who is revoked or suspended is out within seconds of the command's end, whatever is under way, and comes back by nothing
//! that was begun before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mb_crypto::ca::SigningRequest;
use serde_json::Value;

use crate::harness::{Broker, PATIENCE, command, message, submit};
use crate::http::Connection;

/// Within so long of the command's end nobody is let in any more.
const WITHIN: Duration = Duration::from_secs(5);

/// The two ways out.
fn endings(name: &str) -> [Vec<String>; 2] {
    [&["ca", "revoke", name][..], &["admin", "clients", "suspend", name]]
        .map(|args| args.iter().map(|arg| (*arg).to_owned()).collect())
}

fn run(broker: &Broker, args: &[String]) {
    broker.run_ok(&args.iter().map(String::as_str).collect::<Vec<_>>());
}

fn active(broker: &Broker, name: &str) -> usize {
    let listed = broker.run_ok(&["ca", "list", "--status", "active", "--json"]);
    let rows: Value = serde_json::from_str(&listed).expect("JSON");
    rows["data"].as_array().expect("a list").iter().filter(|row| row["client_id"] == name).count()
}

/// Sends the head of a request and waits until its handler asks for the body.
fn begin(connection: &mut Connection, path: &str, media_type: &str, length: usize) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\n\
         expect: 100-continue\r\n\r\n"
    );
    connection.send(head.as_bytes()).expect("sent");
    assert_eq!(connection.read_response().expect("asked for").status, 100);
}

#[test]
fn a_request_whose_body_is_held_back_until_the_end_brings_nothing() {
    let broker = Broker::start();
    for (at, left) in [(0, 0), (1, 1)] {
        let name = format!("held-{at}");
        broker.run_ok(&["ca", "issue", &name]);
        let (_, request) = SigningRequest::create(&name).expect("a request");
        let mut renewal = Connection::client(broker.dir(), broker.ports.server, &name).expect("connected");
        begin(&mut renewal, "/pki/renew", "application/x-pem-file", request.len());
        let body = message("held back");
        let mut submission = broker.client(&name);
        begin(&mut submission, "/api/v1/messages", "application/json", body.len());
        run(&broker, &endings(&name)[at]);
        for (connection, body) in [(&mut renewal, &request), (&mut submission, &body)] {
            // Refused, or closed already.
            if let Ok(answer) = connection.send(body.as_bytes()).and_then(|()| connection.read_response()) {
                assert_eq!(answer.status, 403, "{}", answer.text());
            }
        }
        assert_eq!(active(&broker, &name), left, "{name}");
    }
}

#[test]
fn renewals_beside_a_revocation_leave_nothing_good() {
    let broker = Arc::new(Broker::start());
    broker.run_ok(&["ca", "issue", "till-1"]);
    let (over, renewed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let renewing = (0..3).map(|_| {
        let (broker, over, renewed) = (Arc::clone(&broker), Arc::clone(&over), Arc::clone(&renewed));
        std::thread::spawn(move || {
            let (_, request) = SigningRequest::create("till-1").expect("a request");
            let headers = [("content-type", "application/x-pem-file")];
            while !over.load(Ordering::Relaxed) {
                let Ok(mut till) = Connection::client(broker.dir(), broker.ports.server, "till-1") else { continue };
                while let Ok(answer) = till.post_with("/pki/renew", &headers, request.as_bytes()) {
                    renewed.fetch_add(u32::from(answer.status == 200), Ordering::Relaxed);
                    if answer.status == 403 {
                        return;
                    }
                }
            }
        })
    });
    let renewing: Vec<_> = renewing.collect();
    let give_up = Instant::now() + PATIENCE;
    while renewed.load(Ordering::Relaxed) < 3 {
        assert!(Instant::now() < give_up, "nothing is renewed: {}", broker.stderr());
        std::thread::yield_now();
    }
    broker.run_ok(&["ca", "revoke", "till-1"]);
    over.store(true, Ordering::Relaxed);
    for thread in renewing {
        thread.join().expect("no panic");
    }
    assert_eq!(active(&broker, "till-1"), 0);
}

#[test]
fn who_waits_for_messages_is_sent_away() {
    for at in [0, 1] {
        let broker = Broker::start();
        broker.run_ok(&["admin", "destinations", "create", "inbox", "--pull"]);
        let name = format!("reader-{at}");
        broker.run_ok(&["ca", "issue", &name, "default", "--role", "consumer"]);
        let mut waiting = Connection::client(broker.dir(), broker.ports.server, &name).expect("connected");
        let ask = r#"{"max":10,"wait_seconds":30}"#;
        let head = "POST /api/v1/pull/inbox HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
        waiting.send(format!("{head}content-length: {}\r\n\r\n{ask}", ask.len()).as_bytes()).expect("sent");
        run(&broker, &endings(&name)[at]);
        let ended = Instant::now();
        submit(&mut broker.demo(), "for others");
        if let Ok(answer) = waiting.read_response() {
            assert_eq!(answer.status, 403, "{}", answer.text());
        }
        assert!(waiting.read_response().is_err(), "and the connection is closed");
        assert!(ended.elapsed() < WITHIN, "{:?}", ended.elapsed());
    }
}

#[test]
fn a_stream_of_messages_ends_with_its_sender() {
    let broker = Broker::start();
    for at in [0, 1] {
        let name = format!("stream-{at}");
        broker.run_ok(&["ca", "issue", &name]);
        let mut stream = broker.client(&name);
        let head = "POST /api/v1/messages/batch HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n";
        stream.send(format!("{head}content-type: application/x-ndjson\r\n\r\n").as_bytes()).expect("sent");
        let line = format!("{}\n", message("one of many"));
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        stream.send(chunk.as_bytes()).expect("sent");
        run(&broker, &endings(&name)[at]);
        let ended = Instant::now();
        while stream.send(chunk.as_bytes()).is_ok() {
            assert!(ended.elapsed() < WITHIN, "it goes on");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn an_idle_connection_of_a_suspended_client_is_closed() {
    let broker = Broker::start();
    broker.run_ok(&["ca", "issue", "till-4"]);
    let mut idle = broker.client("till-4");
    submit(&mut idle, "x");
    broker.run_ok(&["admin", "clients", "suspend", "till-4"]);
    let ended = Instant::now();
    assert!(idle.read_response().is_err(), "it is closed");
    assert!(ended.elapsed() < WITHIN, "{:?}", ended.elapsed());
}

#[test]
fn another_component_is_not_taken_for_the_main_server() {
    let broker = Broker::start();
    let there = tempfile::tempdir().expect("temporary folder");
    let token = broker.run_ok(&["admin", "clients", "enroll", "till-9"]);
    let ca = broker.dir().join("certs/ca.crt").display().to_string();
    // The proxy has a certificate of the same authority, for the same names.
    let url = format!("https://localhost:{}", broker.ports.proxy);
    let args = ["enroll", "--url", &url, "--ca", &ca, "--token", token.trim()];
    let refused = command(there.path(), &[]).args(args).output().expect("the binary runs");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("not the main server's"), "{said}");
    let url = format!("https://localhost:{}", broker.ports.server);
    let args = ["enroll", "--url", &url, "--ca", &ca, "--token", token.trim()];
    let enrolled = command(there.path(), &[]).args(args).output().expect("the binary runs");
    assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
}
