//! What gave way to another transaction is done again: a deadlock, a lock that was waited for too long, a write that another
//! node of a cluster forestalled.

use crate::error::StoreError;

/// How often a transaction is begun before its conflict is told.
const ATTEMPTS: u32 = 5;

/// Does `work`, a whole transaction, until nothing is in its way.
pub(crate) async fn retrying<T, F: Future<Output = Result<T, StoreError>>>(
    mut work: impl FnMut() -> F,
) -> Result<T, StoreError> {
    for _ in 1..ATTEMPTS {
        match work().await {
            Err(error) if error.is_conflict() => {}
            done => return done,
        }
    }
    work().await
}
