//! Certificates come to their end and nobody has to remember: renewed, taken up, no connection dropped.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::harness::{Broker, PATIENCE, submit};
use crate::http::Connection;

/// Short enough to be renewed within a test, long enough for a busy machine.
const VALIDITY: (&str, &str) = ("MB_PKI__COMPONENT_VALIDITY", "24");

mod needs_openssl {
    use super::*;

    /// The serial number that a port shows.
    fn shown(port: u16) -> String {
        let client = Command::new("openssl")
            .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .expect("openssl runs");
        let path = std::env::temp_dir().join(format!("shown-{}-{port}.pem", std::process::id()));
        std::fs::write(&path, client.stdout).expect("written");
        let read = Command::new("openssl").args(["x509", "-noout", "-serial", "-in"]).arg(&path).output();
        std::fs::remove_file(&path).expect("removed");
        String::from_utf8(read.expect("openssl runs").stdout).expect("text")
    }

    #[test]
    fn components_renew_themselves_and_open_connections_go_on() {
        let broker = Broker::start_with(&[VALIDITY]);
        let ports = [broker.ports.proxy, broker.ports.server, broker.ports.portal];
        let first = ports.map(shown);
        assert!(first.iter().all(|serial| serial.starts_with("serial=")), "{first:?}");
        let mut open = broker.demo();
        let mut ids = vec![submit(&mut open, "before")];
        let give_up = Instant::now() + PATIENCE;
        // Twice: the second renewal is made over what the first one brought.
        let mut before = first;
        for _ in 0..2 {
            loop {
                let now = ports.map(shown);
                if now.iter().zip(&before).all(|(now, before)| now.starts_with("serial=") && now != before) {
                    before = now;
                    break;
                }
                assert!(Instant::now() < give_up, "not renewed: {}", broker.stderr());
                ids.push(submit(&mut open, "meanwhile"));
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
        }
        ids.push(submit(&mut open, "on the old connection"));
        ids.push(submit(&mut broker.demo(), "on a new one"));
        broker.wait_delivered(&ids);
    }
}

#[test]
fn files_that_cannot_be_used_change_nothing() {
    let broker = Broker::start();
    let (certificate, key) = (broker.dir().join("certs/proxy.crt"), broker.dir().join("certs/proxy.key"));
    let whole = std::fs::read(&certificate).expect("readable");
    let give_up = Instant::now() + PATIENCE;
    // A file that is broken as the system starts is made anew.
    while !broker.stderr().contains("\"started\"") {
        assert!(Instant::now() < give_up, "not started: {}", broker.stderr());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::fs::write(&certificate, "no certificate").expect("written");
    while !broker.stderr().contains("certificate files cannot be used") {
        assert!(Instant::now() < give_up, "not noticed: {}", broker.stderr());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    submit(&mut broker.demo(), "served with the last good one");
    std::fs::write(&certificate, whole).expect("written");
    while !broker.stderr().contains("certificate taken up") {
        assert!(Instant::now() < give_up, "not noticed: {}", broker.stderr());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    submit(&mut broker.demo(), "served");
    assert!(key.exists());
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_certificate_holds_up_nobody_and_shows_in_health() {
    let broker = Broker::start();
    let certificate = broker.dir().join("certs/proxy.crt");
    let whole = std::fs::read(&certificate).expect("readable");
    let give_up = Instant::now() + PATIENCE;
    let wait = |what: &str, is_so: &dyn Fn() -> bool| {
        while !is_so() {
            assert!(Instant::now() < give_up, "{what}: {}", broker.stderr());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    wait("not started", &|| broker.stderr().contains("\"started\""));
    std::fs::remove_file(&certificate).expect("removed");
    assert!(Command::new("mkfifo").arg(&certificate).status().expect("mkfifo runs").success());
    let health = || {
        let mut proxy = Connection::anonymous(broker.dir(), broker.ports.proxy).expect("connected");
        proxy.get("/health").expect("answered").json()
    };
    wait("health says nothing", &|| {
        let found = health();
        found["status"] == "degraded" && found["checks"]["certificate_expiry"].to_string().contains("cannot be used")
    });
    submit(&mut broker.demo(), "served with the last good one");
    std::fs::remove_file(&certificate).expect("removed");
    std::fs::write(&certificate, whole).expect("written");
    wait("not taken up", &|| broker.stderr().contains("certificate taken up"));
    wait("still degraded", &|| !health()["checks"]["certificate_expiry"].to_string().contains("cannot be used"));
}

#[test]
fn a_client_renews_over_its_valid_certificate_and_gets_what_it_has() {
    let broker = Broker::start();
    let name = "certs/clients/demo/demo.crt";
    let request = mb_crypto::ca::SigningRequest::create("admin").expect("a request");
    let mut connection = Connection::client(broker.dir(), broker.ports.server, "demo").expect("connected");
    let headers = [("content-type", "application/x-pem-file")];
    let response = connection.post_with("/pki/renew", &headers, request.1.as_bytes()).expect("answered");
    assert_eq!(response.status, 200, "{}", response.text());
    std::fs::write(broker.dir().join(name), &response.body).expect("written");
    std::fs::write(broker.dir().join("certs/clients/demo/demo.key"), request.0.expose()).expect("written");
    submit(&mut broker.demo(), "with the new key");
    let refused = connection.post_with("/pki/renew", &headers, b"hello").expect("answered");
    refused.assert_problem(422, "validation_failed");
    let mut nobody = Connection::anonymous(broker.dir(), broker.ports.server).expect("connected");
    nobody
        .post_with("/pki/renew", &headers, request.1.as_bytes())
        .expect("answered")
        .assert_problem(401, "no_identity");
}
