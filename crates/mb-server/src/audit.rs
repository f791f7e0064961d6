//! The audit log's chain: made by whoever leads, checked by whoever asks.

pub(crate) mod chain;
mod ending;
mod head;
pub(crate) mod pruning;
mod start;
pub(crate) mod state;
pub(crate) mod verify;

use mb_store::{ChainedEntry, Store, StoreError};

/// The row at a place of the chain.
async fn at(store: &Store, position: u64) -> Result<Option<ChainedEntry>, StoreError> {
    let row = store.audit_chain(position.saturating_sub(1), 1).await?.pop();
    Ok(row.filter(|row| row.position == position))
}
