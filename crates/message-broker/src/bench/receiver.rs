//! A receiver of webhooks in this process: takes every one at once and counts it. What a broker delivers here is held back by
//! nothing but itself.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A running receiver; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Receiver {
    received: Arc<AtomicU64>,
    _server: JoinSet<()>,
}

impl Receiver {
    /// Starts on `port` of 127.0.0.1.
    pub(super) async fn start(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.context("open the receiver's port")?;
        let received = Arc::new(AtomicU64::new(0));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&received)));
        Ok(Self { received, _server: server })
    }

    /// Webhooks that were taken, repeats among them.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

async fn serve(listener: TcpListener, received: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, Arc::clone(&received)))),
                Err(error) => tracing::warn!(error = %error, "receiver accept failed"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, received: Arc<AtomicU64>) {
    let service = service_fn(|request: Request<Incoming>| {
        let received = Arc::clone(&received);
        async move {
            let complete = request.into_body().collect().await.is_ok();
            received.fetch_add(u64::from(complete), Ordering::Relaxed);
            let mut response = Response::new(Empty::<Bytes>::new());
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok::<_, Infallible>(response)
        }
    });
    // A broker that goes away is how each run ends; what was not taken is seen by its state.
    let _ = stream.set_nodelay(true);
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
