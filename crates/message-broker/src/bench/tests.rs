//! The whole way against the in-process echo: certificates from disk, handshakes, both HTTP versions, counting.

use std::path::Path;
use std::time::Duration;

use mb_core::{Clock, DomainName, Role};
use mb_crypto::ca::{Ca, IssueRequest};

use super::load::Outcome;
use super::payload::{Form, Shape};
use super::*;

const SHAPE: Shape = Shape { form: Form::Single, items: 1, body_bytes: 200, topics: 0 };

/// A data directory with a CA, a proxy's certificate and some clients', laid out as the contract says.
fn data_dir(clients: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::create("test", Clock::System.now()).unwrap();
    let certs = dir.path().join("certs");
    std::fs::create_dir_all(&certs).unwrap();
    std::fs::write(certs.join("ca.crt"), ca.certificate_pem()).unwrap();
    write_leaf(&ca, &certs, "proxy", Role::Proxy);
    for client in clients {
        write_leaf(&ca, &certs.join("clients").join(client), client, Role::Client);
    }
    dir
}

fn write_leaf(ca: &Ca, folder: &Path, name: &str, role: Role) {
    let domain = DomainName::default();
    let request = IssueRequest {
        name,
        role,
        domain: (role == Role::Client).then_some(&domain),
        sans: &[],
        validity: Duration::from_hours(1),
        now: Clock::System.now(),
    };
    let issued = ca.issue(&request).unwrap();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(format!("{name}.crt")), issued.certificate_pem).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), issued.private_key_pem.expose()).unwrap();
}

fn load_on(echo: &Echo, tls: Vec<Arc<ClientConfig>>, http: Http, shape: Shape) -> Load {
    Load {
        target: Target::local(echo.address.port()),
        clients: tls,
        lanes: 3,
        http,
        streams: 4,
        shape,
        timeout: Duration::from_secs(10),
        new_connections: false,
        keep_ids: true,
        closed_loop: true,
    }
}

async fn send(dir: &Path, http: Http, shape: Shape, count: u64, new_connections: bool) -> Outcome {
    let echo = Echo::start(dir, http, shape).await.unwrap();
    let tls = Credentials::given(dir, None, None, None).tls(http).unwrap();
    let load = Load { new_connections, ..load_on(&echo, vec![tls], http, shape) };
    load::run(load, Schedule::new(Limit::Messages(count), None, shape.items)).await
}

#[tokio::test]
async fn every_message_of_the_count_is_sent_and_counted_once() {
    let dir = data_dir(&["demo"]);
    let batch = Shape { form: Form::Json, items: 10, body_bytes: 50, topics: 0 };
    let lines = Shape { form: Form::Ndjson, ..batch };
    for (http, shape) in [(Http::One, SHAPE), (Http::Two, SHAPE), (Http::One, batch), (Http::Two, lines)] {
        let Outcome { tally, .. } = send(dir.path(), http, shape, 100, false).await;
        assert_eq!((tally.accepted, &tally.fault, tally.handshakes), (100, &None, 3), "{http:?} {shape:?}");
        assert_eq!(tally.requests, 100 / shape.items as u64);
        assert_eq!(tally.latency.len(), tally.requests);
        assert_eq!(tally.sent.iter().map(|sent| sent.messages.len()).sum::<usize>(), 100);
    }
}

#[tokio::test]
async fn new_connections_means_a_handshake_for_each_request() {
    let dir = data_dir(&["demo"]);
    for http in [Http::One, Http::Two] {
        let Outcome { tally, .. } = send(dir.path(), http, SHAPE, 10, true).await;
        assert_eq!((tally.accepted, tally.handshakes), (10, 10), "{http:?}");
    }
}

