//! Why there is no backup, or why one cannot be used.

use std::io;
use std::path::Path;

use mb_crypto::CryptoError;
use mb_store::StoreError;

/// Administrators alone read these.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Nothing to seal with, or to open with.
    #[error("{0}")]
    NoKey(String),
    /// A backup is not whole, or not what it says.
    #[error("{path}: {reason}")]
    Broken {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The process stops.
    #[error("broken off: the process stops")]
    Stopped,
    /// A file operation failed.
    #[error("{action} {path}")]
    File {
        /// What was tried, as verb.
        action: &'static str,
        /// The file.
        path: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A key or a private file.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// The database.
    #[error("the database")]
    Store(#[from] StoreError),
}

impl BackupError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::File { action, path, source }
    }

    pub(super) fn broken(path: &Path, reason: impl Into<String>) -> Self {
        Self::Broken { path: path.display().to_string(), reason: reason.into() }
    }

    /// The error with its causes, for administrators.
    pub(super) fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
