//! What gave way to another transaction is done again: a deadlock, a lock that was waited for too long, a write that another
//! node of a cluster forestalled.

use std::pin::Pin;

use crate::error::StoreError;

/// A whole transaction, on its way. Of an async closure it cannot be said that what it returns goes from thread to thread.
pub(crate) type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// How often a transaction is begun before its conflict is told.
const ATTEMPTS: u32 = 5;

/// Does `work`, a whole transaction, until nothing is in its way.
pub(crate) async fn retrying<'a, T>(mut work: impl FnMut() -> Work<'a, T> + Send) -> Result<T, StoreError> {
    for _ in 1..ATTEMPTS {
        match work().await {
            Err(error) if error.is_conflict() => {}
            done => return done,
        }
    }
    work().await
}
