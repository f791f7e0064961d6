//! Ports as their callers meet them: over real sockets on the loopback address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use bytes::Bytes;
use http::Version;
use mb_api::client::{Client, ClientError, Transport};
use mb_api::dto::delivery::RegisterQuery;
use mb_api::dto::{Epoch, RegisterAnswer, RegisterResult};
use mb_api::{Peer, paths};
use mb_core::policy::{CertificateRef, MasterPublicKey, RateLimits};
use mb_core::{Clock, Identity, KeyId, Policy, Role};
use mb_crypto::ca::{Ca, IssueRequest, Issued};
use mb_crypto::tls::{ReloadableServerConfig, client_config, server_config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

mod refusing;
mod shutting_out;

use super::*;
use crate::app::{App, AppConfig};
use crate::error::RuntimeError;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;

struct Port {
    ca: Ca,
    addr: SocketAddr,
    lifecycle: Lifecycle,
    policy: watch::Sender<Arc<Policy>>,
}

fn issue(ca: &Ca, name: &str, role: Role) -> Issued {
    let request = IssueRequest {
        name,
        role,
        domain: None,
        sans: &[],
        validity: Duration::from_hours(1),
        now: Clock::System.now(),
    };
    ca.issue(&request).expect("issued")
}

fn ca() -> Ca {
    Ca::create("test CA", Clock::System.now()).expect("a CA")
}

fn policy(revoked: BTreeSet<CertificateRef>) -> Arc<Policy> {
    let master_key = MasterPublicKey { id: KeyId::from_bytes([0; 16]), x25519: vec![] };
    let (suspended, domains, limits) = (BTreeSet::new(), BTreeMap::new(), RateLimits::default());
    let (expunged, issuers, ca_pem) = (BTreeMap::new(), BTreeSet::new(), String::new());
    Arc::new(Policy { version: 1, ca_pem, issuers, master_key, revoked, suspended, domains, limits, expunged })
}

async fn who(peer: Peer, request: axum::extract::Request) -> String {
    let name = peer.identity.map_or_else(|| "nobody".to_owned(), |identity| identity.name.clone());
    format!("{name} {:?}!", request.version())
}

async fn register(peer: Peer, request: axum::extract::Request) -> axum::Json<RegisterAnswer> {
    let result = match (peer.identity, request.version()) {
        (Some(identity), Version::HTTP_2) => RegisterResult::Quarantined(identity.name.clone().into()),
        _ => RegisterResult::Duplicate,
    };
    axum::Json(RegisterAnswer {
        epoch: Epoch::from_bytes([1; 16]),
        results: vec![result],
        leased: mb_api::dto::delivery::LeasedDeliveries::default(),
    })
}

fn serve(limits: Limits, plain_text: PlainText) -> Port {
    let ca = ca();
    let server = issue(&ca, "server", Role::Server);
    let tls = server_config(&server.certificate_pem, server.private_key_pem.expose(), ca.certificate_pem());
    let router = Router::new()
        .route("/who", get(who))
        .route("/refused", post(async || http::StatusCode::FORBIDDEN))
        .route("/hang", get(std::future::pending::<&'static str>))
        .route(paths::REGISTER, post(register))
        .route("/small", post(|body: Body| async move { crate::body::read_body(body, 1000).await.map(|_| "read") }));
    let app = App::new(AppConfig::new(Role::Server, &[paths::REGISTER]), router, &mut Metrics::new());
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let addr = listener.local_addr();
    let (sender, receiver) = watch::channel(policy(BTreeSet::new()));
    let lifecycle = Lifecycle::new();
    let tls = Arc::new(ReloadableServerConfig::new(tls.expect("a configuration")));
    TlsServer { limits, plain_text, policy: Some(receiver.into()), ..TlsServer::new(listener, tls, app) }
        .start(&lifecycle);
    Port { ca, addr, lifecycle, policy: sender }
}

impl Port {
    fn client(&self, issuer: &Ca) -> Client {
        let own = issue(issuer, "worker", Role::Worker);
        let identity = (own.certificate_pem.as_str(), own.private_key_pem.expose().as_str());
        let tls = client_config(Some(identity), self.ca.certificate_pem(), &[]).expect("a configuration");
        let base = format!("https://localhost:{}", self.addr.port());
        Client::new(Transport::mtls(tls, &base).expect("a URL"))
    }

    /// An HTTP/1.1 connection.
    async fn connect(&self, own: Option<&Issued>) -> TlsStream<TcpStream> {
        let identity = own.map(|own| (own.certificate_pem.as_str(), own.private_key_pem.expose().as_str()));
        let tls = client_config(identity, self.ca.certificate_pem(), &[b"http/1.1"]).expect("a configuration");
        let tcp = TcpStream::connect(self.addr).await.expect("connected");
        let name = "localhost".try_into().expect("a name");
        TlsConnector::from(Arc::new(tls)).connect(name, tcp).await.expect("a handshake")
    }
}

/// One request; reads until `end` was seen or the other side closed.
async fn ask<S: AsyncReadExt + AsyncWriteExt + Unpin>(stream: &mut S, request: &str, end: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains(end) {
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_buf(&mut answer)).await;
        match read.expect("answered in time") {
            Ok(read) if read > 0 => {}
            _ => break,
        }
    }
    String::from_utf8(answer).expect("text")
}

async fn closes<S: AsyncReadExt + Unpin>(stream: &mut S) -> bool {
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut [0; 64])).await;
    read.is_ok_and(|read| read.unwrap_or(0) == 0)
}