#[tokio::test]
async fn all_clients_are_played_even_if_there_are_fewer_connections() {
    let names: Vec<String> = (1..=8).map(|number| format!("bench-{number:04}")).collect();
    let dir = data_dir(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let args = clients_of(8);
    let clients = credentials(&args, dir.path(), refuse()).await.unwrap();
    let tls: Vec<_> = clients.iter().map(|client| client.tls(Http::One).unwrap()).collect();
    let echo = Echo::start(dir.path(), Http::One, SHAPE).await.unwrap();
    let schedule = Schedule::new(Limit::Messages(400), None, 1);
    let Outcome { tally, .. } = load::run(load_on(&echo, tls, Http::One, SHAPE), schedule).await;
    let mut played: Vec<usize> = tally.sent.iter().map(|sent| sent.client).collect();
    played.sort_unstable();
    played.dedup();
    assert_eq!(played, (0..8).collect::<Vec<_>>());
    assert_eq!(tally.accepted, 400);
}

#[tokio::test]
async fn an_open_loop_keeps_its_rate() {
    let dir = data_dir(&["demo"]);
    let echo = Echo::start(dir.path(), Http::One, SHAPE).await.unwrap();
    let tls = Credentials::given(dir.path(), None, None, None).tls(Http::One).unwrap();
    let schedule = Schedule::new(Limit::Messages(21), Some(100.0), 1);
    let outcome = load::run(load_on(&echo, vec![tls], Http::One, SHAPE), schedule).await;
    assert_eq!(outcome.tally.accepted, 21);
    assert!(outcome.elapsed >= Duration::from_millis(195), "the 21st is due after 200 ms: {:?}", outcome.elapsed);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_one_clear_error() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = Target::find(&format!("https://127.0.0.1:{port}")).await.unwrap_err();
    assert!(format!("{error:#}").starts_with(&format!("connect to https://127.0.0.1:{port}")), "{error:#}");
}

#[tokio::test]
async fn clients_without_a_certificate_are_asked_for() {
    let dir = data_dir(&["bench-0002"]);
    let error = credentials(&clients_of(3), dir.path(), refuse()).await.unwrap_err();
    assert_eq!(error.root_cause().to_string(), "asked for bench-0001 bench-0003");
}

#[tokio::test]
async fn idle_connections_are_held_until_the_end() {
    let dir = data_dir(&["demo"]);
    let echo = Echo::start(dir.path(), Http::One, SHAPE).await.unwrap();
    let tls = Credentials::given(dir.path(), None, None, None).tls(Http::One).unwrap();
    let held = Held::open(5, &Target::local(echo.address.port()), &[tls]).await.unwrap();
    let idle = held.count();
    assert_eq!((idle.opened, idle.held), (5, 5));
}

/// An issuer that says what it was asked for and issues nothing.
fn refuse() -> Box<dyn FnOnce(Vec<String>) -> Doing> {
    Box::new(|names| Box::pin(async move { anyhow::bail!("asked for {}", names.join(" ")) }))
}

#[test]
fn of_the_destinations_of_a_run_the_first_never_answer() {
    let wanted = destinations::wanted(&args(&["--receive", "9000", "--destinations", "3", "--hang", "1"]));
    let urls = wanted.iter().map(|wanted| wanted.url.as_str()).collect::<Vec<_>>();
    let of =
        ["http://127.0.0.1:9000/hang/00000", "http://127.0.0.1:9000/take/00001", "http://127.0.0.1:9000/take/00002"];
    assert_eq!(urls, of);
    assert_eq!((wanted[1].name.as_str(), wanted[1].topic.as_str()), ("bench-00001", "bench.00001"));
    assert!(destinations::wanted(&args(&["--receive", "9000"])).is_empty(), "that one is there before");
}

fn clients_of(count: u32) -> BenchArgs {
    args(&["--clients", &count.to_string()])
}

fn args(these: &[&str]) -> BenchArgs {
    use clap::Parser as _;
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        bench: BenchArgs,
    }
    Line::parse_from(["bench"].iter().chain(these)).bench
}
