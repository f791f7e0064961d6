//! A report that the main server refuses goes again in parts, and a heartbeat says how the worker fares.

use mb_api::dto::delivery::{LeaseRequest, ReportAnswer, ReportRequest};
use mb_api::dto::worker::{QueueKind, WorkerStatus};
use tokio::sync::Notify;

use super::hostile::{delivery, target};
use super::*;

/// A main server that gives out deliveries once and cannot take the attempt of one of them.
#[derive(Default)]
struct Choosy {
    waiting: Mutex<Option<LeasedDeliveries>>,
    refuses: Option<MessageId>,
    /// What was heard, and how many attempts stood in each report that was refused.
    heard: Mutex<Vec<MessageId>>,
    refused: Mutex<Vec<usize>>,
    status: Mutex<Vec<WorkerStatus>>,
    news: Notify,
}

async fn lease(State(server): State<Arc<Choosy>>, _: axum::Json<LeaseRequest>) -> axum::Json<LeasedDeliveries> {
    let waiting = server.waiting.lock().expect("no panic while held").take();
    match waiting {
        Some(waiting) => axum::Json(waiting),
        None => std::future::pending().await,
    }
}

async fn report(State(server): State<Arc<Choosy>>, axum::Json(report): axum::Json<ReportRequest>) -> Response {
    let ids = report.attempts.iter().map(|attempt| attempt.of.message_id).collect::<Vec<_>>();
    if server.refuses.is_some_and(|refused| ids.contains(&refused)) {
        server.refused.lock().expect("no panic while held").push(ids.len());
        server.news.notify_one();
        return ApiError::new(ProblemCode::ValidationFailed, "not that").render(&RequestId::fresh());
    }
    server.heard.lock().expect("no panic while held").extend(ids);
    server.status.lock().expect("no panic while held").extend(report.status);
    server.news.notify_one();
    axum::Json(ReportAnswer::default()).into_response()
}

fn routes(server: &Arc<Choosy>) -> Router {
    Router::new()
        .route(paths::DELIVERIES_LEASE, post(lease))
        .route(paths::DELIVERIES_REPORT, post(report))
        .with_state(Arc::clone(server))
}

/// Waits until something is so.
async fn until(server: &Choosy, mut done: impl FnMut(&Choosy) -> bool) {
    let wait = async {
        while !done(server) {
            server.news.notified().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(10), wait).await.expect("it comes to that");
}

#[tokio::test(start_paused = true)]
async fn a_refused_report_goes_again_in_halves_until_one_attempt_stands_alone() {
    // Without a secret nothing is sent, and every attempt is reported as such.
    let mut target = target(1, "https://h/".into());
    target.secrets.clear();
    let deliveries = (0..100).map(|number| delivery(1, number)).collect();
    let waiting =
        Mutex::new(Some(LeasedDeliveries { targets: vec![target], deliveries, ..LeasedDeliveries::default() }));
    let server = Arc::new(Choosy { waiting, refuses: Some(id(CULPRIT)), ..Choosy::default() });
    let client = Client::new(Transport::in_process(routes(&server), Peer::default()));
    let config = DeliveryConfig { egress: Egress::default(), roots: Arc::new(rustls::RootCertStore::empty()) };
    let metrics = Arc::new(WorkerMetrics::register(&mut Metrics::new()));
    let lifecycle = Lifecycle::new();
    let _deliverer = Deliverer::start("test".into(), config, client, Clock::System, metrics, &lifecycle);
    until(&server, |server| server.heard.lock().expect("no panic while held").len() >= 99).await;
    let mut heard = server.heard.lock().expect("no panic while held").clone();
    heard.sort_unstable();
    assert_eq!(heard, (0..100).filter(|number| *number != CULPRIT).map(id).collect::<Vec<_>>(), "each once");
    until(&server, |server| {
        // Refused three times alone, it is given up.
        let refused = server.refused.lock().expect("no panic while held");
        refused.iter().filter(|count| **count == 1).count() >= 3
    })
    .await;
    let refused = server.refused.lock().expect("no panic while held").clone();
    assert!(refused.windows(2).all(|pair| pair[1] <= pair[0]), "{refused:?}");
    assert!(refused.iter().all(|count| refused.iter().filter(|other| *other == count).count() == 3), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_says_how_it_fares_and_that_it_leaves() {
    let dir = TempDir::new().expect("temporary folder");
    let config = JournalConfig { segment_bytes: 1 << 20, ..JournalConfig::new(dir.path()) };
    let (journal, _) = Journal::open(config, Clock::System, Disk::Real).expect("opens");
    let server = Arc::new(Choosy::default());
    let client = Client::new(Transport::in_process(routes(&server), Peer::default()));
    let config = WorkerConfig {
        name: "test".into(),
        concurrency: 1,
        batch: 100,
        retry: Duration::from_millis(1),
        lease: Duration::from_mins(1),
        delivery: DeliveryConfig { egress: Egress::default(), roots: Arc::new(rustls::RootCertStore::empty()) },
    };
    let lifecycle = Lifecycle::new();
    let queue = Queue::Embedded(journal.clone());
    let _worker = Worker::start(config, queue, client, Clock::System, &lifecycle, &mut Metrics::new());
    until(&server, |server| !server.status.lock().expect("no panic while held").is_empty()).await;
    lifecycle.drain().await.expect("drains");
    let said = server.status.lock().expect("no panic while held").clone();
    assert_eq!(said.iter().map(|status| status.is_leaving).collect::<Vec<_>>(), [false, true]);
    let first = &said[0];
    assert_eq!((first.queue.backend, first.queue.depth, first.held), (QueueKind::Embedded, 0, 0));
    assert_eq!(first.version, env!("CARGO_PKG_VERSION"));
    journal.shutdown().await;
}
