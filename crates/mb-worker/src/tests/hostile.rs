//! Deliveries to a receiver that does its worst: everything ends in bounded time, is told apart, and nobody else waits.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;

use mb_api::dto::SecretText;
use mb_api::dto::delivery::{AttemptReport, LeaseRequest, LeasedDelivery, ReportAnswer, ReportRequest, Target};
use mb_core::{AttemptClass, DestinationId, LeaseId};
use mb_crypto::webhook::WebhookSecret;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::*;

/// What a receiver does once it has read a request.
#[derive(Clone, Copy)]
pub(super) enum Manner {
    /// It says this.
    Says(&'static str),
    /// It says nothing.
    Silent,
    /// It goes on answering for ever.
    Endless,
    /// It says a byte a second.
    Drips,
    /// It breaks the connection.
    Resets,
    /// Its headers do not end.
    Headers,
    /// It says for ever that the answer is still to come.
    Continues,
}

/// A receiver at a port of its own; counts the requests that it read.
async fn receiver(manner: Manner) -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let seen = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&seen);
    let lifecycle = Lifecycle::new();
    lifecycle.clone().spawn("receiver", mb_runtime::lifecycle::Criticality::Ordinary, async move {
        while let Ok((stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            if matches!(manner, Manner::Resets) {
                stream.set_zero_linger().expect("set");
            }
            lifecycle.spawn("connection", mb_runtime::lifecycle::Criticality::Ordinary, async move {
                // Whatever breaks here is the receiver's manner.
                let _ = behave(stream, manner, &counted).await;
            });
        }
    });
    (address, seen)
}

pub(super) async fn behave<S>(mut stream: S, manner: Manner, counted: &AtomicU32) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).await?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            request.extend_from_slice(&buffer[..read]);
        }
        counted.fetch_add(1, Ordering::Relaxed);
        match manner {
            Manner::Says(text) => stream.write_all(text.as_bytes()).await?,
            Manner::Silent => std::future::pending().await,
            Manner::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
                loop {
                    stream.write_all(b"400\r\n").await?;
                    stream.write_all(&[b'x'; 0x400]).await?;
                    stream.write_all(b"\r\n").await?;
                }
            }
            Manner::Drips => {
                for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" {
                    stream.write_all(&[*byte]).await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            // What was set to break, does.
            Manner::Resets => return Ok(()),
            Manner::Headers => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
                loop {
                    stream.write_all(b"x-more: and more and more and more\r\n").await?;
                }
            }
            Manner::Continues => loop {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                tokio::time::sleep(Duration::from_millis(1)).await;
            },
        }
    }
}

/// A main server that gives out what it is told and keeps what is reported.
#[derive(Default)]
struct Leasing {
    waiting: Mutex<Option<LeasedDeliveries>>,
    reports: Mutex<Vec<AttemptReport>>,
    heard: Notify,
}

async fn lease(
    State(server): State<Arc<Leasing>>,
    axum::Json(_): axum::Json<LeaseRequest>,
) -> axum::Json<LeasedDeliveries> {
    let waiting = server.waiting.lock().expect("no panic while held").take();
    match waiting {
        Some(waiting) => axum::Json(waiting),
        None => std::future::pending().await,
    }
}

async fn report(
    State(server): State<Arc<Leasing>>,
    axum::Json(report): axum::Json<ReportRequest>,
) -> axum::Json<ReportAnswer> {
    server.reports.lock().expect("no panic while held").extend(report.attempts);
    server.heard.notify_one();
    axum::Json(ReportAnswer::default())
}

pub(super) fn target(id: i64, url: String) -> Target {
    let secret = WebhookSecret::generate().text().expose().clone();
    Target {
        id: DestinationId::new(id),
        version: 1,
        url,
        concurrency: 4,
        rate: None,
        secrets: vec![SecretText::new(secret)],
        ca: None,
        client_certificate: None,
        client_key: None,
    }
}

pub(super) fn delivery(to: i64, number: u8) -> LeasedDelivery {
    LeasedDelivery {
        message_id: id(number),
        destination: DestinationId::new(to),
        lease: LeaseId::from_bytes([1; 16]),
        expires_at: None,
        payload: SecretText::new(format!("{{\"n\":{number}}}")),
    }
}

