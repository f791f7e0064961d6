//! A worker that is cut off from the main server for longer than a lease sends nothing that may be another's by then.

use mb_api::dto::delivery::{LeaseRequest, LeasedDelivery, ReportAnswer, ReportRequest};

use super::hostile::{LOCAL, delivery, target};
use super::*;

/// Delivers what this main server gives out.
pub(super) fn deliverer(server: Router, lifecycle: &Lifecycle) -> Arc<Deliverer> {
    let client = Client::new(Transport::in_process(server, Peer::default()));
    let egress = Egress::parse(LOCAL).expect("networks");
    let config = DeliveryConfig { egress, roots: Arc::new(rustls::RootCertStore::empty()) };
    let metrics = Arc::new(WorkerMetrics::register(&mut Metrics::new()));
    Deliverer::start("test".into(), config, client, Clock::System, metrics, lifecycle)
}

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
    axum::Json(ReportAnswer::default()).into_response()
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_prolonged_is_given_back_unsent() {
    // One each second; without a secret nothing is sent, and every attempt is reported as such.
    let mut slow = target(1, "https://h/".into());
    (slow.rate, slow.concurrency) = (Some(1), 1);
    slow.secrets.clear();
    let deliveries = (0..200).map(|number| delivery(1, number)).collect();
    let leased = LeasedDeliveries { targets: vec![slow], deliveries, ..LeasedDeliveries::default() };
    let server = Arc::new(CutOff { waiting: Mutex::new(Some(leased)), ..CutOff::default() });
    let router = Router::new()
        .route(paths::DELIVERIES_LEASE, post(lease))
        .route(paths::DELIVERIES_REPORT, post(report))
        .with_state(Arc::clone(&server));
    let lifecycle = Lifecycle::new();
    let _deliverer = deliverer(router, &lifecycle);
    tokio::time::sleep(Duration::from_mins(5)).await;
    let (tried, given_back) = (server.tried.load(Ordering::Relaxed), server.given_back.load(Ordering::Relaxed));
    assert_eq!(tried + given_back, 200);
    assert!((50..=60).contains(&tried), "{tried} were tried within the lease");
}

/// A main server with as many deliveries as are asked for, up to a number.
#[derive(Default)]
struct Plenty {
    left: AtomicU32,
    tried: AtomicU32,
}

async fn lease_some(
    State(server): State<Arc<Plenty>>,
    axum::Json(ask): axum::Json<LeaseRequest>,
) -> axum::Json<LeasedDeliveries> {
    let left = server.left.load(Ordering::Relaxed);
    let given = if ask.except.is_empty() { left.min(ask.limit) } else { 0 };
    if given == 0 && ask.wait_seconds > 0 {
        return std::future::pending().await;
    }
    server.left.fetch_sub(given, Ordering::Relaxed);
    let mut target = target(1, "https://h/".into());
    target.secrets.clear();
    let numbered = |number: u32| {
        let mut bytes = [0; 16];
        bytes[12..].copy_from_slice(&number.to_be_bytes());
        LeasedDelivery { message_id: MessageId::from_bytes(bytes), ..delivery(1, 0) }
    };
    let deliveries = (left - given..left).map(numbered).collect();
    axum::Json(LeasedDeliveries { targets: vec![target], deliveries, ..LeasedDeliveries::default() })
}

async fn hear(
    State(server): State<Arc<Plenty>>,
    axum::Json(report): axum::Json<ReportRequest>,
) -> axum::Json<ReportAnswer> {
    server.tried.fetch_add(u32::try_from(report.attempts.len()).expect("few"), Ordering::Relaxed);
    axum::Json(ReportAnswer::default())
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_had_enough_is_asked_for_again_as_soon_as_it_has_room() {
    let server = Arc::new(Plenty { left: AtomicU32::new(5000), ..Plenty::default() });
    let router = Router::new()
        .route(paths::DELIVERIES_LEASE, post(lease_some))
        .route(paths::DELIVERIES_REPORT, post(hear))
        .with_state(Arc::clone(&server));
    let lifecycle = Lifecycle::new();
    let _deliverer = deliverer(router, &lifecycle);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(server.tried.load(Ordering::Relaxed), 5000);
}
