//! Health, metrics, logs and request ids, as operators rely on them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::{Broker, accepted_id, message, submit};
use crate::http::Connection;

const GUARANTEED: [&str; 12] = [
    "mb_proxy_accepted_total",
    "mb_proxy_rejected_total",
    "mb_proxy_policy_age_seconds",
    "mb_journal_depth",
    "mb_journal_oldest_seconds",
    "mb_journal_fsync_seconds",
    "mb_queue_depth",
    "mb_server_registered_total",
    "mb_worker_delivery_attempts_total",
    "mb_dead_letters",
    "mb_certificate_expiry_timestamp_seconds",
    "mb_backup_last_success_timestamp_seconds",
];

#[test]
fn the_guaranteed_metrics_of_all_roles_are_on_the_workers_port() {
    let broker = Broker::start();
    let id = submit(&mut broker.demo(), "x");
    broker.wait_delivered(&[id]);
    broker.demo().post("/api/v1/messages", "{").expect("answered").assert_problem(400, "malformed_json");
    let (head, text) = plain(broker.ports.worker, "/metrics");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    for name in GUARANTEED {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name} is missing:\n{text}");
    }
    assert!(text.contains("mb_certificate_expiry_timestamp_seconds{role=\"server\"}"), "{text}");
    assert!(text.lines().any(|line| line == "mb_proxy_accepted_total 1"), "{text}");
    assert!(text.lines().any(|line| line == "mb_server_registered_total 1"), "{text}");
    assert!(text.contains("mb_proxy_rejected_total{code=\"malformed_json\"} 1"), "{text}");
}

#[test]
fn tls_ports_show_metrics_to_monitoring_and_loopback_only_as_configured() {
    let broker = Broker::start_with(&[("MB_METRICS__LOOPBACK", "false")]);
    for port in [broker.ports.proxy, broker.ports.server] {
        let mut anonymous = Connection::anonymous(broker.dir(), port).expect("connected");
        let refused = anonymous.get("/metrics").expect("answered");
        assert!([401, 403].contains(&refused.status), "{}", refused.text());
        let mut client = Connection::client(broker.dir(), port, "demo").expect("connected");
        assert_eq!(client.get("/metrics").expect("answered").status, 403);
        let allowed = broker.component("monitoring", port).get("/metrics").expect("answered");
        assert_eq!(allowed.status, 200);
        assert!(allowed.header("content-type").is_some_and(|value| value.contains("text")), "{allowed:?}");
    }
    let off = Broker::start_with(&[("METRICS_ENABLED", "false")]);
    assert!(plain(off.ports.worker, "/metrics").0.starts_with("HTTP/1.1 404"));
}

#[test]
fn every_component_tells_its_health() {
    let broker = Broker::start();
    for port in [broker.ports.proxy, broker.ports.server, broker.ports.portal] {
        let mut anonymous = Connection::anonymous(broker.dir(), port).expect("connected");
        for path in ["/health", "/health/live", "/health/ready"] {
            let response = anonymous.get(path).expect("answered");
            assert_eq!(response.status, 200, "{path} on {port}: {}", response.text());
        }
        let health = anonymous.get("/health").expect("answered").json();
        assert_eq!(health["status"], "healthy", "{health}");
        assert!(health["version"].is_string() && health["timestamp"].is_string(), "{health}");
        assert!(health["uptime_seconds"].is_u64() && health["checks"].is_object(), "{health}");
    }
    let mut anonymous = Connection::anonymous(broker.dir(), broker.ports.proxy).expect("connected");
    assert_eq!(anonymous.get("/api/v1/health").expect("answered").status, 200);
    let (head, body) = plain(broker.ports.worker, "/health");
    assert!(head.starts_with("HTTP/1.1 200") && body.contains("\"status\""), "{head}{body}");
    let mut server = Connection::anonymous(broker.dir(), broker.ports.server).expect("connected");
    let root = server.get("/").expect("answered").json();
    assert_eq!(root["service"], "message-broker");
    assert!(root["version"].is_string() && root["status"].is_string());
    let mut portal = Connection::anonymous(broker.dir(), broker.ports.portal).expect("connected");
    assert!(portal.get("/login").expect("answered").text().contains("<html"));
}

