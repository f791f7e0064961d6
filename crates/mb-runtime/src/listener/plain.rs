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

use super::accept::{Slots, accept};
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
        let port = Arc::new(Port { app, limits, live, policy: None, lifecycle: lifecycle.clone() });
        let tracker = lifecycle.clone();
        let loop_ =
            accept(listener.tcp, Slots::new(limits.connections), lifecycle.soft(), move |stream, addr, slot| {
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
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PlainText {
    /// 400: use https.
    Refuse,
    /// 308 to the same page at this address, `https://HOST` with or without a port, for browsers. What the request calls
    /// the host is not believed.
    Redirect(Arc<str>),
}

/// Answers one request; the caller bounds the time.
pub(super) async fn answer_plain_text(stream: TcpStream, how: &PlainText) {
    let answer = service_fn(move |request: Request<Incoming>| async move {
        Ok::<_, Infallible>(match how {
            PlainText::Redirect(to) => redirect(&request, to).unwrap_or_else(refuse),
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

/// Kept nowhere: who could answer in the place of this port once would else be believed for good.
fn redirect<B>(request: &Request<B>, to: &str) -> Option<Response> {
    let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let location = HeaderValue::try_from(format!("{}{path}", to.trim_end_matches('/'))).ok()?;
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    path.starts_with('/').then(|| (StatusCode::PERMANENT_REDIRECT, headers, Body::empty()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_to_the_same_page_of_the_known_address_whatever_host_it_names() {
        let to = |host: &str, target: &str| {
            let request = Request::get(target).header("host", host).body(()).expect("a request");
            let response = redirect(&request, "https://broker.example:5000/").expect("redirected");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
            response.headers()[header::LOCATION].to_str().expect("text").to_owned()
        };
        assert_eq!(to("broker.example:5000", "/messages?q=1"), "https://broker.example:5000/messages?q=1");
        assert_eq!(to("evil.example", "/"), "https://broker.example:5000/");
        assert_eq!(to("", "http://evil.example/a"), "https://broker.example:5000/a");
    }
}
