//! How long the portal's pages take on a store that is full. By default the store is small and only the way is tried;
//! `MB_TEST_PORTAL_MESSAGES=10000000` asks for the real thing, on a machine with nothing else to do and a release build
//! (`MB_TEST_BINARY`), and holds it to 50 ms.

use std::time::{Duration, Instant};

use crate::harness::Broker;
use crate::http::Connection;
use crate::portal::browser::{ADMIN, PASSWORD, broker};

/// What 95 of 100 answers may take.
const BOUND: Duration = Duration::from_millis(50);

const PAGES: [&str; 8] = [
    "/",
    "/?period=30d",
    "/messages",
    "/messages?status=failed",
    "/messages?topic=default&limit=25",
    "/messages?sender=%2B4915112345678",
    "/messages?client_id=generated-1",
    "/admin/clients",
];

#[expect(clippy::disallowed_methods, reason = "a test's own switch")]
fn wanted() -> Option<u64> {
    std::env::var("MB_TEST_PORTAL_MESSAGES").ok()?.parse().ok()
}

/// Signs in and returns the session's cookie.
fn sign_in(connection: &mut Connection) -> String {
    let page = connection.get("/login").expect("answered");
    let cookie = |response: &crate::http::Response, name: &str| {
        let set = response.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case("set-cookie"));
        let mut pairs = set.filter_map(|(_, value)| value.split(';').next()).filter(|pair| pair.starts_with(name));
        pairs.next().map(str::to_owned).expect("a cookie")
    };
    let csrf = cookie(&page, "__Host-csrf=");
    let token = csrf.split_once('=').expect("a pair").1;
    let form = format!("csrf={token}&email={}&password={PASSWORD}", ADMIN.replace('@', "%40"));
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("cookie", csrf.as_str())];
    let answer = connection.post_with("/login", &headers, form.as_bytes()).expect("answered");
    assert_eq!(answer.status, 303, "{}", answer.text());
    cookie(&answer, "__Host-session=")
}

fn percentile(times: &mut [Duration], share: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * share / 100).min(times.len() - 1)]
}

fn filled(count: u64) -> Broker {
    let mut broker = broker();
    broker.kill();
    broker.run_ok(&["generate", "--count", &count.to_string(), "--clients", "1000", "--yes"]);
    broker.restart();
    broker
}

#[test]
fn pages_answer_however_many_messages_there_are() {
    let (count, rounds) = wanted().map_or((2000, 3), |count| (count, 100));
    let broker = filled(count);
    let mut connection = Connection::anonymous(broker.dir(), broker.ports.portal).expect("connected");
    let cookie = sign_in(&mut connection);
    let headers = [("cookie", cookie.as_str()), ("accept", "text/html")];
    let mut slow = Vec::new();
    for page in PAGES {
        let mut times = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let begun = Instant::now();
            let answer = connection.request("GET", page, &headers, b"").expect("answered");
            times.push(begun.elapsed());
            assert_eq!(answer.status, 200, "{page}: {}", answer.text());
        }
        let (p50, p95) = (percentile(&mut times, 50), percentile(&mut times, 95));
        println!("{page}: p50 {p50:?}, p95 {p95:?} with {count} messages");
        if wanted().is_some() && p95 > BOUND {
            slow.push(format!("{page}: {p95:?}"));
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
}
