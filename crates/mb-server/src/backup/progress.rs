//! How far a job is, and whether it is to end.

use std::io;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use super::error::BackupError;

/// What a job is at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The rows.
    Database,
    /// Certificates, keys, settings, logs.
    Files,
    /// The checksums.
    Checksums,
}

impl Step {
    const ALL: [Self; 3] = [Self::Database, Self::Files, Self::Checksums];

    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Files => "files",
            Self::Checksums => "checksums",
        }
    }
}

/// Shared between who works and who looks.
#[derive(Debug)]
pub struct Progress {
    step: AtomicU8,
    bytes: AtomicU64,
    stop: CancellationToken,
}

impl Progress {
    /// Nothing is done yet; work ends early once `stop` is cancelled.
    pub fn new(stop: CancellationToken) -> Self {
        Self { step: AtomicU8::new(0), bytes: AtomicU64::new(0), stop }
    }

    /// What is done at the moment, and how many bytes have passed.
    pub fn now(&self) -> (Step, u64) {
        let step = Step::ALL[usize::from(self.step.load(Ordering::Relaxed)) % Step::ALL.len()];
        (step, self.bytes.load(Ordering::Relaxed))
    }

    pub(super) fn begin(&self, step: Step) {
        self.step.store(step as u8, Ordering::Relaxed);
    }

    /// Counts bytes.
    ///
    /// # Errors
    /// The work is to end.
    pub(super) fn add(&self, bytes: usize) -> io::Result<()> {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if self.stop.is_cancelled() { Err(io::Error::other("the process stops")) } else { Ok(()) }
    }

    /// Waits for `work` unless it is to end before.
    pub(super) async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, BackupError>>,
    ) -> Result<T, BackupError> {
        self.stop.run_until_cancelled(work).await.unwrap_or(Err(BackupError::Stopped))
    }
}