const WHO: &str = "GET /who HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn the_certificate_names_the_peer_and_the_client_speaks_http_2() {
    let port = serve(Limits::default(), PlainText::Refuse);
    let answer = port.client(&port.ca).register(Bytes::new(), &RegisterQuery::default(), None).await.expect("answered");
    assert_eq!(answer.results, [RegisterResult::Quarantined("worker".into())]);
    let mut anonymous = port.connect(None).await;
    assert!(ask(&mut anonymous, WHO, "/1.1!").await.ends_with("nobody HTTP/1.1!"));
    let own = issue(&port.ca, "demo", Role::Client);
    let mut named = port.connect(Some(&own)).await;
    for _ in 0..2 {
        assert!(ask(&mut named, WHO, "/1.1!").await.ends_with("demo HTTP/1.1!"));
    }
    port.lifecycle.drain().await.expect("an orderly stop");
}

#[tokio::test]
async fn a_certificate_of_another_ca_does_not_get_in() {
    let port = serve(Limits::default(), PlainText::Refuse);
    let error = port.client(&ca()).register(Bytes::new(), &RegisterQuery::default(), None).await.expect_err("refused");
    assert!(matches!(error, ClientError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn an_open_connection_ends_when_its_certificate_is_revoked() {
    let port = serve(Limits::default(), PlainText::Refuse);
    let (good, bad) = (issue(&port.ca, "good", Role::Client), issue(&port.ca, "bad", Role::Client));
    let (mut stays, mut ends) = (port.connect(Some(&good)).await, port.connect(Some(&bad)).await);
    for stream in [&mut stays, &mut ends] {
        ask(stream, WHO, "/1.1!").await;
    }
    let Identity { issuer, serial, .. } = bad.identity;
    port.policy.send_replace(policy(BTreeSet::from([CertificateRef { issuer, serial }])));
    assert!(closes(&mut ends).await);
    assert!(ask(&mut stays, WHO, "/1.1!").await.ends_with("good HTTP/1.1!"));
}

#[tokio::test]
async fn the_soft_stop_closes_idle_connections_and_refuses_new_ones() {
    let port = serve(Limits::default(), PlainText::Refuse);
    let mut idle = port.connect(None).await;
    ask(&mut idle, WHO, "/1.1!").await;
    let begun = std::time::Instant::now();
    port.lifecycle.drain().await.expect("an orderly stop");
    assert!(begun.elapsed() < Duration::from_secs(2), "nothing was in work");
    assert!(closes(&mut idle).await);
    assert!(TcpStream::connect(port.addr).await.is_err());
}

#[tokio::test]
async fn stopping_at_once_cuts_requests_in_work() {
    let port = serve(Limits::default(), PlainText::Refuse);
    let mut hung = port.connect(None).await;
    let request = "POST /small HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n";
    // The answer says that the handler waits for the body.
    assert!(ask(&mut hung, request, "100 Continue").await.contains("100 Continue"));
    let begun = std::time::Instant::now();
    port.lifecycle.stop();
    let mut drain = std::pin::pin!(port.lifecycle.drain());
    let in_work = tokio::time::timeout(Duration::from_millis(200), drain.as_mut()).await;
    assert!(in_work.is_err(), "the soft phase waits for the request");
    port.lifecycle.cut();
    drain.await.expect("an orderly stop");
    assert!(closes(&mut hung).await);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn stalled_handshakes_keep_nobody_out() {
    let port = serve(Limits::default(), PlainText::Refuse);
    let mut stalled = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(port.addr).await.expect("connected");
        // The head of a handshake record whose body never comes.
        stream.write_all(&[22, 3, 1, 2, 0]).await.expect("sent");
        stalled.push(stream);
    }
    let begun = std::time::Instant::now();
    assert!(ask(&mut port.connect(None).await, WHO, "/1.1!").await.ends_with("nobody HTTP/1.1!"));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn plain_http_is_answered_in_plain_http() {
    let request = "GET /login?next=1 HTTP/1.1\r\nhost: evil.example\r\n\r\n";
    for (how, status, words) in [
        (PlainText::Refuse, "400 Bad Request", "application/problem+json"),
        (
            PlainText::Redirect("https://broker.example".into()),
            "308 Permanent Redirect",
            "https://broker.example/login?next=1",
        ),
    ] {
        let port = serve(Limits::default(), how);
        let mut stream = TcpStream::connect(port.addr).await.expect("connected");
        let answer = ask(&mut stream, request, "never").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(words), "{answer}");
    }
}

#[tokio::test]
async fn heads_and_bodies_over_the_limit_are_refused_and_the_connection_ends() {
    let port = serve(Limits::default(), PlainText::Refuse);
    let head = format!("GET /who HTTP/1.1\r\nhost: localhost\r\nx-big: {}\r\n\r\n", "x".repeat(17_000));
    let answer = ask(&mut port.connect(None).await, &head, "never").await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let body = "7d0\r\n".to_owned() + &"y".repeat(2000) + "\r\n";
    let endless = format!("POST /small HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n{body}");
    let mut stream = port.connect(None).await;
    let answer = ask(&mut stream, &endless, "body_too_large").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(closes(&mut stream).await);
}

#[tokio::test]
async fn a_refusal_before_the_body_keeps_the_connection_if_the_body_is_small() {
    let port = serve(Limits::default(), PlainText::Refuse);
    let mut stream = port.connect(None).await;
    let refused = |headers: &str| format!("POST /refused HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    // The body comes after the head, so that the handler has answered when it arrives.
    stream.write_all(refused("content-length: 9000\r\n").as_bytes()).await.expect("sent");
    stream.flush().await.expect("sent");
    tokio::task::yield_now().await;
    let body = "x".repeat(9000);
    let answer = ask(&mut stream, &body, "}").await;
    assert!(answer.starts_with("HTTP/1.1 403") && !answer.contains("connection: close"), "{answer}");
    assert!(ask(&mut stream, WHO, "/1.1!").await.ends_with("nobody HTTP/1.1!"));
    let large = refused("content-length: 9000000\r\n");
    let answer = ask(&mut stream, &large, "}").await;
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(closes(&mut stream).await);
    let mut stream = port.connect(None).await;
    let waiting = refused("content-length: 9\r\nexpect: 100-continue\r\n");
    let answer = ask(&mut stream, &waiting, "}").await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("connection: close"), "{answer}");
}

#[test]
fn a_bound_that_changes_holds_for_the_next_connection() {
    let slots = accept::Slots::new(1);
    let first = slots.take();
    assert!(first.is_some() && slots.take().is_none());
    slots.set_most(2);
    let second = slots.take();
    assert!(second.is_some() && slots.take().is_none());
    slots.set_most(1);
    drop(second);
    assert!(slots.take().is_none(), "one is still open");
    drop(first);
    assert!(slots.take().is_some());
}

#[tokio::test]
async fn connections_over_the_bound_are_closed() {
    let port = serve(Limits { connections: 1, ..Limits::default() }, PlainText::Refuse);
    let mut first = port.connect(None).await;
    let mut second = TcpStream::connect(port.addr).await.expect("the system accepts it");
    assert!(closes(&mut second).await);
    assert!(ask(&mut first, WHO, "/1.1!").await.ends_with("nobody HTTP/1.1!"));
}

#[tokio::test]
async fn a_peer_that_does_not_finish_its_handshake_or_head_is_cut() {
    let short = Duration::from_millis(100);
    let port = serve(Limits { handshake: short, head: short, ..Limits::default() }, PlainText::Refuse);
    let mut silent = TcpStream::connect(port.addr).await.expect("connected");
    assert!(closes(&mut silent).await);
    let port = serve(Limits { head: short, ..Limits::default() }, PlainText::Refuse);
    let mut slow = port.connect(None).await;
    slow.write_all(b"GET /who HTTP/1.1\r\nho").await.expect("sent");
    assert!(closes(&mut slow).await);
}

#[tokio::test]
async fn a_port_in_use_is_said_to_be() {
    let first = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let error = Listener::bind(first.local_addr()).expect_err("taken");
    assert!(matches!(error, RuntimeError::AddressInUse(addr) if addr == first.local_addr()));
}

#[tokio::test]
async fn the_plain_port_serves_and_stops() {
    let router = Router::new().route("/who", get(who));
    let app = App::new(AppConfig::new(Role::Worker, paths::WORKER), router, &mut Metrics::new());
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let (addr, lifecycle) = (listener.local_addr(), Lifecycle::new());
    PlainServer::new(listener, app).start(&lifecycle);
    let mut stream = TcpStream::connect(addr).await.expect("connected");
    assert!(ask(&mut stream, WHO, "/1.1!").await.ends_with("nobody HTTP/1.1!"));
    lifecycle.drain().await.expect("an orderly stop");
    assert!(closes(&mut stream).await);
}
