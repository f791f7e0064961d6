//! One connection's HTTP, whatever carries it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioTimer;
use mb_api::Peer;
use mb_core::Identity;
use tower::Service;

use super::Limits;
use super::judged::Judged;
use super::leftover::{self, Expects, Leftover, Returning};
use super::live::{Busy, Connection, Entry, Live};
use super::strict;
use super::watched::Watched;
use crate::app::App;
use crate::lifecycle::{Boxed, Lifecycle, Tracked};
use crate::policy_watch::PolicyWatch;

/// The HTTP version that a connection speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Version {
    One,
    Two,
}

/// Serves until the peer leaves or the connection shall end.
pub(super) async fn serve<IO>(io: IO, version: Version, peer: Peer, entry: Entry, port: &Port)
where
    IO: Read + Write + Unpin + Send + 'static,
{
    let connection = Arc::clone(&entry.connection);
    let io = Watched::new(io, &connection, (version == Version::One).then(|| port.app.clone()));
    let leftover = (version == Version::One).then(Arc::default);
    let sender = peer.identity.clone().zip(port.policy.clone());
    let app = port.app.clone();
    let service = Handler { app, peer, sender, connection: Arc::clone(&connection), version, leftover };
    let limits = &port.limits;
    match version {
        Version::One => {
            let serving = one(limits).serve_connection(io, service);
            finish(serving, http1::Connection::graceful_shutdown, &connection, &port.lifecycle).await;
        }
        Version::Two => {
            let serving = two(limits, &port.lifecycle).serve_connection(io, service);
            finish(serving, http2::Connection::graceful_shutdown, &connection, &port.lifecycle).await;
        }
    }
}

/// What all connections of a port share.
#[derive(Clone, Debug)]
pub(super) struct Port {
    pub(super) app: App,
    pub(super) limits: Limits,
    pub(super) live: Live,
    /// Who is shut out while a connection is open.
    pub(super) policy: Option<Arc<PolicyWatch>>,
    pub(super) lifecycle: Lifecycle,
}

fn one(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // The watcher of live connections times heads and idleness; a timer here would be armed anew for every request.
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_header_size(limits.head_bytes)
        .max_buf_size(limits.head_bytes.max(8192) * 2)
        .keep_alive(true);
    builder
}

fn two(limits: &Limits, lifecycle: &Lifecycle) -> http2::Builder<Tracked> {
    let mut builder = http2::Builder::new(Tracked(lifecycle.clone()));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(limits.window / 2)
        .initial_connection_window_size(limits.window)
        .max_send_buf_size(64 * 1024)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Drives a connection; once it shall end, it gets its grace for the requests in work, but no more than the soft phase
/// takes.
async fn finish<C, E>(serving: C, end: fn(Pin<&mut C>), connection: &Connection, lifecycle: &Lifecycle)
where
    C: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        // Ending matters less than serving and is polled after it.
        biased;
        ended = serving.as_mut() => Some(ended),
        () = connection.end.cancelled() => None,
    };
    let ended = match ended {
        None if connection.is_cut() => return,
        None => {
            end(serving.as_mut());
            let hard = lifecycle.hard();
            let serving = tokio::time::timeout(connection.grace(), hard.run_until_cancelled(serving));
            serving.await.ok().flatten().unwrap_or(Ok(()))
        }
        Some(ended) => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// From hyper's request to the app's: the peer goes onto it, the body into axum's type.
struct Handler {
    app: App,
    peer: Peer,
    /// Whose bodies are looked at, and by what.
    sender: Option<(Arc<Identity>, Arc<PolicyWatch>)>,
    connection: Arc<Connection>,
    version: Version,
    /// HTTP/1 alone: on HTTP/2 every request has its own.
    leftover: Option<Arc<Leftover>>,
}

impl hyper::service::Service<Request<Incoming>> for Handler {
    type Response = Response;
    type Error = Infallible;
    type Future = Working;

    fn call(&self, request: Request<Incoming>) -> Working {
        let busy = self.connection.request();
        let expects = match request.headers().get(header::EXPECT) {
            None => Expects::Nothing,
            Some(_) => Expects::Continue,
        };
        let refusal = if self.version == Version::One { strict::refusal(&request) } else { None };
        let leftover = self.leftover.clone().unwrap_or_default();
        let mut request =
            request.map(|body| Body::new(Judged::new(Returning::new(body, &leftover), self.sender.clone())));
        request.extensions_mut().insert(self.peer.clone());
        let answer = match refusal {
            None => self.app.clone().call(request),
            Some(error) => {
                let mut response = self.app.refuse(&request, error);
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                Box::pin(std::future::ready(Ok(response)))
            }
        };
        Working { answer, leftover, version: self.version, expects, last: None, busy }
    }
}

/// An answer in work, and that it is.
struct Working {
    answer: <App as Service<Request<Body>>>::Future,
    leftover: Arc<Leftover>,
    version: Version,
    expects: Expects,
    /// The answer, as it waits for the rest of its request.
    last: Option<Boxed<Response>>,
    busy: Busy,
}

impl Future for Working {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(last) = &mut self.last {
            return last.as_mut().poll(cx).map(Ok);
        }
        let Ok(answer) = ready!(self.answer.as_mut().poll(cx));
        let Some(rest) = self.leftover.take() else { return Poll::Ready(Ok(answer)) };
        let last = leftover::discard(rest, self.version, self.expects, self.busy.connection(), answer);
        self.last.insert(Box::pin(last)).as_mut().poll(cx).map(Ok)
    }
}
