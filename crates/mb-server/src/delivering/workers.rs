//! How far workers are: as of which version of the destinations each that asks here sends. Whoever changes a destination
//! waits a moment for them, so that nothing more goes to where it shall not when the change is answered. Workers of another
//! main server follow within a second or two.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// A worker that has not asked for so long is gone: the longest wait of a question, and some.
const GONE: Duration = Duration::from_secs(40);
/// How long workers are waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// The most workers that are waited for.
const MOST: usize = 1000;

#[derive(Debug, Default)]
pub(crate) struct Workers {
    seen: Mutex<HashMap<String, Seen>>,
    /// One of them is further.
    further: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    knows: u64,
    at: Instant,
}

impl Workers {
    /// A worker asks, and goes by that version.
    pub(crate) fn ask(&self, name: &str, knows: u64) {
        let now = Instant::now();
        let mut seen = self.seen();
        if let Some(seen) = seen.get_mut(name) {
            *seen = Seen { knows, at: now };
        } else {
            seen.retain(|_, seen| now.duration_since(seen.at) < GONE);
            if seen.len() < MOST {
                seen.insert(name.to_owned(), Seen { knows, at: now });
            }
        }
        drop(seen);
        self.further.notify_waiters();
    }

    /// Waits until all go by that version, or for a while.
    pub(super) async fn know(&self, version: u64) {
        let all_know = async {
            loop {
                let further = self.further.notified();
                let mut further = std::pin::pin!(further);
                further.as_mut().enable();
                if self.seen().values().all(|seen| seen.knows >= version || seen.at.elapsed() >= GONE) {
                    return;
                }
                further.await;
            }
        };
        if tokio::time::timeout(PATIENCE, all_know).await.is_err() {
            tracing::debug!("a worker does not go by the change yet");
        }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_are_waited_for_and_those_who_are_gone_are_not() {
        let workers = Workers::default();
        let took = async |version| {
            let begun = Instant::now();
            workers.know(version).await;
            begun.elapsed()
        };
        assert_eq!(took(9).await, Duration::ZERO, "there is none");
        workers.ask("one", 2);
        assert_eq!((took(2).await, took(3).await), (Duration::ZERO, PATIENCE));
        let (waited, ()) = tokio::join!(took(3), async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            workers.ask("one", 3);
        });
        assert!(waited < PATIENCE);
        tokio::time::advance(GONE).await;
        assert_eq!(took(4).await, Duration::ZERO);
    }
}