/// Delivers and waits for as many reports as there are deliveries; by destination.
pub(super) async fn deliver(
    egress: &str,
    targets: Vec<Target>,
    deliveries: Vec<LeasedDelivery>,
) -> HashMap<i64, Vec<AttemptReport>> {
    let expected = deliveries.len();
    let server = Arc::new(Leasing::default());
    *server.waiting.lock().expect("no panic while held") =
        Some(LeasedDeliveries { targets, deliveries, ..LeasedDeliveries::default() });
    let router = Router::new()
        .route(paths::DELIVERIES_LEASE, post(lease))
        .route(paths::DELIVERIES_REPORT, post(report))
        .with_state(Arc::clone(&server));
    let client = Client::new(Transport::in_process(router, Peer::default()));
    let lifecycle = Lifecycle::new();
    let egress = Egress::parse(egress).expect("networks");
    let config = DeliveryConfig { egress, roots: Arc::new(rustls::RootCertStore::empty()) };
    let metrics = Arc::new(WorkerMetrics::register(&mut Metrics::new()));
    let deliverer = Deliverer::start("test".into(), config, client, Clock::System, metrics, &lifecycle);
    let heard = async {
        while server.reports.lock().expect("no panic while held").len() < expected {
            server.heard.notified().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), heard).await.expect("everything is reported");
    drop(deliverer);
    lifecycle.drain().await.expect("drains");
    let mut by_destination = HashMap::<i64, Vec<AttemptReport>>::new();
    for report in server.reports.lock().expect("no panic while held").drain(..) {
        by_destination.entry(report.of.destination.get()).or_default().push(report);
    }
    by_destination
}

