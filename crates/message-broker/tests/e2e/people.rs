//! People sign in beside the messages' way, and never in it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Broker, PATIENCE, submit};
use crate::http::Connection;

const EMAIL: &str = "root@example.org";
const PASSWORD: &str = "Correct horse 1";

/// A broker whose first admin is there.
fn broker() -> Broker {
    let broker = Broker::start_with(&[("ADMIN_EMAIL", EMAIL), ("ADMIN_PASSWORD", PASSWORD)]);
    let give_up = Instant::now() + PATIENCE;
    while !broker.stdout().contains(EMAIL) {
        assert!(Instant::now() < give_up, "no admin: {}", broker.stderr());
        std::thread::sleep(Duration::from_millis(20));
    }
    broker
}

fn server(broker: &Broker) -> Connection {
    Connection::anonymous(broker.dir(), broker.ports.server).expect("connected")
}

fn login(connection: &mut Connection, password: &str) -> crate::http::Response {
    let ask = json!({ "email": EMAIL, "password": password }).to_string();
    connection.post("/portal/auth/login", &ask).expect("answered")
}

#[test]
fn twenty_sign_ins_at_once_slow_neither_health_nor_submits() {
    let broker = broker();
    let (mut health, mut demo) = (server(&broker), broker.demo());
    submit(&mut demo, "before");
    let logins: Vec<_> = (0..20).map(|_| server(&broker)).collect();
    let threads: Vec<_> = logins
        .into_iter()
        .map(|mut connection| std::thread::spawn(move || login(&mut connection, PASSWORD).status))
        .collect();
    let (mut slowest, mut asked) = (Duration::ZERO, 0);
    while threads.iter().any(|thread| !thread.is_finished()) {
        let begun = Instant::now();
        assert_eq!(health.get("/health").expect("answered").status, 200);
        submit(&mut demo, "meanwhile");
        slowest = slowest.max(begun.elapsed());
        asked += 1;
    }
    for thread in threads {
        assert_eq!(thread.join().expect("no panic"), 200);
    }
    assert!(asked > 1, "all was over before anything was asked");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[test]
fn a_mail_server_that_says_nothing_holds_up_nobody() {
    // Connections are taken by the system, and nobody ever answers them.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a spare port");
    let port = silent.local_addr().expect("bound").port().to_string();
    let broker = Broker::start_with(&[
        ("ADMIN_EMAIL", EMAIL),
        ("ADMIN_PASSWORD", PASSWORD),
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_PORT", &port),
        ("SMTP_FROM", "broker@example.org"),
        ("MB_MAIL__TLS", "none"),
    ]);
    crate::lifecycle::welcome(&broker);
    let mut server = server(&broker);
    let forgot = json!({ "email": EMAIL }).to_string();
    for _ in 0..3 {
        let begun = Instant::now();
        let answer = server.post("/portal/auth/forgot-password", &forgot).expect("answered");
        assert!(answer.status < 300, "{}", answer.text());
        submit(&mut broker.demo(), "meanwhile");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    // It is tried all the same.
    silent.set_nonblocking(false).expect("set");
    drop(silent.accept().expect("the mail is on its way"));
}

#[test]
fn an_admin_signs_in_sees_the_account_and_is_held_after_guesses() {
    let broker = broker();
    let mut server = server(&broker);
    let tokens = login(&mut server, PASSWORD);
    assert_eq!(tokens.status, 200, "{}", tokens.text());
    let bearer = format!("Bearer {}", tokens.json()["access_token"].as_str().expect("a token"));
    let headers = [("authorization", bearer.as_str())];
    let profile = server.request("GET", "/portal/profile", &headers, b"").expect("answered");
    assert_eq!((profile.status, profile.json()["email"].as_str()), (200, Some(EMAIL)));
    for _ in 0..5 {
        login(&mut server, "Wrong horse 1").assert_problem(401, "wrong_credentials");
    }
    login(&mut server, PASSWORD).assert_problem(429, "account_locked");
}
