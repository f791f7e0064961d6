//! The routes over a real journal, before a main server that can be away.

mod certificate;
mod limits;
mod memory;
mod withdrawing;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use mb_api::client::Transport;
use mb_api::dto::{InternalStatusAnswer, InternalStatusRequest, MessageStatus, PolicyQuery};
use mb_api::request_id;
use mb_api::{Peer, paths};
use mb_core::policy::RateLimits;
use mb_core::{ClientName, DomainName, Identity, MessageId, MessageState, Role, Timestamp, Topic};
use mb_crypto::ca::{Ca, IssueRequest};
use mb_crypto::master::MasterKey;
use mb_queue::{Claim, Disk, JournalConfig, Queue, RedisAddress, RedisConfig};
use mb_runtime::{App, AppConfig};
use tempfile::TempDir;
use tower::ServiceExt;

use super::*;

/// The main server: its policy, and what it knows of messages.
struct MainServer {
    policy: Policy,
    away: AtomicBool,
    known: Mutex<Vec<MessageId>>,
    /// What it does not know when it is to be withdrawn is registered right after.
    registers: AtomicBool,
    request_ids: Mutex<Vec<String>>,
}

async fn policy(State(server): State<Arc<MainServer>>, Query(query): Query<PolicyQuery>) -> Json<Policy> {
    if query.since.is_some() {
        std::future::pending::<()>().await;
    }
    Json(server.policy.clone())
}

async fn status(
    State(server): State<Arc<MainServer>>,
    headers: HeaderMap,
    Json(asked): Json<InternalStatusRequest>,
) -> Response {
    server
        .request_ids
        .lock()
        .expect("no panic while held")
        .extend(headers.get(request_id::HEADER).and_then(|id| id.to_str().ok()).map(str::to_owned));
    if server.away.load(Ordering::Relaxed) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let known = server.known.lock().expect("no panic while held");
    let data = asked.ids.iter().filter(|id| known.contains(id)).map(delivered).collect();
    Json(InternalStatusAnswer { data, elsewhere: Vec::new() }).into_response()
}

fn delivered(id: &MessageId) -> MessageStatus {
    let now = Clock::System.now();
    MessageStatus {
        message_id: *id,
        status: MessageState::Delivered,
        topic: Topic::default(),
        queued_at: now,
        registered_at: Some(now),
        delivered_at: Some(now),
        failed_at: None,
        attempt_count: 1,
        last_error: None,
        deliver_at: None,
        expires_at: None,
    }
}

struct Rig {
    proxy: Proxy,
    app: App,
    journal: Journal,
    server: Arc<MainServer>,
    ca: Ca,
    _dir: TempDir,
}

impl Rig {
    async fn start() -> Self {
        Self::start_with(0, RateLimits::default()).await
    }

    /// A proxy with a limit of its own, under a policy with others.
    async fn start_with(rate_limit: u32, limits: RateLimits) -> Self {
        Self::start_at(Clock::System, rate_limit, limits).await
    }

    /// A proxy whose certificate was issued just now, by its clock.
    async fn start_at(clock: Clock, rate_limit: u32, limits: RateLimits) -> Self {
        let dir = TempDir::new().expect("temporary folder");
        let config = JournalConfig { segment_bytes: 1 << 20, ..JournalConfig::new(dir.path().join("journal")) };
        let (journal, _) = Journal::open(config, clock.clone(), Disk::Real).expect("opens");
        let master_key = MasterKey::generate().expect("a key").public();
        let ca = Ca::create("test CA", clock.now()).expect("a CA");
        let ca_pem = ca.certificate_pem().to_owned();
        let (revoked, suspended, domains) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        let (expunged, issuers) = (BTreeMap::new(), BTreeSet::new());
        let server = Arc::new(MainServer {
            policy: Policy { version: 1, ca_pem, issuers, master_key, revoked, suspended, domains, limits, expunged },
            away: AtomicBool::new(false),
            known: Mutex::default(),
            registers: AtomicBool::new(false),
            request_ids: Mutex::default(),
        });
        let router = Router::new()
            .route(paths::POLICY, get(policy))
            .route(paths::STATUS, post(status))
            .route(paths::CANCEL, post(withdrawing::cancel));
        let client = Client::new(Transport::in_process(router.with_state(Arc::clone(&server)), Peer::default()));
        let config = ProxyConfig { dir: dir.path().to_owned(), policy_max_age: Duration::from_hours(1), rate_limit };
        let proxy = Proxy::open(&config, journal.clone(), signer(&ca, clock.now()), client, clock, &mut Metrics::new());
        let proxy = proxy.expect("opens");
        proxy.start(&Lifecycle::new());
        proxy.policy().wait_for(Option::is_some).await.expect("a policy");
        let app = App::new(AppConfig::new(Role::Proxy, paths::PROXY), proxy.router(), &mut Metrics::new());
        Self { proxy, app, journal, server, ca, _dir: dir }
    }

