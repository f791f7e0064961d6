//! HTTP/2 connections: hyper's, with several requests in flight on each.
//!
//! The connection is driven by one task that ends with its owner; the streams share a handle to it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use tokio::task::JoinSet;

use super::connection::{Answer, Fault, open};
use super::payload::Form;
use super::target::Target;

/// A connection; its streams work only while this lives.
#[derive(Debug)]
pub(super) struct Http2 {
    sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

impl Http2 {
    /// Connects.
    pub(super) async fn connect(target: &Target, tls: &Arc<ClientConfig>) -> Result<Self, Fault> {
        let stream = open(target, tls).await?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(Fault::new("handshake", "the server does not speak HTTP/2"));
        }
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|error| Fault::new("handshake", error))?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // The streams see the end of the connection as the fault of their request.
            let _ = connection.await;
        });
        Ok(Self { sender, _driver: driver })
    }

    /// A handle for one request at a time.
    pub(super) fn stream(&self, target: &Target, form: Form, timeout: Duration) -> Result<Http2Stream, Fault> {
        let uri = format!("https://{}{}", target.authority, form.path());
        Ok(Http2Stream {
            sender: self.sender.clone(),
            uri: uri.parse().map_err(|error| Fault::new("connect", error))?,
            content_type: HeaderValue::from_static(form.content_type()),
            timeout,
            body: Bytes::new(),
        })
    }
}

/// One request at a time on a shared connection.
#[derive(Debug)]
pub(super) struct Http2Stream {
    sender: SendRequest<Full<Bytes>>,
    uri: Uri,
    content_type: HeaderValue,
    timeout: Duration,
    body: Bytes,
}

impl Http2Stream {
    /// Sends one request and reads its answer.
    pub(super) async fn exchange(&mut self, body: &[u8]) -> Result<Answer<'_>, Fault> {
        let mut request = Request::new(Full::new(Bytes::copy_from_slice(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(CONTENT_TYPE, self.content_type.clone());
        let sender = &mut self.sender;
        let work = async {
            sender.ready().await?;
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
        };
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, work).await {
            Ok(Ok((status, body))) => {
                self.body = body;
                Ok(Answer { status, body: &self.body, keep_open: true })
            }
            Ok(Err(error)) if error.is_closed() => Err(Fault::new("closed", error)),
            Ok(Err(error)) => Err(Fault::new("io", error)),
            Err(_) => Err(Fault::new("timeout", format_args!("no answer in {timeout:?}"))),
        }
    }
}
