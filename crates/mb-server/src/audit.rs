//! The audit log's chain: made by whoever leads, checked by whoever asks.

pub(crate) mod chain;
pub(crate) mod verify;
