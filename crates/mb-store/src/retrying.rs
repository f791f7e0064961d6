//! What gave way to another transaction is done again: a deadlock, a lock that was waited for too long, a write that another
//! node of a cluster forestalled.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::StoreError;

/// How often a transaction is begun before its conflict is told.
const ATTEMPTS: u32 = 5;

/// After this long it is not begun again: a server waits 3 s for a lock, and whoever asked 10 s for the answer.
const PATIENCE: Duration = Duration::from_secs(6);

/// How often, and until when, the same is tried while others stand in the way.
pub(crate) struct Tries {
    left: u32,
    until: Instant,
}

impl Tries {
    pub(crate) fn new() -> Self {
        Self { left: ATTEMPTS, until: Instant::now() + PATIENCE }
    }

    /// Whether to try once more, after one that failed.
    pub(crate) fn another(&mut self) -> bool {
        self.left -= 1;
        self.left > 0 && Instant::now() < self.until
    }
}

/// Does `work`, a whole transaction, until nothing is in its way.
pub(crate) async fn retrying<T, F: Future<Output = Result<T, StoreError>>>(
    mut work: impl FnMut() -> F,
) -> Result<T, StoreError> {
    let mut tries = Tries::new();
    loop {
        match work().await {
            Err(error) if error.is_conflict() && tries.another() => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_locks_gives_up_before_who_asked_does() {
        let mut tries = Tries::new();
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(tries.another());
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(!tries.another());
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_at_once_is_tried_a_few_times() {
        let mut tries = Tries::new();
        assert_eq!((0..10).take_while(|_| tries.another()).count(), 4);
    }
}
