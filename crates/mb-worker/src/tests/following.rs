//! A worker goes by what becomes of destinations while it holds deliveries to them.

use mb_api::dto::delivery::{HeldDelivery, LeaseRequest, ReportAnswer, ReportRequest, Target};
use mb_core::DestinationId;
use mb_runtime::lifecycle::Criticality;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

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

fn changing(waiting: Option<LeasedDeliveries>, answer: ReportAnswer) -> (Arc<Changing>, Router) {
    let server = Arc::new(Changing { waiting: Mutex::new(waiting), answer: Mutex::new(answer), ..Changing::default() });
    let router = Router::new()
        .route(paths::DELIVERIES_LEASE, post(lease))
        .route(paths::DELIVERIES_REPORT, post(report))
        .with_state(Arc::clone(&server));
    (server, router)
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_destination_that_is_closed_goes_back_and_what_is_lost_is_let_go() {
    // One each second; without a secret nothing is sent, and every attempt is reported as such.
    let slow = |id: i64| {
        let mut slow = target(id, "https://h/".into());
        // Each runner waits for its turn; what waits with it is not on its way yet.
        (slow.rate, slow.concurrency) = (Some(1), 8);
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
    let (server, router) = changing(Some(leased), answer);
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

/// A receiver that keeps its connections open and answers late; its address, and how many requests it had.
async fn receiver(late: Duration, lifecycle: &Lifecycle) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let requests = Arc::new(AtomicU32::new(0));
    let (counted, lifecycle) = (Arc::clone(&requests), lifecycle.clone());
    lifecycle.clone().spawn("receiver", Criticality::Ordinary, async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            lifecycle.spawn("connection", Criticality::Ordinary, async move {
                let mut buffer = vec![0; 8192];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    counted.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(late).await;
                    if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, requests)
}

#[tokio::test]
async fn a_connection_that_was_in_use_while_the_address_changed_is_not_used_for_the_new_one() {
    let lifecycle = Lifecycle::new();
    let (old, at_old) = receiver(Duration::from_millis(300), &lifecycle).await;
    let (new, at_new) = receiver(Duration::ZERO, &lifecycle).await;
    let mut before = target(1, old);
    before.concurrency = 1;
    let after = Target { version: 2, url: new, ..before.clone() };
    let deliveries = (0..10).map(|number| delivery(1, number)).collect();
    let leased = LeasedDeliveries { targets: vec![before], deliveries, ..LeasedDeliveries::default() };
    let (server, router) = changing(None, ReportAnswer::default());
    let deliverer = deliverer(router, &lifecycle);
    deliverer.accept(leased);
    while at_old.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    deliverer.accept(LeasedDeliveries { targets: vec![after], ..LeasedDeliveries::default() });
    let tried = || server.tried.lock().expect("no panic while held").len();
    let give_up = tokio::time::Instant::now() + Duration::from_mins(1);
    while tried() < 10 {
        assert!(tokio::time::Instant::now() < give_up, "{} were tried", tried());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((at_old.load(Ordering::Relaxed), at_new.load(Ordering::Relaxed)), (1, 9));
}

/// The main server repeats what it believes to be here, because its answer may have been lost.
#[tokio::test(start_paused = true)]
async fn what_is_given_out_again_under_the_same_lease_is_sent_once() {
    let (server, router) = changing(None, ReportAnswer::default());
    let lifecycle = Lifecycle::new();
    let deliverer = deliverer(router, &lifecycle);
    let leased = || {
        let mut slow = target(1, "https://h/".into());
        (slow.rate, slow.concurrency) = (Some(1), 1);
        slow.secrets.clear();
        let deliveries = (0..5).map(|number| delivery(1, number)).collect();
        LeasedDeliveries { targets: vec![slow], deliveries, ..LeasedDeliveries::default() }
    };
    for _ in 0..2 {
        deliverer.accept(leased());
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    let mut tried = server.tried.lock().expect("no panic while held").clone();
    tried.sort_unstable();
    assert_eq!(tried, [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4)]);
    assert_eq!(deliverer.held(), 0, "the room of those that were not taken is free");
}
