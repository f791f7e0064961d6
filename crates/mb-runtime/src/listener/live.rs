//! The connections that are open, watched by one task instead of a timer in each.
//!
//! Once a second it looks at every connection's marks: a request's head that does not get finished is cut off (slow
//! loris), and a connection without requests is let go. One whose certificate is revoked, or whose client is suspended, ends
//! as soon as the policy says so, and within two seconds whatever it is doing. The marks are two atomics that the
//! connection sets as it works, so a request arms and disarms no timer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mb_core::Identity;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Limits;
use crate::lifecycle::SOFT;
use crate::policy_watch::PolicyWatch;

/// How long requests in work may go on of somebody who is shut out: what was all but done is told of. With the way of the
/// policy to a proxy it is less than the five seconds in which a revocation holds.
const SHUT_OUT: Duration = Duration::from_secs(2);

/// No request has begun.
const NONE: u64 = u64::MAX;

/// One connection as the watcher sees it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) identity: Option<Arc<Identity>>,
    /// Cancelled when the connection shall end: after its requests, or at once if `cut`.
    pub(super) end: CancellationToken,
    cut: AtomicBool,
    /// Its peer was revoked or suspended.
    shut_out: AtomicBool,
    begun: Instant,
    /// Requests in work.
    busy: AtomicU32,
    /// Milliseconds since `begun` of the last sign of work: HTTP/1 the last bytes of an answer, HTTP/2 the last answer's
    /// end, because there pings are sent too.
    idle_since: AtomicU64,
    /// Milliseconds since `begun` of the first byte of a head that is not complete; [`NONE`] if there is no such.
    head_since: AtomicU64,
    /// On HTTP/2 bytes flow without requests, so that heads cannot be told.
    watch_heads: bool,
    /// A request was answered that had not come whole, and nothing else is answered here.
    unread: AtomicBool,
}

impl Connection {
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(NONE - 1)
    }

    /// Bytes came in.
    pub(super) fn received(&self) {
        if self.watch_heads && self.busy.load(Ordering::Relaxed) == 0 && self.head_since.load(Ordering::Relaxed) == NONE
        {
            self.head_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Bytes went out.
    pub(super) fn sent(&self) {
        if self.watch_heads {
            self.idle_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Its last request is answered before all of it was read.
    pub(super) fn leaves_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    /// Whether something of its last request was not read.
    pub(super) fn has_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// A request's head is complete; dropping the value ends the request.
    pub(super) fn request(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(NONE, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Whether it shall end without waiting for requests.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// How long its requests may go on once it shall end.
    pub(super) fn grace(&self) -> Duration {
        if self.is_shut_out() { SHUT_OUT } else { SOFT }
    }

    /// Whether its peer may do nothing any more.
    pub(super) fn is_shut_out(&self) -> bool {
        self.shut_out.load(Ordering::Acquire)
    }

    fn shut_out(&self) {
        self.shut_out.store(true, Ordering::Release);
        self.end.cancel();
    }

    fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.end.cancel();
    }
}

/// A request in work on a connection.
#[derive(Debug)]
pub(super) struct Busy(Arc<Connection>);

impl Busy {
    /// Of which connection.
    pub(super) fn connection(&self) -> Arc<Connection> {
        Arc::clone(&self.0)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if !self.0.watch_heads {
            self.0.idle_since.store(self.0.now(), Ordering::Relaxed);
        }
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All connections of one port.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    inner: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    connections: HashMap<u64, Arc<Connection>>,
}

impl Live {
    /// Enters a connection; it leaves when the entry is dropped.
    pub(super) fn enter(&self, identity: Option<Arc<Identity>>, end: CancellationToken, watch_heads: bool) -> Entry {
        let connection = Arc::new(Connection {
            identity,
            end,
            cut: AtomicBool::new(false),
            shut_out: AtomicBool::new(false),
            begun: Instant::now(),
            busy: AtomicU32::new(0),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(NONE),
            watch_heads,
            unread: AtomicBool::new(false),
        });
        let mut table = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let id = table.next;
        table.next += 1;
        table.connections.insert(id, Arc::clone(&connection));
        Entry { live: self.clone(), id, connection }
    }

    /// Watches until it is dropped.
    pub(super) async fn watch(self, limits: Limits, policy: Option<Arc<PolicyWatch>>) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut following = policy.as_deref().cloned();
        loop {
            let changed = async {
                match &mut following {
                    Some(policy) => policy.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = ticks.tick() => self.sweep(&limits),
                () = changed => if let Some(policy) = &policy {
                    self.close_shut_out(policy);
                },
            }
        }
    }

    fn sweep(&self, limits: &Limits) {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let (head, idle) = (millis(limits.head), millis(limits.idle));
        for connection in self.inner.lock().unwrap_or_else(PoisonError::into_inner).connections.values() {
            let now = connection.now();
            let head_since = connection.head_since.load(Ordering::Relaxed);
            if head_since != NONE && now.saturating_sub(head_since) > head {
                connection.cut();
            } else if connection.busy.load(Ordering::Relaxed) == 0 {
                let quiet = now.saturating_sub(connection.idle_since.load(Ordering::Relaxed));
                if quiet > idle {
                    connection.end.cancel();
                }
            }
        }
    }

    fn close_shut_out(&self, policy: &PolicyWatch) {
        for connection in self.inner.lock().unwrap_or_else(PoisonError::into_inner).connections.values() {
            if connection.identity.as_ref().is_some_and(|identity| policy.shuts_out(identity).is_some()) {
                connection.shut_out();
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).connections.len()
    }
}

/// A connection's place in the table.
#[derive(Debug)]
pub(super) struct Entry {
    live: Live,
    id: u64,
    pub(super) connection: Arc<Connection>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.live.inner.lock().unwrap_or_else(PoisonError::into_inner).connections.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { head: Duration::from_secs(10), idle: Duration::from_mins(1), ..Limits::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_stays_unfinished_is_cut() {
        let live = Live::default();
        let entry = live.enter(None, CancellationToken::new(), true);
        entry.connection.received();
        tokio::time::advance(Duration::from_secs(9)).await;
        // Another byte does not buy more time.
        entry.connection.received();
        live.sweep(&limits());
        assert!(!entry.connection.end.is_cancelled());
        tokio::time::advance(Duration::from_secs(2)).await;
        live.sweep(&limits());
        assert!(entry.connection.end.is_cancelled() && entry.connection.is_cut());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_in_work_is_neither_idle_nor_slow() {
        let live = Live::default();
        let entry = live.enter(None, CancellationToken::new(), true);
        entry.connection.received();
        let busy = entry.connection.request();
        tokio::time::advance(Duration::from_mins(5)).await;
        entry.connection.received();
        live.sweep(&limits());
        assert!(!entry.connection.end.is_cancelled());
        drop(busy);
        entry.connection.sent();
        tokio::time::advance(Duration::from_secs(59)).await;
        live.sweep(&limits());
        assert!(!entry.connection.end.is_cancelled());
        tokio::time::advance(Duration::from_secs(2)).await;
        live.sweep(&limits());
        assert!(entry.connection.end.is_cancelled() && !entry.connection.is_cut());
    }

    #[test]
    fn a_closed_connection_leaves_the_table() {
        let live = Live::default();
        let entry = live.enter(None, CancellationToken::new(), true);
        assert_eq!(live.len(), 1);
        drop(entry);
        assert_eq!(live.len(), 0);
    }
}
