//! A worker that is cut off from the main server for longer than a lease sends nothing that may be another's by then.

use mb_api::dto::delivery::{LeaseRequest, ReportRequest};

use super::hostile::{delivery, target};
use super::*;

/// A main server that gives out deliveries once, hears reports, and prolongs nothing.
#[derive(Default)]
struct CutOff {
    waiting: Mutex<Option<LeasedDeliveries>>,
    tried: AtomicU32,
    given_back: AtomicU32,
}

async fn lease(State(server): State<Arc<CutOff>>, _: axum::Json<LeaseRequest>) -> axum::Json<LeasedDeliveries> {
    let waiting = server.waiting.lock().expect("no panic while held").take();
    match waiting {
        Some(waiting) => axum::Json(waiting),
        None => std::future::pending().await,
    }
}

async fn report(State(server): State<Arc<CutOff>>, axum::Json(report): axum::Json<ReportRequest>) -> Response {
    if !report.held.is_empty() {
        return ApiError::new(ProblemCode::Unavailable, "not now").render(&RequestId::fresh());
    }
    let count = |these: usize| u32::try_from(these).expect("few");
    server.tried.fetch_add(count(report.attempts.len()), Ordering::Relaxed);
    server.given_back.fetch_add(count(report.released.len()), Ordering::Relaxed);
    StatusCode::NO_CONTENT.into_response()
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_prolonged_is_given_back_unsent() {
    // One each second; without a secret nothing is sent, and every attempt is reported as such.
    let mut slow = target(1, "https://h/".into());
    (slow.rate, slow.concurrency) = (Some(1), 1);
    slow.secrets.clear();
    let deliveries = (0..200).map(|number| delivery(1, number)).collect();
    let leased = LeasedDeliveries { targets: vec![slow], deliveries, probes: Vec::new() };
    let server = Arc::new(CutOff { waiting: Mutex::new(Some(leased)), ..CutOff::default() });
    let router = Router::new()
        .route(paths::DELIVERIES_LEASE, post(lease))
        .route(paths::DELIVERIES_REPORT, post(report))
        .with_state(Arc::clone(&server));
    let client = Client::new(Transport::in_process(router, Peer::default()));
    let config = DeliveryConfig { egress: Egress::default(), roots: Arc::new(rustls::RootCertStore::empty()) };
    let metrics = Arc::new(WorkerMetrics::register(&mut Metrics::new()));
    let lifecycle = Lifecycle::new();
    let _deliverer = Deliverer::start("test".into(), config, client, Clock::System, metrics, &lifecycle);
    tokio::time::sleep(Duration::from_mins(5)).await;
    let (tried, given_back) = (server.tried.load(Ordering::Relaxed), server.given_back.load(Ordering::Relaxed));
    assert_eq!(tried + given_back, 200);
    assert!((50..=60).contains(&tried), "{tried} were tried within the lease");
}
