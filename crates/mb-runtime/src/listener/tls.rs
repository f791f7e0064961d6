//! HTTPS with an optional client certificate.
//!
//! The handshake runs in the connection's own task, under a timeout, so that a slow peer delays nobody; the bound on
//! connections bounds handshakes too, because one of their own would let stalled peers keep everybody else out. The
//! certificate is read once per connection; whether it may do something is asked per request by the role.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use mb_api::Peer;
use mb_crypto::tls::ReloadableServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::accept::{Slots, accept};
use super::connection::{Port, Version, serve};
use super::live::Live;
use super::plain::{PlainText, answer_plain_text};
use super::{Limits, Listener};
use crate::app::App;
use crate::lifecycle::{Criticality, Lifecycle};
use crate::policy_watch::PolicyWatch;

/// The first byte of a TLS record that begins a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// A role's TLS port.
#[derive(Debug)]
pub struct TlsServer {
    /// The bound port.
    pub listener: Listener,
    /// Certificate and trust, replaceable while it runs.
    pub tls: Arc<ReloadableServerConfig>,
    /// What is served.
    pub app: App,
    /// What a port allows.
    pub limits: Limits,
    /// Closes the connections of those who are revoked or suspended while they are open.
    pub policy: Option<PolicyWatch>,
    /// The answer to plain HTTP on this port.
    pub plain_text: PlainText,
}

impl TlsServer {
    /// A server with the usual limits that answers plain HTTP with 400.
    pub fn new(listener: Listener, tls: Arc<ReloadableServerConfig>, app: App) -> Self {
        Self { listener, tls, app, limits: Limits::default(), policy: None, plain_text: PlainText::Refuse }
    }

    /// Serves on the lifecycle until its soft stop; returns at once, with the bound of connections, which may be changed.
    pub fn start(self, lifecycle: &Lifecycle) -> Slots {
        let Self { listener, tls, app, limits, policy, plain_text } = self;
        let (live, policy) = (Live::default(), policy.map(Arc::new));
        lifecycle.spawn("connection watch", Criticality::Critical, {
            let (watch, soft) = (live.clone().watch(limits, policy.clone()), lifecycle.soft());
            async move {
                soft.run_until_cancelled(watch).await;
            }
        });
        let port = Port { app, limits, live, policy, lifecycle: lifecycle.clone() };
        let shared = Arc::new(Shared { tls, plain_text, port });
        let tracker = lifecycle.clone();
        let slots = Slots::new(limits.connections);
        let loop_ = accept(listener.tcp, slots.clone(), lifecycle.soft(), move |stream, addr, slot| {
            let shared = Arc::clone(&shared);
            tracker.track(async move {
                shared.connection(stream, addr).await;
                drop(slot);
            });
        });
        lifecycle.spawn("accept", Criticality::Critical, loop_);
        slots
    }
}

struct Shared {
    tls: Arc<ReloadableServerConfig>,
    plain_text: PlainText,
    port: Port,
}

impl Shared {
    async fn connection(&self, stream: TcpStream, addr: SocketAddr) {
        let opening = tokio::time::timeout(self.port.limits.handshake, self.open(stream));
        let soft = self.port.lifecycle.soft();
        let tls = match soft.run_until_cancelled(opening).await {
            Some(Ok(Some(tls))) => tls,
            Some(Ok(None)) | None => return,
            Some(Err(_)) => {
                tracing::debug!(peer.addr = %addr, "handshake took too long");
                return;
            }
        };
        let session = tls.get_ref().1;
        let version = if session.alpn_protocol() == Some(b"h2") { Version::Two } else { Version::One };
        let identity = match session.peer_certificates().and_then(|chain| chain.first()) {
            None => None,
            Some(certificate) => match mb_crypto::identity::from_der(certificate) {
                Ok(identity) => Some(Arc::new(identity)),
                Err(error) => {
                    tracing::debug!(peer.addr = %addr, %error, "certificate without an identity");
                    None
                }
            },
        };
        let peer = Peer { addr: Some(addr), identity: identity.clone() };
        let entry = self.port.live.enter(identity, soft, version == Version::One);
        serve(TokioIo::new(tls), version, peer, entry, &self.port).await;
    }

    /// The handshake, or an answer to a peer that speaks plain HTTP.
    async fn open(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        stream.set_nodelay(true).ok()?;
        let mut first = [0];
        if stream.peek(&mut first).await.ok()? == 0 {
            return None;
        }
        if first[0] != HANDSHAKE {
            answer_plain_text(stream, &self.plain_text).await;
            return None;
        }
        match TlsAcceptor::from(self.tls.current()).accept(stream).await {
            Ok(tls) => Some(tls),
            Err(error) => {
                tracing::debug!(%error, "handshake failed");
                None
            }
        }
    }
}