    async fn send(&self, method: &str, path: &str, content_type: &str, body: Body) -> (StatusCode, serde_json::Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .header("x-request-id", "trace-7")
            .extension(peer());
        let request = request.body(body).expect("a request");
        let (parts, body) = self.app.clone().oneshot(request).await.expect("infallible").into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        (parts.status, serde_json::from_slice(&bytes).expect("JSON"))
    }

    async fn submit(&self) -> MessageId {
        let (status, answer) = self.send("POST", paths::MESSAGES, "application/json", Body::from(MESSAGE)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        MessageId::parse(answer["message_id"].as_str().expect("an id")).expect("an id")
    }

    /// Hands everything over and confirms it, as the worker does.
    async fn settle(&self) {
        let queue = Queue::Embedded(self.journal.clone());
        let claimed = queue.claim("test", Claim { entries: 100, bytes: 1 << 20 }).await;
        let tags: Vec<_> = claimed.entries.iter().map(|entry| entry.tag).collect();
        queue.ack_present([1; 16], &tags).await;
    }

    async fn one(&self, id: MessageId) -> (StatusCode, serde_json::Value) {
        self.send("GET", &paths::MESSAGE.replace("{id}", &id.to_string()), "", Body::empty()).await
    }

    async fn many(&self, ids: &[MessageId]) -> (StatusCode, serde_json::Value) {
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let body = serde_json::json!({ "ids": ids }).to_string();
        self.send("POST", paths::MESSAGES_STATUS, "application/json", Body::from(body)).await
    }

    async fn ndjson(&self, body: Body) -> (StatusCode, serde_json::Value) {
        self.send("POST", paths::MESSAGES_BATCH, "application/x-ndjson", body).await
    }

    fn budget(&self) -> usize {
        self.proxy.shared.budget.free() >> 10
    }
}

/// What all requests together may hold.
const BUDGET_KIB: usize = 128 << 10;

const MESSAGE: &str = r#"{"sender_number":"+4915112345678","message_body":"hi"}"#;

/// A proxy's certificate that is good for half an hour.
fn signer(ca: &Ca, now: Timestamp) -> Signer {
    let (role, validity) = (Role::Proxy, Duration::from_mins(30));
    let issued = ca.issue(&IssueRequest { name: "proxy", role, domain: None, sans: &[], validity, now });
    let issued = issued.expect("issued");
    Signer::from_pem(&issued.certificate_pem, issued.private_key_pem.expose()).expect("a signer")
}

fn peer() -> Peer {
    let now = Clock::System.now();
    Peer::in_process(Arc::new(Identity {
        name: "demo".into(),
        role: Role::Client,
        domain: Some(DomainName::default()),
        issuer: [0; 16],
        serial: vec![1],
        fingerprint: String::new(),
        not_before: now,
        not_after: now.plus(Duration::from_hours(1)),
    }))
}

/// Sends pieces, then breaks off or falls silent.
struct Pieces(Vec<Bytes>, After);

#[derive(Clone, Copy)]
enum After {
    BreaksOff,
    FallsSilent,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        match (self.0.is_empty(), self.1) {
            (false, _) => Poll::Ready(Some(Ok(Frame::data(self.0.remove(0))))),
            (true, After::BreaksOff) => Poll::Ready(Some(Err(std::io::ErrorKind::UnexpectedEof.into()))),
            (true, After::FallsSilent) => Poll::Pending,
        }
    }
}

