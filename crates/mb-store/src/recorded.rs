//! What this process has recorded in the audit log and nobody has compared with the database yet.
//!
//! A row is in the database alone from its commit until it is chained; whoever can write there can remove it without a
//! gap in the chain. What was committed is therefore kept in memory until whoever chains takes it and compares.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::audit::AuditEntry;

/// Entries that are kept; where nobody takes them, the oldest are forgotten first.
const KEPT: usize = 4096;

/// The entries of all transactions that were committed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded(Arc<Mutex<VecDeque<AuditEntry>>>);

/// The entries of one transaction.
#[derive(Debug)]
pub(crate) struct Recording {
    entries: Vec<AuditEntry>,
    all: Recorded,
}

impl Recorded {
    /// For a transaction that begins.
    pub(crate) fn begin(&self) -> Recording {
        Recording { entries: Vec::new(), all: self.clone() }
    }

    pub(crate) fn take(&self) -> Vec<AuditEntry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

impl Recording {
    pub(crate) fn push(&mut self, entry: AuditEntry) {
        self.entries.push(entry);
    }

    /// The transaction was committed.
    pub(crate) fn committed(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(self.entries.drain(..));
        let beyond = all.len().saturating_sub(KEPT);
        all.drain(..beyond);
    }
}
