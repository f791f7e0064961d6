//! Connections to destinations: to an address that may be connected to, whatever name it goes by.
//!
//! The name is resolved here and the connection goes to an address that was judged, so a name that resolves to something
//! else a moment later changes nothing. Redirects are never followed: nothing here follows any.

use std::io;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use mb_core::egress::Reach;
use mb_core::{AttemptClass, Egress};
use mb_runtime::lifecycle::{Criticality, Lifecycle};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::aim::Place;
use super::names::Names;

/// Headers of an answer at most.
const MAX_HEADERS: usize = 100;
/// Bytes of an answer's head at most.
const MAX_HEAD: usize = 64 << 10;
/// Addresses that are tried at most.
const MAX_ADDRESSES: usize = 8;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    /// What it broke by, for a request that finds it broken already.
    pub(crate) broke: oneshot::Receiver<hyper::Error>,
    pub(crate) peer: SocketAddr,
    /// When it was last used.
    pub(crate) used: Instant,
}

/// Why something did not come about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    pub(crate) class: AttemptClass,
    pub(crate) detail: String,
}

impl Failure {
    pub(crate) fn new(class: AttemptClass, detail: impl std::fmt::Display) -> Self {
        Self { class, detail: detail.to_string() }
    }
}

impl Connection {
    /// Opens one by `deadline`.
    pub(crate) async fn open(
        place: &Place,
        names: &Names,
        egress: &Egress,
        deadline: Instant,
        lifecycle: &Lifecycle,
    ) -> Result<Self, Failure> {
        let late = |_| Failure::new(AttemptClass::Timeout, "no connection in time");
        tokio::time::timeout_at(deadline, open(place, names, egress, lifecycle)).await.map_err(late)?
    }
}

async fn open(place: &Place, names: &Names, egress: &Egress, lifecycle: &Lifecycle) -> Result<Connection, Failure> {
    let stream = tcp(&addresses(place, names, egress).await?).await?;
    let peer = stream.peer_addr().map_err(|error| Failure::new(AttemptClass::Connect, error))?;
    let (sender, broke) = match &place.tls {
        None => handshake(stream, lifecycle).await?,
        Some((config, name)) => {
            let stream = TlsConnector::from(config.clone()).connect(name.clone(), stream).await;
            handshake(stream.map_err(|error| not_secured(&error))?, lifecycle).await?
        }
    };
    Ok(Connection { sender, broke, peer, used: Instant::now() })
}

/// The addresses that may be connected to.
async fn addresses(place: &Place, names: &Names, egress: &Egress) -> Result<Vec<SocketAddr>, Failure> {
    let found: Vec<SocketAddr> = if let Ok(address) = place.host.parse::<IpAddr>() {
        vec![(address, place.port).into()]
    } else {
        let found = names.addresses(&place.host).await.map_err(|error| Failure::new(AttemptClass::Dns, error))?;
        found.iter().map(|address| (*address, place.port).into()).collect()
    };
    if found.is_empty() {
        return Err(Failure::new(AttemptClass::Dns, "the name has no address"));
    }
    let may = |address: &SocketAddr| match egress.reach(address.ip()) {
        Reach::Allowed => true,
        // What is not secured stays within what the operator knows.
        Reach::Public => place.tls.is_some(),
        Reach::Forbidden => false,
    };
    let allowed = found.iter().filter(|address| may(address)).take(MAX_ADDRESSES).copied().collect::<Vec<_>>();
    if allowed.is_empty() {
        let reason = if found.iter().any(|address| egress.reach(address.ip()) == Reach::Public) {
            "http:// goes only to addresses in delivery.allow_cidrs"
        } else {
            "the address is not one of the public internet, and not in delivery.allow_cidrs"
        };
        return Err(Failure::new(AttemptClass::Blocked, reason));
    }
    Ok(allowed)
}

async fn tcp(addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Without it a body would wait for the acknowledgement of its head.
                stream.set_nodelay(true).map_err(|error| Failure::new(AttemptClass::Connect, error))?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(Failure::new(AttemptClass::Connect, last.map_or_else(String::new, |error| error.to_string())))
}

/// What the other end's TLS says, or that the connection broke before it said anything.
fn not_secured(error: &io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => Failure::new(AttemptClass::Tls, error),
        None => Failure::new(AttemptClass::Tls, format!("the handshake broke off: {error}")),
    }
}

/// The connection is driven by a task of its own, which ends with its sender.
async fn handshake<S>(
    stream: S,
    lifecycle: &Lifecycle,
) -> Result<(SendRequest<Full<Bytes>>, oneshot::Receiver<hyper::Error>), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new();
    builder.max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD);
    let made = builder.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = made.map_err(|error| Failure::new(AttemptClass::Broken, error))?;
    let (breaks, broke) = oneshot::channel();
    lifecycle.spawn("delivery connection", Criticality::Ordinary, async move {
        if let Err(error) = connection.await {
            // Nobody waits for it if the connection was put away.
            let _ = breaks.send(error);
        }
    });
    Ok((sender, broke))
}
