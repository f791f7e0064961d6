//! Bad input and bounds: a clear answer or a closed connection, and everything else keeps flowing.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Broker, PATIENCE, accepted_id, message, submit};
use crate::http::Connection;

#[test]
fn malformed_requests_say_what_is_wrong() {
    let broker = Broker::start();
    let mut demo = broker.demo();
    for bad in ["", "{", "{\"message_body\":\"\\ud800\"}"] {
        demo.post("/api/v1/messages", bad).expect("answered").assert_problem(400, "malformed_json");
    }
    demo.post("/api/v1/messages", "[]").expect("answered").assert_problem(422, "validation_failed");
    let invalid_utf8 = b"{\"sender_number\":\"+12\",\"message_body\":\"\xff\"}";
    let json_type = [("content-type", "application/json")];
    let response = demo.post_with("/api/v1/messages", &json_type, invalid_utf8).expect("answered");
    response.assert_problem(400, "malformed_json");
    for headers in [
        &[("content-type", "text/plain")][..],
        &[("content-type", "application/json; charset=latin1")][..],
        &[][..],
        &[("content-type", "application/json"), ("content-encoding", "gzip")][..],
    ] {
        let response = demo.post_with("/api/v1/messages", headers, message("x").as_bytes()).expect("answered");
        response.assert_problem(415, "unsupported_media_type");
    }
    for key in ["", "with space", &"k".repeat(256)] {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        let response = demo.post_with("/api/v1/messages", &headers, message("x").as_bytes()).expect("answered");
        response.assert_problem(400, "malformed_request");
    }
    let charset = [("content-type", "Application/JSON; charset=utf-8")];
    accepted_id(&demo.post_with("/api/v1/messages", &charset, message("x").as_bytes()).expect("answered"));
}

#[test]
fn field_rules_hold_at_their_borders() {
    let broker = Broker::start();
    let mut demo = broker.demo();
    let send = |demo: &mut Connection, number: &str, body: &str| {
        let json = json!({ "sender_number": number, "message_body": body }).to_string();
        demo.post("/api/v1/messages", &json).expect("answered")
    };
    for number in ["+12", "+123456789012345"] {
        accepted_id(&send(&mut demo, number, "x"));
    }
    for number in ["+1", "+0123", "+1234567890123456", "+4915112345678\n", "+\u{661}\u{662}\u{663}", "4915112345678"] {
        send(&mut demo, number, "x").assert_problem(422, "validation_failed");
    }
    for body in ["\u{1f600}".repeat(1000), "a\0b".into(), "\u{202e}\u{5d0}\u{5d1}".into(), "\n x".into()] {
        accepted_id(&send(&mut demo, "+4915112345678", &body));
    }
    for body in ["\u{1f600}".repeat(1001), " \u{3000}\n".into(), String::new()] {
        send(&mut demo, "+4915112345678", &body).assert_problem(422, "validation_failed");
    }
    let response = send(&mut demo, "+4915112345678", &"x".repeat(2000));
    assert!(response.body.len() < 1500, "a large body is never echoed: {}", response.text());
    let large = json!("x".repeat(400 << 10)).to_string();
    for path in ["/api/v1/messages", "/api/v1/messages/batch"] {
        let response = demo.post(path, &large).expect("answered");
        response.assert_problem(422, "validation_failed");
        assert!(response.body.len() < 1500, "{path} echoes: {} bytes", response.body.len());
    }
}

#[test]
fn batches_are_bounded() {
    let broker = Broker::start();
    let mut demo = broker.demo();
    let batch = |count: usize| {
        json!({ "messages": vec![json!({ "sender_number": "+12", "message_body": "x" }); count] }).to_string()
    };
    let full = demo.post("/api/v1/messages/batch", &batch(1000)).expect("answered");
    assert_eq!(full.json()["results"].as_array().map(Vec::len), Some(1000));
    let over = demo.post("/api/v1/messages/batch", &batch(1001)).expect("answered");
    assert_eq!(over.json()["code"], "too_many_items", "{}", over.text());
    demo.post("/api/v1/messages/batch", &batch(0)).expect("answered").assert_problem(422, "validation_failed");
    let other = demo.post("/api/v1/messages/batch", "{\"messages\":{}}").expect("answered");
    other.assert_problem(422, "validation_failed");
    let ids = json!({ "ids": vec!["x"; 1001] }).to_string();
    let over = demo.post("/api/v1/messages/status", &ids).expect("answered");
    assert_eq!(over.json()["code"], "too_many_items", "{}", over.text());
}