fn pieces(pieces: &[&str], after: After) -> Body {
    Body::new(Pieces(pieces.iter().map(|piece| Bytes::copy_from_slice(piece.as_bytes())).collect(), after))
}

#[tokio::test]
async fn a_stored_message_is_never_said_to_be_queued() {
    let rig = Rig::start().await;
    let stored = rig.submit().await;
    rig.settle().await;
    let waiting = rig.submit().await;

    rig.server.away.store(true, Ordering::Relaxed);
    assert_eq!(rig.one(waiting).await.1["status"], "queued");
    let (status, problem) = rig.one(stored).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &"status_unavailable".into()));
    // An answer to many is whole or none.
    assert_eq!(rig.many(&[waiting, waiting]).await.1["data"].as_array().map(Vec::len), Some(1));
    for ids in [&[waiting, stored][..], &[waiting, MessageId::v8(&[7; 32])]] {
        assert_eq!(rig.many(ids).await.1["code"], "status_unavailable");
    }

    rig.server.away.store(false, Ordering::Relaxed);
    rig.server.known.lock().expect("no panic while held").push(stored);
    assert_eq!(rig.one(stored).await.1["status"], "delivered");
    let (_, answer) = rig.many(&[waiting, stored, MessageId::v8(&[7; 32])]).await;
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(2), "{answer}");
    let ids = rig.server.request_ids.lock().expect("no panic while held");
    assert!(!ids.is_empty() && ids.iter().all(|id| id == "trace-7"), "{ids:?}");
}

#[tokio::test]
async fn anothers_message_is_not_there_whoever_is_away() {
    let rig = Rig::start().await;
    let id = rig.submit().await;
    rig.server.away.store(true, Ordering::Relaxed);
    let mut stranger = peer();
    let identity = stranger.identity.as_mut().map(Arc::make_mut).expect("a certificate");
    identity.name = "stranger".into();
    let path = paths::MESSAGE.replace("{id}", &id.to_string());
    let request = Request::get(path).extension(stranger).body(Body::empty()).expect("a request");
    assert_eq!(rig.app.clone().oneshot(request).await.expect("infallible").status(), StatusCode::NOT_FOUND);
    assert_eq!(rig.one(id).await.1["status"], "queued");
}

#[tokio::test]
async fn an_ndjson_body_that_breaks_off_says_what_was_accepted() {
    let rig = Rig::start().await;
    for begun in [&[][..], &[MESSAGE], &["no json\n"]] {
        let (status, problem) = rig.ndjson(pieces(begun, After::BreaksOff)).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &"malformed_request".into()), "{begun:?}");
    }
    let (status, answer) = rig.ndjson(pieces(&[MESSAGE, "\n", MESSAGE], After::BreaksOff)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let results = answer["results"].as_array().expect("a list");
    assert_eq!(results.len(), 2, "{answer}");
    assert!(results[0]["message_id"].is_string());
    assert_eq!(results[1]["code"], "malformed_request");
    assert_eq!(rig.budget(), BUDGET_KIB, "every share was given back");
}

/// Sends a line end every 20 seconds.
struct Drops(Pin<Box<tokio::time::Sleep>>);

impl http_body::Body for Drops {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        std::task::ready!(self.0.as_mut().poll(cx));
        let next = self.0.deadline() + Duration::from_secs(20);
        self.0.as_mut().reset(next);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"\n")))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_ndjson_body_is_given_up() {
    let rig = Rig::start().await;
    let drops = Body::new(Drops(Box::pin(tokio::time::sleep(Duration::ZERO))));
    for (body, seconds) in [(pieces(&["\n"], After::FallsSilent), 30), (drops, 300)] {
        let begun = tokio::time::Instant::now();
        assert_eq!(rig.ndjson(body).await.1["code"], "request_timeout");
        assert_eq!(begun.elapsed().as_secs(), seconds);
    }
}

