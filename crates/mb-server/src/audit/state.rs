//! What the audit log needs beside the store: the chain's key, its head's file, since when it is kept by this process.

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
    /// Since when this process looks after the chain; `None` in one that only answers requests.
    runs_since: Mutex<Option<Timestamp>>,
    adopted: Mutex<Option<Notary>>,
}

impl AuditState {
    pub(crate) fn new(key: ChainKey, head: Option<PathBuf>) -> Self {
        Self { key, head: head.map(HeadFile::new), runs_since: Mutex::default(), adopted: Mutex::default() }
    }

    pub(crate) fn runs_since(&self) -> Option<Timestamp> {
        *self.runs_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From `now` on this process looks after the chain: every row gets its place soon, whoever leads.
    pub(crate) fn runs(&self, now: Timestamp) {
        *self.runs_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// From its next pass on, whoever chains signs with this.
    pub(crate) fn adopt(&self, notary: Notary) {
        *self.adopted.lock().unwrap_or_else(PoisonError::into_inner) = Some(notary);
    }

    pub(crate) fn adopted(&self) -> Option<Notary> {
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
