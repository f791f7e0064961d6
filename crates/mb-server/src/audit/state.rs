//! What the audit log needs beside the store: the chain's key, its head's file, whether this process chains.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use mb_core::Timestamp;
use mb_crypto::audit::ChainKey;

use super::chain::Notary;
use super::head::HeadFile;

#[derive(Debug)]
pub(crate) struct AuditState {
    pub(crate) key: ChainKey,
    pub(crate) head: Option<HeadFile>,
    /// Since when this process chains what is recorded; `None` where another does, or nobody.
    chains_since: Mutex<Option<Timestamp>>,
    adopted: Mutex<Option<Notary>>,
}

impl AuditState {
    pub(crate) fn new(key: ChainKey, head: Option<PathBuf>) -> Self {
        Self { key, head: head.map(HeadFile::new), chains_since: Mutex::default(), adopted: Mutex::default() }
    }

    pub(crate) fn chains_since(&self) -> Option<Timestamp> {
        *self.chains_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says at `now` whether this process chains.
    pub(crate) fn chains(&self, chains: bool, now: Timestamp) {
        let mut since = self.chains_since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = chains.then(|| since.unwrap_or(now));
    }

    /// From its next pass on, whoever chains signs with this.
    pub(crate) fn adopt(&self, notary: Notary) {
        *self.adopted.lock().unwrap_or_else(PoisonError::into_inner) = Some(notary);
    }

    pub(crate) fn adopted(&self) -> Option<Notary> {
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
