//! Plain HTTP: the worker's port for metrics and health, and what to say to plain HTTP on a TLS port.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::{Peer, RequestId};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::accept::accept;
use super::connection::{Port, Version, serve};
use super::live::Live;
use super::{Limits, Listener};
use crate::app::App;
use crate::lifecycle::{Criticality, Lifecycle};

/// A port without TLS.
#[derive(Debug)]
pub struct PlainServer {
    /// The bound port.
    pub listener: Listener,
    /// What is served.
    pub app: App,
    /// What a port allows.
    pub limits: Limits,
}

impl PlainServer {
    /// A server with the usual limits, but for few callers.
    pub fn new(listener: Listener, app: App) -> Self {
        Self { listener, app, limits: Limits { connections: 256, ..Limits::default() } }
    }

    /// Serves on the lifecycle until its soft stop; returns at once.
    pub fn start(self, lifecycle: &Lifecycle) {
        let Self { listener, app, limits } = self;
        let live = Live::default();
        let (watch, soft) = (live.clone().watch(limits, None), lifecycle.soft());
        lifecycle.spawn("connection watch", Criticality::Critical, async move {
            soft.run_until_cancelled(watch).await;
        });
        let port = Arc::new(Port { app, limits, live, lifecycle: lifecycle.clone() });
        let tracker = lifecycle.clone();
        let loop_ = accept(listener.tcp, limits.connections, lifecycle.soft(), move |stream, addr, slot| {
            let port = Arc::clone(&port);
            tracker.track(async move {
                connection(stream, addr, &port).await;
                drop(slot);
            });
        });
        lifecycle.spawn("accept", Criticality::Critical, loop_);
    }
}

async fn connection(stream: TcpStream, addr: SocketAddr, port: &Port) {
    if stream.set_nodelay(true).is_ok() {
        let entry = port.live.enter(None, port.lifecycle.soft(), true);
        let peer = Peer { addr: Some(addr), identity: None };
        serve(TokioIo::new(stream), Version::One, peer, entry, port).await;
    }
}

/// What plain HTTP on a TLS port is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlainText {
    /// 400: use https.
    Refuse,
    /// 308 to the same address with https, for browsers.
    Redirect,
}

/// Answers one request; the caller bounds the time.
pub(super) async fn answer_plain_text(stream: TcpStream, how: PlainText) {
    let answer = service_fn(move |request: Request<Incoming>| async move {
        Ok::<_, Infallible>(match how {
            PlainText::Redirect => redirect(&request).unwrap_or_else(refuse),
            PlainText::Refuse => refuse(),
        })
    });
    let mut io = TokioIo::new(stream);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(5))
        .max_buf_size(16 * 1024)
        .keep_alive(false);
    if let Err(error) = builder.serve_connection(&mut io, answer).await {
        tracing::debug!(%error, "plain text on a TLS port");
    }
    // Whatever it was, the peer is done with; nothing is left to report.
    let _ = io.into_inner().shutdown().await;
}

fn refuse() -> Response {
    ApiError::new(ProblemCode::MalformedRequest, "this port speaks HTTPS only: use https://")
        .render(&RequestId::fresh())
}

/// `None` if the request does not say, in a form that can be sent back, which host it meant.
fn redirect<B>(request: &Request<B>) -> Option<Response> {
    let host = request.headers().get(header::HOST)?.to_str().ok()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
    if host.is_empty() || !host.bytes().all(plain) {
        return None;
    }
    let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let location = HeaderValue::try_from(format!("https://{host}{path}")).ok()?;
    Some((StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)], Body::empty()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_to_the_same_page_with_https() {
        let to = |host: &str, path: &str| {
            let request = Request::get(path).header("host", host).body(()).expect("a request");
            redirect(&request).map(|response| response.headers()[header::LOCATION].to_str().map(str::to_owned))
        };
        let found = to("broker.example:5000", "/messages?q=1").expect("redirected").expect("text");
        assert_eq!(found, "https://broker.example:5000/messages?q=1");
        assert!(to("evil/path@host", "/").is_none());
        assert!(to("", "/").is_none());
    }
}