pub(super) const LOCAL: &str = "127.0.0.0/8";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_manner_is_told_apart_and_holds_up_nobody_else() {
    let manners = [
        (Manner::Says("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), AttemptClass::Taken),
        (
            Manner::Says("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
            AttemptClass::Redirect,
        ),
        (Manner::Says("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"), AttemptClass::ClientError),
        (Manner::Says("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"), AttemptClass::Gone),
        (Manner::Says("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n"), AttemptClass::ServerError),
        (Manner::Says("this is no HTTP at all\r\n\r\n"), AttemptClass::Broken),
        (Manner::Endless, AttemptClass::Taken),
        (Manner::Resets, AttemptClass::Broken),
        (Manner::Headers, AttemptClass::Broken),
        (Manner::Continues, AttemptClass::Timeout),
        (Manner::Silent, AttemptClass::Timeout),
        (Manner::Drips, AttemptClass::Timeout),
    ];
    let (mut targets, mut deliveries, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (manner, class)) in (0_u8..).zip(manners) {
        let (address, _) = receiver(manner).await;
        targets.push(target(number.into(), format!("http://{address}/x")));
        deliveries.push(delivery(number.into(), number));
        expected.push((i64::from(number), class));
    }
    let reports = deliver(LOCAL, targets, deliveries).await;
    for (destination, class) in expected {
        let report = &reports[&destination][0];
        assert_eq!(report.exchange.class, class, "{destination}: {:?}", report.exchange.detail);
        let seconds = report.exchange.duration_us / 1_000_000;
        let late = class == AttemptClass::Timeout;
        assert!(if late { (14..=17).contains(&seconds) } else { seconds < 10 }, "{destination}: {seconds} s");
        assert!(report.exchange.answer.as_ref().is_none_or(|answer| answer.len() <= 22_000), "bounded");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_reached_is_not_connected_to() {
    let (address, seen) = receiver(Manner::Says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let port = address.port();
    let urls = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "https://[64:ff9b::7f00:1]/".to_owned(),
        // Public, but not secured.
        "http://1.1.1.1/".to_owned(),
    ];
    let numbered = (0_u8..).zip(&urls);
    let targets = numbered.clone().map(|(number, url)| target(number.into(), url.clone())).collect();
    let deliveries = numbered.map(|(number, _)| delivery(number.into(), number)).collect();
    let reports = deliver("", targets, deliveries).await;
    for (destination, reports) in reports {
        assert_eq!(
            reports[0].exchange.class,
            AttemptClass::Blocked,
            "{}",
            urls[usize::try_from(destination).expect("few")]
        );
    }
    assert_eq!(seen.load(Ordering::Relaxed), 0, "nobody was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_ports_and_authorities_that_are_none_are_told_apart() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
    let (plain, _) = receiver(Manner::Says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let mut unsigned = target(3, format!("http://{plain}/"));
    unsigned.secrets.clear();
    let targets = vec![
        target(0, "https://no-such-host.invalid/".into()),
        target(1, format!("http://{closed}/")),
        target(2, format!("https://{plain}/")),
        unsigned,
    ];
    let reports = deliver(LOCAL, targets, (0..4).map(|number| delivery(number.into(), number)).collect()).await;
    let class = |destination: i64| reports[&destination][0].exchange.class;
    assert_eq!([class(0), class(1), class(3)], [AttemptClass::Dns, AttemptClass::Connect, AttemptClass::Unsendable]);
    // A receiver that speaks no TLS waits for more of what it takes for a request.
    assert!(matches!(class(2), AttemptClass::Tls | AttemptClass::Timeout), "{:?}", class(2));
    assert!(reports[&2][0].exchange.duration_us < 7_000_000, "a connection has five seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_receiver_asks_for_is_passed_on() {
    let cases = [
        ("HTTP/1.1 429 Later\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n", 429, Some(0)),
        ("HTTP/1.1 429 Later\r\nretry-after: 1000000000\r\ncontent-length: 0\r\n\r\n", 429, Some(1_000_000_000)),
        // A date that is over.
        ("HTTP/1.1 503 Oh\r\nretry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 0\r\n\r\n", 503, Some(0)),
        ("HTTP/1.1 503 Oh\r\nretry-after: whenever\r\ncontent-length: 0\r\n\r\n", 503, None),
        ("HTTP/1.1 200 OK\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n", 200, None),
    ];
    let (mut targets, mut deliveries) = (Vec::new(), Vec::new());
    for (number, (answer, ..)) in (0_u8..).zip(cases) {
        let (address, _) = receiver(Manner::Says(answer)).await;
        targets.push(target(number.into(), format!("http://{address}/")));
        deliveries.push(delivery(number.into(), number));
    }
    let reports = deliver(LOCAL, targets, deliveries).await;
    for (number, (answer, status, wait)) in (0_i64..).zip(cases) {
        let exchange = &reports[&number][0].exchange;
        assert_eq!((exchange.status, exchange.retry_after), (Some(status), wait), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_to_this_machine_leads_nowhere() {
    let (inside, seen) = receiver(Manner::Says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let text = format!("HTTP/1.1 307 Elsewhere\r\nlocation: http://{inside}/\r\ncontent-length: 0\r\n\r\n");
    let (outside, _) = receiver(Manner::Says(text.leak())).await;
    let reports = deliver(LOCAL, vec![target(1, format!("http://{outside}/"))], vec![delivery(1, 1)]).await;
    assert_eq!(reports[&1][0].exchange.class, AttemptClass::Redirect);
    assert_eq!(seen.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_names_addresses_only_those_that_may_be_are_connected_to() {
    // `localhost` stands for 127.0.0.1, and where the machine has it for ::1.
    let (address, seen) = receiver(Manner::Says("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let to = || vec![target(1, format!("http://localhost:{}/", address.port()))];
    let reports = deliver("::1/128", to(), vec![delivery(1, 1)]).await;
    assert!(matches!(reports[&1][0].exchange.class, AttemptClass::Blocked | AttemptClass::Connect));
    assert_eq!(seen.load(Ordering::Relaxed), 0);
    let reports = deliver("127.0.0.1/32", to(), vec![delivery(1, 1)]).await;
    assert_eq!(reports[&1][0].exchange.class, AttemptClass::Taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destinations_that_hang_delay_no_other() {
    let (well, _) = receiver(Manner::Says("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let (hung, _) = receiver(Manner::Silent).await;
    let mut targets: Vec<_> = (1..=30).map(|id| target(id, format!("http://{hung}/"))).collect();
    targets.push(target(0, format!("http://{well}/")));
    // As they come: what hangs before what does not.
    let mut deliveries: Vec<_> = (1..=30).flat_map(|id| (0..4).map(move |number| delivery(id, number))).collect();
    deliveries.extend((0..200).map(|number| delivery(0, number)));
    let reports = deliver(LOCAL, targets, deliveries).await;
    let end =
        |report: &AttemptReport| report.exchange.at.micros() + i64::try_from(report.exchange.duration_us).unwrap_or(0);
    let (well, hung): (Vec<_>, Vec<_>) = reports.into_iter().partition(|(id, _)| *id == 0);
    let last = well.iter().flat_map(|(_, reports)| reports).map(end).max().expect("some");
    let first = hung.iter().flat_map(|(_, reports)| reports).map(end).min().expect("some");
    assert!(last < first, "all that is well is done before the first that hangs is given up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_go_over_few_connections() {
    let (address, seen) = receiver(Manner::Says("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let deliveries = (0..100).map(|number| delivery(1, number)).collect();
    let reports = deliver(LOCAL, vec![target(1, format!("http://{address}/"))], deliveries).await;
    assert!(reports[&1].iter().all(|report| report.exchange.class == AttemptClass::Taken));
    assert_eq!((reports[&1].len(), seen.load(Ordering::Relaxed)), (100, 100));
}
