//! Why the journal could not be opened, and why it did not take an entry. A variant exists where a caller acts on it.

use std::io;
use std::path::PathBuf;

use crate::journal::Appended;

/// Why the journal cannot be opened or its stale entries not be handled.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has it open.
    #[error("the journal in {0} is in use by another process")]
    InUse(PathBuf),
    /// The file system refused; names what was attempted.
    #[error("{action} {path}")]
    Io {
        /// Verb of what was attempted.
        action: &'static str,
        /// What it was attempted on.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Stale entries could not be taken back into the journal.
    #[error("append stale entries")]
    Append(#[from] AppendError),
}

impl JournalError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

/// Not all entries of a call were taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{error}, after {} entries", done.len())]
pub struct AppendFailed {
    /// What became of the first ones: these are durable, as if they had been appended alone.
    pub done: Vec<Appended>,
    /// Why the others were not taken.
    pub error: AppendError,
}

impl From<AppendError> for AppendFailed {
    fn from(error: AppendError) -> Self {
        Self { done: Vec::new(), error }
    }
}

/// Why entries were not taken. None of them may be answered with a 202.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AppendError {
    /// The journal reached its bound or the disk is full.
    #[error("the journal is full")]
    Full,
    /// The disk did not take the write. What was written may or may not have survived.
    #[error("the disk did not take the write")]
    Failed,
    /// Too many entries are waiting to be written.
    #[error("too many entries are waiting to be written")]
    Overloaded,
    /// An entry that can never be stored: its parts contradict each other, or it is larger than a segment.
    #[error("the entry is malformed or larger than a segment")]
    Unfit,
    /// The journal was shut down.
    #[error("the journal is shut down")]
    Closed,
}