#[test]
fn request_ids_are_kept_or_replaced_and_come_back() {
    let broker = Broker::start();
    let mut demo = broker.demo();
    let good = demo.request("GET", "/health", &[("x-request-id", "abc-1.2_Z")], b"").expect("answered");
    assert_eq!(good.header("x-request-id"), Some("abc-1.2_Z"));
    for bad in ["has space", "ümlaut", &"x".repeat(65), "a\"b"] {
        let response = demo.request("GET", "/health", &[("x-request-id", bad)], b"").expect("answered");
        let given = response.header("x-request-id").expect("an id").to_owned();
        assert!(given != bad && !given.is_empty() && given.is_ascii(), "{given}");
    }
}

#[test]
fn a_plain_http_request_on_the_portals_port_is_redirected() {
    let broker = Broker::start();
    let (head, _) = plain(broker.ports.portal, "/messages?status=failed");
    assert!(head.starts_with("HTTP/1.1 30"), "{head}");
    let location = head.lines().find(|line| line.to_ascii_lowercase().starts_with("location:")).expect("a location");
    assert!(location.contains("https://") && location.contains("/messages?status=failed"), "{location}");
}

#[test]
fn logs_are_json_lines_without_a_terminal() {
    let broker = Broker::start_with(&[("LOG_LEVEL", "debug")]);
    submit(&mut broker.demo(), "x");
    let log = broker.stderr();
    assert!(!log.trim().is_empty());
    for line in log.lines() {
        let parsed: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(parsed["level"].is_string() && parsed["timestamp"].is_string(), "{line}");
    }
}

#[test]
fn each_component_has_a_log_file_of_its_own() {
    let mut broker = Broker::start_with(&[("LOG_LEVEL", "debug")]);
    submit(&mut broker.demo(), "a text that no log has");
    assert!(plain(broker.ports.worker, "/health").0.starts_with("HTTP/1.1 200"));
    let mut portal = Connection::anonymous(broker.dir(), broker.ports.portal).expect("connected");
    portal.get("/login").expect("answered");
    // The end of the process writes the last lines.
    broker.terminate();
    for (name, target) in [
        ("main_server.log", "/internal/messages/register"),
        ("proxy.log", "/api/v1/messages"),
        ("proxy.log", "journal opened"),
        ("worker.log", "/health"),
        ("portal.log", "/login"),
    ] {
        let text = std::fs::read_to_string(broker.dir().join("logs").join(name)).expect("a log file");
        for line in text.lines() {
            let parsed: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(parsed["level"].is_string() && parsed["timestamp"].is_string(), "{line}");
        }
        assert!(text.contains(target), "{name} has nothing of {target}: {text}");
        assert!(!text.contains("a text that no log has") && !text.contains("+49151"), "{name}");
    }
}

pub(crate) fn plain(port: u16, path: &str) -> (String, String) {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("sent");
    let mut text = String::new();
    socket.read_to_string(&mut text).expect("read");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    (head.to_owned(), body.to_owned())
}

#[test]
fn a_message_is_followed_through_the_logs_of_every_role() {
    let broker = Broker::start_with(&[("LOG_LEVEL", "debug")]);
    let request = [("X-Request-Id", "trace-me-42"), ("Content-Type", "application/json")];
    let answer =
        broker.demo().post_with("/api/v1/messages", &request, message("followed").as_bytes()).expect("answered");
    let id = accepted_id(&answer);
    broker.wait_delivered(std::slice::from_ref(&id));
    let line = |file: &str, needles: &[&str]| {
        let path = broker.dir().join("logs").join(file);
        let give_up = Instant::now() + Duration::from_secs(10);
        loop {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let found = text.lines().find(|line| needles.iter().all(|needle| line.contains(needle))).map(str::to_owned);
            if let Some(found) = found {
                return serde_json::from_str::<serde_json::Value>(&found).expect("JSON");
            }
            assert!(Instant::now() < give_up, "{file} has no line with {needles:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    line("proxy.log", &["trace-me-42", &id]);
    let registered = line("worker.log", &["message registered", &id]);
    let call = registered["request.id"].as_str().expect("an id").to_owned();
    line("main_server.log", &["/internal/messages/register", &call]);
}
