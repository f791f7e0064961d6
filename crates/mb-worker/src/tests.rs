//! The worker against a main server that misbehaves, over a real journal.

mod following;
mod holding;
mod hostile;
mod reporting;
mod secured;

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use mb_api::client::Transport;
use mb_api::dto::delivery::LeasedDeliveries;
use mb_api::dto::{Epoch, RegisterAnswer, RegisterResult};
use mb_api::peer::Peer;
use mb_api::{ApiError, ProblemCode, RequestId, paths};
use mb_core::envelope::{self, SignedKey};
use mb_core::handover::Batch;
use mb_core::{ClientName, DomainName, Egress, Header, KeyId, MessageId, Topic};
use mb_queue::{Append, Disk, Journal, JournalConfig};
use tempfile::TempDir;

use super::*;

const KEY: KeyId = KeyId::from_bytes([7; 16]);
/// The envelope that the main server below cannot take.
const CULPRIT: u8 = 42;

/// A main server that fails as told and remembers what it took.
#[derive(Default)]
struct MainServer {
    taken: Mutex<HashSet<MessageId>>,
    calls: AtomicU32,
    away_for: u32,
    fails_on: Option<MessageId>,
    refuses: Option<MessageId>,
}

async fn register(State(server): State<Arc<MainServer>>, body: Bytes) -> Response {
    let id = RequestId::fresh();
    if server.calls.fetch_add(1, Ordering::Relaxed) < server.away_for {
        return ApiError::new(ProblemCode::Unavailable, "not now").render(&id);
    }
    let batch = Batch::parse(&body).expect("a batch");
    assert_eq!(batch.keys.len(), 1, "every batch carries the key of its envelopes");
    let ids: Vec<_> = batch.envelopes.iter().filter_map(|e| Some(envelope::peek_ids(e)?.0)).collect();
    if server.fails_on.is_some_and(|culprit| ids.contains(&culprit)) {
        return (StatusCode::INTERNAL_SERVER_ERROR, "broken").into_response();
    }
    let result = |id: &MessageId| match server.refuses {
        Some(refused) if refused == *id => RegisterResult::Refused("seal_invalid".into()),
        _ => RegisterResult::Stored,
    };
    let results = ids.iter().map(result).collect();
    server.taken.lock().expect("no panic while held").extend(ids.iter().filter(|id| Some(**id) != server.refuses));
    axum::Json(RegisterAnswer { epoch: Epoch::from_bytes([1; 16]), results, leased: LeasedDeliveries::default() })
        .into_response()
}

fn id(number: u8) -> MessageId {
    let mut bytes = [0; 16];
    (bytes[5], bytes[6], bytes[8], bytes[15]) = (1, 0x70, 0x80, number);
    MessageId::from_bytes(bytes)
}

fn entry(number: u8) -> Append {
    let header = Header {
        message_id: id(number),
        key_id: KEY,
        queued_at: Clock::System.now(),
        deliver_at: None,
        expires_at: None,
        client: ClientName::parse("demo").expect("valid"),
        domain: DomainName::default(),
        topic: Topic::default(),
    };
    let mut sealed = Vec::new();
    header.encode(&mut sealed);
    sealed.extend_from_slice(&[0; 40]);
    let key = SignedKey {
        key_id: KEY,
        master_key_id: KEY,
        created_at: header.queued_at,
        encapsulated: vec![0; 32],
        wrapped: vec![0; 48],
        certificate: vec![0; 64],
        signature: vec![0; 64],
    };
    Append { id: id(number), envelope: sealed.into(), key: key.encode().into(), tag: None }
}

struct Setup {
    journal: Journal,
    server: Arc<MainServer>,
    worker: Worker,
    lifecycle: Lifecycle,
    _dir: TempDir,
}

async fn start(server: MainServer, count: u8) -> Setup {
    let dir = TempDir::new().expect("temporary folder");
    let config = JournalConfig { segment_bytes: 1 << 20, ..JournalConfig::new(dir.path()) };
    let (journal, _) = Journal::open(config, Clock::System, Disk::Real).expect("opens");
    journal.append((0..count).map(entry).collect()).await.expect("stored");
    let server = Arc::new(server);
    let router = Router::new().route(paths::REGISTER, post(register)).with_state(Arc::clone(&server));
    let client = Client::new(Transport::in_process(router, Peer::default()));
    let config = WorkerConfig {
        name: "test".into(),
        concurrency: 2,
        batch: 100,
        retry: Duration::from_millis(1),
        lease: Duration::from_mins(1),
        delivery: DeliveryConfig { egress: Egress::default(), roots: Arc::new(rustls::RootCertStore::empty()) },
    };
    let lifecycle = Lifecycle::new();
    let queue = Queue::Embedded(journal.clone());
    let worker = Worker::start(config, queue, client, Clock::System, &lifecycle, &mut Metrics::new());
    Setup { journal, server, worker, lifecycle, _dir: dir }
}

impl Setup {
    /// Waits until the journal has nothing left but `rest` entries; fails after a minute.
    async fn until_only(&self, rest: u64) {
        let done = async {
            while self.journal.status().depth > rest {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), done).await.expect("the rest is registered");
    }

    async fn end(self) -> HashSet<MessageId> {
        self.lifecycle.drain().await.expect("drains");
        self.journal.shutdown().await;
        self.server.taken.lock().expect("no panic while held").clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_fails_is_split_until_the_culprit_stands_alone() {
    let setup = start(MainServer { fails_on: Some(id(CULPRIT)), ..MainServer::default() }, 100).await;
    setup.until_only(1).await;
    let taken = setup.end().await;
    assert_eq!(taken.len(), 99);
    assert!(!taken.contains(&id(CULPRIT)), "the culprit stays in the queue");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_main_server_that_is_away_is_waited_for() {
    let setup = start(MainServer { away_for: 12, ..MainServer::default() }, 50).await;
    setup.until_only(0).await;
    assert_eq!(setup.worker.failing_since(), None, "healthy again");
    assert!(setup.server.calls.load(Ordering::Relaxed) > 12);
    assert_eq!(setup.end().await.len(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_envelope_is_not_taken_as_stored() {
    let setup = start(MainServer { refuses: Some(id(CULPRIT)), ..MainServer::default() }, 60).await;
    setup.until_only(1).await;
    let asked = setup.journal.unconfirmed(10).await;
    assert_eq!(asked.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [id(CULPRIT)], "confirm decides");
    assert_eq!(setup.end().await.len(), 59);
}