#[test]
fn who_sends_a_little_too_much_before_reading_is_told_so() {
    let broker = Broker::start();
    for (path, limit) in [("/api/v1/messages", 512 << 10), ("/api/v1/messages/batch", 8 << 20)] {
        let answer = broker.demo().post(path, &" ".repeat(limit + 1)).expect("answered");
        answer.assert_problem(413, "body_too_large");
    }
    let over = "x".repeat(20 << 20);
    let headers = [("content-type", "application/json")];
    let answer = broker.demo().post_with("/api/v1/messages", &headers, over.as_bytes()).expect("answered");
    answer.assert_problem(413, "body_too_large");
}

#[test]
fn an_announced_huge_body_is_refused_before_it_is_sent() {
    let broker = Broker::start();
    let mut demo = broker.demo();
    let head = "POST /api/v1/messages HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 52428800\r\n\r\n";
    demo.send(head.as_bytes()).expect("sent");
    demo.read_response().expect("answered").assert_problem(413, "body_too_large");
    submit(&mut broker.demo(), "others go on");
}

#[test]
fn a_huge_chunked_body_is_cut_off_and_memory_stays_flat() {
    let broker = Broker::start();
    submit(&mut broker.demo(), "warm");
    let before = resident_kib(broker.pid());
    let mut threads = Vec::new();
    for _ in 0..4 {
        let mut demo = broker.demo();
        threads.push(std::thread::spawn(move || {
            let head = "POST /api/v1/messages HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                        transfer-encoding: chunked\r\n\r\n";
            demo.send(head.as_bytes()).expect("sent");
            let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
            // 50 MB, or as much as it takes until the connection is closed.
            for _ in 0..800 {
                if demo.send(chunk.as_bytes()).is_err() {
                    break;
                }
            }
            match demo.read_response() {
                Ok(response) => response.assert_problem(413, "body_too_large"),
                Err(error) => assert!(
                    matches!(
                        error.kind(),
                        ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe
                    ),
                    "{error}"
                ),
            }
        }));
    }
    for thread in threads {
        thread.join().expect("no panic");
    }
    let grown = resident_kib(broker.pid()).saturating_sub(before);
    assert!(grown < 32 << 10, "resident memory grew by {grown} KiB");
    submit(&mut broker.demo(), "others go on");
}

#[test]
fn too_large_headers_are_refused() {
    let broker = Broker::start();
    let mut demo = broker.demo();
    let large = "x".repeat(20 << 10);
    let answer = demo.post_with("/api/v1/messages", &[("x-large", &large)], message("x").as_bytes());
    answer.expect("answered").assert_problem(431, "head_too_large");
    let mut demo = broker.demo();
    demo.send(b"NO REQUEST\r\n\r\n").expect("sent");
    demo.read_response().expect("answered").assert_problem(400, "malformed_request");
    submit(&mut broker.demo(), "others go on");
}

#[test]
fn a_slow_loris_holds_up_nobody() {
    let broker = Broker::start();
    let mut slow: Vec<_> = (0..50).map(|_| broker.demo()).collect();
    for connection in &mut slow {
        connection.send(b"POST /api/v1/messages HTTP/1.1\r\nhost: x\r\n").expect("sent");
    }
    let begun = Instant::now();
    for round in 0..20 {
        submit(&mut broker.demo(), &format!("{round}"));
    }
    assert!(begun.elapsed() < HEAD / 2, "others wait: {:?}", begun.elapsed());
    // A byte now and then buys no time: every head is cut off 10 s after it began.
    let mut open = slow.len();
    while open > 0 {
        assert!(begun.elapsed() < HEAD + PATIENCE / 2, "{open} of 50 are open after {:?}", begun.elapsed());
        std::thread::sleep(Duration::from_millis(500));
        slow.retain_mut(|connection| connection.send(b"x").is_ok());
        open = slow.len();
        assert!(open == 50 || begun.elapsed() > HEAD / 2, "{open} of 50 after {:?}", begun.elapsed());
    }
}

/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(10);

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line VmRSS");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}
