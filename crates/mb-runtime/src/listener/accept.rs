//! The accept loop: it survives whatever accepting can throw at it and keeps the number of connections bounded.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::logging;

/// The wait after a failed accept. Out of file descriptors, trying again at once would fail at once.
const BACK_OFF: Duration = Duration::from_millis(100);

/// How many connections a port has open and may have. Clones are the same port's.
#[derive(Clone, Debug)]
pub struct Slots(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    taken: AtomicUsize,
    most: AtomicUsize,
}

/// One connection's; free again when it is dropped.
pub(super) struct Slot(Arc<Counts>);

impl Slots {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Counts { taken: AtomicUsize::new(0), most: AtomicUsize::new(most) }))
    }

    /// From now on there may be so many. Those that are open stay, also if they are more.
    pub fn set_most(&self, most: usize) {
        self.0.most.store(most, Ordering::Relaxed);
    }

    fn most(&self) -> usize {
        self.0.most.load(Ordering::Relaxed)
    }

    pub(super) fn take(&self) -> Option<Slot> {
        let before = self.0.taken.fetch_add(1, Ordering::Relaxed);
        let slot = Slot(Arc::clone(&self.0));
        (before < self.most()).then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts until `soft`; hands each connection with its slot to `start`.
pub(super) async fn accept<F>(tcp: TcpListener, slots: Slots, soft: CancellationToken, start: F)
where
    F: Fn(TcpStream, SocketAddr, Slot),
{
    while let Some(accepted) = soft.run_until_cancelled(tcp.accept()).await {
        match accepted {
            Ok((stream, addr)) => match slots.take() {
                Some(slot) => start(stream, addr, slot),
                None => logging::limited("connections", || {
                    tracing::warn!(peer.addr = %addr, limit = slots.most(), "too many connections, new one closed");
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
