//! Following a job to its end.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mb_api::client::ClientError;
use mb_api::dto::{BackupJob, BackupJobState};

use super::Format;
use crate::access::Access;
use crate::output;

/// How often it is asked how far it is.
const PAUSE: Duration = Duration::from_millis(250);
/// How often it is told, in lines that stay.
const TELLING: Duration = Duration::from_secs(10);
/// How often in a row a question may go unanswered.
const PATIENCE: u32 = 20;

/// Waits for the job's end and tells how far it is meanwhile.
pub(super) async fn watch(access: &Access, begun: BackupJob, format: Format) -> Result<BackupJob> {
    let (mut job, mut unanswered) = (begun, 0);
    let mut told = Telling::default();
    while job.state == BackupJobState::Running {
        tokio::time::sleep(PAUSE).await;
        match access.client.backup_job(&job.id).await {
            Ok(now) => (job, unanswered) = (now, 0),
            Err(error @ ClientError::Problem(_)) => return Err(error).context("ask how far it is"),
            Err(error) if unanswered >= PATIENCE => return Err(error).context("ask how far it is"),
            Err(_) => unanswered += 1,
        }
        if !format.json {
            told.tell(&job.step, job.bytes);
        }
    }
    if let Some(error) = job.error {
        bail!("{error}");
    }
    Ok(job)
}

/// Tells progress on stderr: often to a terminal, seldom to a log.
#[derive(Debug)]
pub(super) struct Telling {
    last: tokio::time::Instant,
}

impl Default for Telling {
    fn default() -> Self {
        Self { last: tokio::time::Instant::now() }
    }
}

impl Telling {
    pub(super) fn tell(&mut self, step: &str, bytes: u64) {
        let pause = if std::io::stderr().is_terminal() { Duration::from_secs(1) } else { TELLING };
        if self.last.elapsed() >= pause {
            self.last = tokio::time::Instant::now();
            output::note(&format!("{step}: {} MiB", bytes >> 20));
        }
    }
}
