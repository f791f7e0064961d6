//! The yardstick: a bare HTTP server over mutual TLS in this process that reads a request and answers 202.
//!
//! It does what no broker can do without - handshake, HTTP, reading the body - and nothing else, so the same load against
//! it says what the machine could do at best.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::args::Http;
use super::payload::{Form, Shape};

/// A running echo; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Echo {
    pub(super) address: SocketAddr,
    _server: JoinSet<()>,
}

impl Echo {
    /// Starts on a spare port, with the proxy's certificate of the data directory.
    pub(super) async fn start(data_dir: &Path, http: Http, shape: Shape) -> anyhow::Result<Self> {
        let certs = data_dir.join("certs");
        let read = |name: &str| {
            let path = certs.join(name);
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        let mut tls = mb_crypto::tls::server_config(&read("proxy.crt")?, &read("proxy.key")?, &read("ca.crt")?)
            .context("use certificate proxy.crt")?;
        tls.alpn_protocols = vec![http.alpn().to_vec()];
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("open echo port")?;
        let address = listener.local_addr().context("read echo port")?;
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::new(tls), http, answer(shape)));
        Ok(Self { address, _server: server })
    }
}

async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, http: Http, answer: Bytes) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (tls, answer) = (TlsAcceptor::from(Arc::clone(&tls)), answer.clone());
                    connections.spawn(async move {
                        if let Err(error) = connection(stream, tls, http, answer).await {
                            // A client that goes away is how each run ends; the client's side counts what matters.
                            tracing::debug!(error = %error, "echo connection ended");
                        }
                    });
                }
                Err(error) => tracing::warn!(error = %error, "echo accept failed"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, http: Http, answer: Bytes) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let stream = tls.accept(stream).await?;
    if stream.get_ref().1.peer_certificates().is_none() {
        bail!("no client certificate");
    }
    let service = service_fn(|request: Request<Incoming>| respond(request, answer.clone()));
    let io = TokioIo::new(stream);
    match http {
        Http::One => hyper::server::conn::http1::Builder::new().serve_connection(io, service).await?,
        Http::Two => {
            hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await?;
        }
    }
    Ok(())
}

async fn respond(request: Request<Incoming>, answer: Bytes) -> Result<Response<Full<Bytes>>, Infallible> {
    let complete = request.into_body().collect().await.is_ok();
    let mut response = Response::new(Full::new(answer));
    *response.status_mut() = if complete { StatusCode::ACCEPTED } else { StatusCode::BAD_REQUEST };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// An answer as long as the broker's.
fn answer(shape: Shape) -> Bytes {
    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    const AT: &str = "2026-11-23T10:00:00.000000Z";
    let text = match shape.form {
        Form::Single => format!(
            r#"{{"message_id":"{ID}","status":"queued","client_id":"demo","queued_at":"{AT}","position":null}}"#
        ),
        Form::Json | Form::Ndjson => {
            let entry = format!(r#"{{"message_id":"{ID}","status":"queued","queued_at":"{AT}"}}"#);
            format!(r#"{{"results":[{}]}}"#, vec![entry; shape.items].join(","))
        }
    };
    Bytes::from(text)
}
