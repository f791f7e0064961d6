//! Connections that are opened and then say nothing: what a broker spends on clients that only stay connected.

use std::sync::Arc;

use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use super::connection::{Fault, open};
use super::report::Idle;
use super::target::Target;

/// Handshakes at a time.
const AT_A_TIME: usize = 64;

/// Idle connections, each held by a task that ends when the server closes it.
#[derive(Debug)]
pub(super) struct Held {
    opened: usize,
    connections: JoinSet<()>,
}

impl Held {
    /// Opens `count` connections, spread over the clients. The first fault ends it, with how far it came.
    pub(super) async fn open(count: usize, target: &Target, clients: &[Arc<ClientConfig>]) -> anyhow::Result<Self> {
        let mut opening: JoinSet<Result<TlsStream<TcpStream>, Fault>> = JoinSet::new();
        let mut held = Self { opened: 0, connections: JoinSet::new() };
        for index in 0..count {
            if opening.len() >= AT_A_TIME {
                held.take(opening.join_next().await, count)?;
            }
            let (target, tls) = (target.clone(), Arc::clone(&clients[index % clients.len()]));
            opening.spawn(async move { open(&target, &tls).await });
        }
        while !opening.is_empty() {
            held.take(opening.join_next().await, count)?;
        }
        Ok(held)
    }

    fn take(
        &mut self,
        opened: Option<Result<Result<TlsStream<TcpStream>, Fault>, tokio::task::JoinError>>,
        count: usize,
    ) -> anyhow::Result<()> {
        let Some(opened) = opened else { return Ok(()) };
        let mut stream = opened?.map_err(|fault| {
            anyhow::Error::from(fault).context(format!("open idle connection {} of {count}", self.opened + 1))
        })?;
        self.opened += 1;
        self.connections.spawn(async move {
            // Nothing is expected; anything that ends the read ends the connection.
            let _ = tokio::io::AsyncReadExt::read_u8(&mut stream).await;
        });
        Ok(())
    }

    /// How many there were and how many are still open.
    pub(super) fn count(mut self) -> Idle {
        while self.connections.try_join_next().is_some() {}
        Idle { opened: self.opened, held: self.connections.len() }
    }
}
