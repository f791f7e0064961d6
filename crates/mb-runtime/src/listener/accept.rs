//! The accept loop: it survives whatever accepting can throw at it and keeps the number of connections bounded.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::logging;

/// The wait after a failed accept. Out of file descriptors, trying again at once would fail at once.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Accepts until `soft`; hands each connection with its permit to `start`.
pub(super) async fn accept<F>(tcp: TcpListener, connections: usize, soft: CancellationToken, start: F)
where
    F: Fn(TcpStream, SocketAddr, OwnedSemaphorePermit),
{
    let slots = Arc::new(Semaphore::new(connections));
    while let Some(accepted) = soft.run_until_cancelled(tcp.accept()).await {
        match accepted {
            Ok((stream, addr)) => match Arc::clone(&slots).try_acquire_owned() {
                Ok(slot) => start(stream, addr, slot),
                Err(_) => logging::limited("connections", || {
                    tracing::warn!(peer.addr = %addr, limit = connections, "too many connections, new one closed");
                }),
            },
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                logging::limited("accept", || tracing::error!(%error, "cannot accept connections"));
                if soft.run_until_cancelled(tokio::time::sleep(BACK_OFF)).await.is_none() {
                    return;
                }
            }
        }
    }
}

/// The connection was gone before it was accepted; the next one may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