#[tokio::test]
async fn the_lines_before_the_byte_limit_are_taken() {
    let rig = Rig::start().await;
    // Fifteen blank MiB, then one piece that crosses the limit behind two messages.
    let mut body = vec![(" ".repeat(1023) + "\n").repeat(1 << 10); 15];
    body.push(format!("{MESSAGE}\n{MESSAGE}\n{}", "\n".repeat(1 << 20)));
    let body: Vec<_> = body.iter().map(String::as_str).collect();
    let (status, answer) = rig.ndjson(pieces(&body, After::FallsSilent)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let codes: Vec<_> = answer["results"].as_array().expect("a list").iter().map(|item| &item["code"]).collect();
    assert_eq!(codes, [&serde_json::Value::Null, &serde_json::Value::Null, &"too_many_items".into()]);
}

#[tokio::test]
async fn an_array_is_no_object_and_a_batch_is_as_deep_as_a_message() {
    let rig = Rig::start().await;
    let id = rig.submit().await;
    let deep = |depth: usize| {
        let metadata = format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        format!(r#"{{"messages":[{{"sender_number":"+4915112345678","message_body":"x","metadata":{metadata}}}]}}"#)
    };
    for (path, body, code) in [
        (paths::MESSAGES_BATCH, format!("[[{MESSAGE}]]"), "validation_failed"),
        (paths::MESSAGES_STATUS, format!(r#"[["{id}"]]"#), "validation_failed"),
        (paths::MESSAGES_BATCH, deep(30), "malformed_json"),
        (paths::MESSAGES_BATCH, r#"{"messages":"SECRETBODY"}"#.to_owned(), "validation_failed"),
        (paths::MESSAGES_BATCH, format!(r#"{{"messages":[{MESSAGE}],"SECRETBODY":1}}"#), "validation_failed"),
        (paths::MESSAGES_BATCH, format!(r#"{{"messages":[{MESSAGE}],"messages":[]}}"#), "malformed_json"),
        (paths::MESSAGES, MESSAGE.replace('{', r#"{"x":1,"#), "validation_failed"),
        (paths::MESSAGES, MESSAGE.replace('{', r#"{"x":1,"x":1,"#), "malformed_json"),
        (paths::MESSAGES_STATUS, format!(r#"{{"ids":["{id}"],"SECRETBODY":1}}"#), "validation_failed"),
        (paths::MESSAGES_STATUS, format!(r#"{{"ids":["{id}"],"ids":[]}}"#), "malformed_json"),
    ] {
        let (_, problem) = rig.send("POST", path, "application/json", Body::from(body)).await;
        assert_eq!(problem["code"], code, "{problem}");
        assert!(!problem.to_string().contains("SECRETBODY"), "{problem}");
    }
    let (status, answer) = rig.send("POST", paths::MESSAGES_BATCH, "application/json", Body::from(deep(29))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    assert!(answer["results"][0]["message_id"].is_string(), "{answer}");
}

#[tokio::test]
async fn a_large_value_is_not_quoted_back() {
    let rig = Rig::start().await;
    let large = format!("\"{}\"", "x".repeat(400 << 10));
    for path in [paths::MESSAGES, paths::MESSAGES_BATCH] {
        let (status, problem) = rig.send("POST", path, "application/json", Body::from(large.clone())).await;
        assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &"validation_failed".into()));
        assert!(problem.to_string().len() < 1000, "{path}");
    }
}

#[tokio::test]
async fn without_redis_a_proxy_accepts_as_ever_and_says_so() {
    let rig = Rig::start().await;
    let (lifecycle, nowhere) = (Lifecycle::new(), RedisAddress::Tcp("127.0.0.1".to_owned(), 1));
    let health = rig.proxy.forward_to(RedisConfig::new(nowhere), &lifecycle, &mut Metrics::new());
    while health.failing_since().is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    rig.submit().await;
    assert_eq!(rig.journal.status().depth, 1);
    lifecycle.drain().await.expect("it stops without Redis as well");
}
