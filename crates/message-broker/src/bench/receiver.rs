//! A receiver of webhooks in this process: takes every one at once, counts it and notes how long it was on its way. What a
//! broker delivers here is held back by nothing but itself; only what goes below [`HANG`] is never answered.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mb_core::{Clock, Timestamp};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::tally::{Latencies, latencies, record};

/// The path of what is never answered.
pub(super) const HANG: &str = "/hang/";
/// The path of what is taken at once.
pub(super) const TAKE: &str = "/take/";
/// After so long without a webhook none comes any more.
const QUIET: Duration = Duration::from_secs(3);

/// A running receiver; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Receiver {
    taken: Arc<Taken>,
    _server: JoinSet<()>,
}

#[derive(Debug)]
struct Taken {
    count: AtomicU64,
    /// From the proxy's acceptance to here.
    on_their_way: Mutex<Latencies>,
}

impl Receiver {
    /// Starts on `port` of 127.0.0.1.
    pub(super) async fn start(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.context("open the receiver's port")?;
        let taken = Arc::new(Taken { count: AtomicU64::new(0), on_their_way: Mutex::new(latencies()) });
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&taken)));
        Ok(Self { taken, _server: server })
    }

    /// Webhooks that were taken, repeats among them.
    pub(super) fn received(&self) -> u64 {
        self.taken.count.load(Ordering::Relaxed)
    }

    /// How long they were on their way, from the proxy's acceptance to here.
    pub(super) fn on_their_way(&self) -> Latencies {
        self.taken.on_their_way.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until nothing comes any more, or for `most`.
    pub(super) async fn settle(&self, most: Duration) {
        let give_up = Instant::now() + most;
        loop {
            let before = self.received();
            tokio::time::sleep(QUIET).await;
            if self.received() == before || Instant::now() >= give_up {
                return;
            }
        }
    }
}

impl Taken {
    fn note(&self, body: &[u8], now: Timestamp) {
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(accepted) = accepted_at(body) {
            let mut on_their_way = self.on_their_way.lock().unwrap_or_else(PoisonError::into_inner);
            record(&mut on_their_way, now.since(accepted));
        }
    }
}

/// When the proxy accepted the message; found, not parsed, for this process shares the machine with what it measures.
fn accepted_at(body: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.rsplit_once("\"queued_at\":\"")?;
    Timestamp::parse_rfc3339(rest.split('"').next()?)
}

async fn serve(listener: TcpListener, taken: Arc<Taken>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, Arc::clone(&taken)))),
                Err(error) => tracing::warn!(error = %error, "receiver accept failed"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, taken: Arc<Taken>) {
    let service = service_fn(|request: Request<Incoming>| {
        let taken = Arc::clone(&taken);
        async move {
            if request.uri().path().starts_with(HANG) {
                std::future::pending::<()>().await;
            }
            if let Ok(body) = request.into_body().collect().await {
                taken.note(&body.to_bytes(), Clock::System.now());
            }
            let mut response = Response::new(Empty::<Bytes>::new());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok::<_, Infallible>(response)
        }
    });
    // A broker that goes away is how each run ends; what was not taken is seen by its state.
    let _ = stream.set_nodelay(true);
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_acceptance_is_found_behind_whatever_a_body_says() {
        let body = br#"{"message_body":"\"queued_at\":\"never\"","queued_at":"2026-11-01T10:00:00.5Z"}"#;
        assert_eq!(accepted_at(body), Timestamp::parse_rfc3339("2026-11-01T10:00:00.5Z"));
        assert_eq!(accepted_at(b"{}"), None);
    }
}
