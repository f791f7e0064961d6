//! A worker goes by what becomes of destinations while it holds deliveries to them.

use mb_api::dto::delivery::{HeldDelivery, LeaseRequest, ReportAnswer, ReportRequest};
use mb_core::DestinationId;

use super::holding::deliverer;
use super::hostile::{delivery, target};
use super::*;

/// A main server whose destinations change once everything was given out.
#[derive(Default)]
struct Changing {
    waiting: Mutex<Option<LeasedDeliveries>>,
    /// What it says from then on.
    answer: Mutex<ReportAnswer>,
    tried: Mutex<Vec<(i64, u8)>>,
    given_back: Mutex<Vec<(i64, u8)>>,
    /// As of which version the last question was asked.
    knows: AtomicU32,
}

async fn lease(
    State(server): State<Arc<Changing>>,
    axum::Json(ask): axum::Json<LeaseRequest>,
) -> axum::Json<LeasedDeliveries> {
    server.knows.store(u32::try_from(ask.knows).expect("small"), Ordering::Relaxed);
    let waiting = server.waiting.lock().expect("no panic while held").take();
    let version = server.answer.lock().expect("no panic while held").version;
    match waiting {
        Some(waiting) => axum::Json(waiting),
        None if ask.knows < version => axum::Json(LeasedDeliveries { version, ..LeasedDeliveries::default() }),
        None => std::future::pending().await,
    }
}

async fn report(
    State(server): State<Arc<Changing>>,
    axum::Json(report): axum::Json<ReportRequest>,
) -> axum::Json<ReportAnswer> {
    let of = |held: &HeldDelivery| (held.destination.get(), held.message_id.as_bytes()[15]);
    server.tried.lock().expect("no panic while held").extend(report.attempts.iter().map(|attempt| of(&attempt.of)));
    server.given_back.lock().expect("no panic while held").extend(report.released.iter().map(of));
    let answer = server.answer.lock().expect("no panic while held").clone();
    axum::Json(if report.targets.is_empty() { ReportAnswer::default() } else { answer })
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_destination_that_is_closed_goes_back_and_what_is_lost_is_let_go() {
    // One each second; without a secret nothing is sent, and every attempt is reported as such.
    let slow = |id: i64| {
        let mut slow = target(id, "https://h/".into());
        (slow.rate, slow.concurrency) = (Some(1), 1);
        slow.secrets.clear();
        slow
    };
    let deliveries = (1..=3).flat_map(|to| (0..10).map(move |number| delivery(to, number)));
    let leased = LeasedDeliveries {
        targets: (1..=3).map(slow).collect(),
        deliveries: deliveries.collect(),
        ..LeasedDeliveries::default()
    };
    let lost = delivery(2, 9);
    let lost = HeldDelivery { message_id: lost.message_id, destination: lost.destination, lease: lost.lease };
    let mut quick = slow(3);
    (quick.version, quick.rate) = (2, None);
    let answer =
        ReportAnswer { version: 7, closed: vec![DestinationId::new(1)], targets: vec![quick], lost: vec![lost] };
    let server = Arc::new(Changing { waiting: Mutex::new(Some(leased)), ..Changing::default() });
    *server.answer.lock().expect("no panic while held") = answer;
    let router = Router::new()
        .route(paths::DELIVERIES_LEASE, post(lease))
        .route(paths::DELIVERIES_REPORT, post(report))
        .with_state(Arc::clone(&server));
    let lifecycle = Lifecycle::new();
    let _deliverer = deliverer(router, &lifecycle);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let tried = |to: i64| server.tried.lock().expect("no panic while held").iter().filter(|(id, _)| *id == to).count();
    assert!(tried(3) >= 9, "it goes by the new settings: {}", tried(3));
    tokio::time::sleep(Duration::from_secs(20)).await;
    let given_back = server.given_back.lock().expect("no panic while held").clone();
    assert!(tried(1) <= 2 && given_back.iter().all(|(to, _)| *to == 1), "{given_back:?}");
    assert_eq!(tried(1) + given_back.len(), 10);
    assert_eq!((tried(2), tried(3)), (9, 10), "what is another's is not sent");
    assert_eq!(server.knows.load(Ordering::Relaxed), 7, "so that who changed it knows");
}
