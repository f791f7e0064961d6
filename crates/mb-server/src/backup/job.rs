//! Work that takes longer than a request: one backup or verification at a time, which callers look at while it runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{KeyId, Timestamp};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::error::BackupError;
use super::folder::{self, Listed};
use super::progress::Progress;
use super::verify::Verified;
use super::{BackupConfig, create, manifest, verify};
use crate::app::App;
use crate::notices;

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// A backup, in the folder of backups or another.
    Create { dir: Option<PathBuf> },
    /// The proof of the backup at that path.
    Verify { path: PathBuf },
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Made(Listed),
    Verified(Listed, Verified),
}

/// A job, running or over.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: KeyId,
    pub(crate) order: Order,
    pub(crate) started_at: Timestamp,
    pub(crate) progress: Arc<Progress>,
    pub(crate) end: OnceLock<(Timestamp, Result<Outcome, String>)>,
    over: CancellationToken,
}

impl Job {
    /// Waits for its end.
    pub(crate) async fn ended(&self) {
        self.over.cancelled().await;
    }
}

/// The backups of a main server and the job that is or was the last.
#[derive(Debug)]
pub(crate) struct Backups {
    config: Arc<BackupConfig>,
    last: Mutex<Option<(Arc<Job>, JoinHandle<()>)>>,
}

impl Backups {
    pub(crate) fn new(config: BackupConfig) -> Self {
        Self { config: Arc::new(config), last: Mutex::default() }
    }

    pub(crate) const fn config(&self) -> &Arc<BackupConfig> {
        &self.config
    }

    /// The job of that id, if it is the last one.
    pub(crate) fn job(&self, id: KeyId) -> Option<Arc<Job>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map(|(job, _)| Arc::clone(job)).filter(|job| job.id == id)
    }
}

/// Begins a job.
///
/// # Errors
/// `conflict` if one is running, or there is no key.
#[expect(
    clippy::disallowed_methods,
    reason = "a request begins what outlives it; the job ends with the token of the process's stop"
)]
pub(crate) fn begin(app: &Arc<App>, order: Order, actor: &str) -> Result<Arc<Job>, ApiError> {
    let config = app.backups.config();
    config.key().map_err(|error| ApiError::new(ProblemCode::Conflict, error.to_string()))?;
    let mut last = app.backups.last.lock().unwrap_or_else(PoisonError::into_inner);
    if last.as_ref().is_some_and(|(job, task)| job.end.get().is_none() && !task.is_finished()) {
        return Err(ApiError::new(
            ProblemCode::Conflict,
            "another backup or verification is under way: repeat it later",
        ));
    }
    let job = Arc::new(Job {
        id: KeyId::from_bytes(mb_crypto::random::random_array()),
        order,
        started_at: app.clock.now(),
        progress: Arc::new(Progress::new(app.stopping.clone())),
        end: OnceLock::new(),
        over: CancellationToken::new(),
    });
    let task = tokio::spawn(run(Arc::clone(app), Arc::clone(&job), actor.to_owned()));
    *last = Some((Arc::clone(&job), task));
    Ok(job)
}

async fn run(app: Arc<App>, job: Arc<Job>, actor: String) {
    let done = match &job.order {
        Order::Create { dir } => Box::pin(make(&app, &job, dir.as_deref(), &actor)).await,
        Order::Verify { path } => Box::pin(prove(&app, &job, path, &actor)).await,
    };
    let done = match done {
        Ok(outcome) => Ok(outcome),
        Err(error) => Err(failed(&app, &job, &error).await),
    };
    measure(&app).await;
    // Nobody else sets it.
    let _ = job.end.set((app.clock.now(), done));
    job.over.cancel();
}

async fn make(app: &App, job: &Job, dir: Option<&Path>, actor: &str) -> Result<Outcome, BackupError> {
    let config = app.backups.config();
    let (into, now) = (dir.unwrap_or(&config.dir), app.clock.now());
    let made = create::create(Arc::clone(config), &app.store, into, now, Arc::clone(&job.progress)).await?;
    if let Err(reason) = &made.content {
        return Err(BackupError::broken(&made.path, reason.as_str()));
    }
    let (bytes, rows) = made.content.as_ref().map_or((0, 0), |content| (content.bytes, content.rows));
    let detail = json!({ "folder": into, "bytes": bytes, "rows": rows });
    app.store.audit(actor, "backup.create", &made.name, detail).await?;
    tracing::info!(backup = made.name, bytes, rows, "backup made");
    notices::backup(app, None).await?;
    if dir.is_none() {
        let (keeping, now) = (Arc::clone(config), app.clock.now());
        let gone = create::blocking(move || folder::prune(&keeping.dir, keeping.keep, now)).await;
        match gone {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "old backups removed"),
            Err(error) => tracing::warn!(error = error.in_full(), "old backups not removed"),
        }
    }
    Ok(Outcome::Made(made))
}

async fn prove(app: &App, job: &Job, path: &Path, actor: &str) -> Result<Outcome, BackupError> {
    let config = Arc::clone(app.backups.config());
    let found = Box::pin(verify::verify(config, path, &app.clock, Arc::clone(&job.progress))).await?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let detail = json!({ "rows": found.rows, "files": found.files });
    app.store.audit(actor, "backup.verify", &name, detail).await?;
    tracing::info!(backup = name, rows = found.rows, files = found.files, "backup verified");
    let created_at = manifest::time_of(&name).unwrap_or_default();
    Ok(Outcome::Verified(folder::look(path, name, created_at), found))
}

/// Tells of a failure; what to say of it.
async fn failed(app: &App, job: &Job, error: &BackupError) -> String {
    let reason = error.in_full();
    if matches!(error, BackupError::Stopped) || app.stopping.is_cancelled() {
        return reason;
    }
    let told = match &job.order {
        Order::Create { .. } => {
            tracing::error!(error = reason, "backup failed");
            notices::backup(app, Some(notices::NoBackup::Failed(&reason))).await
        }
        Order::Verify { path } => {
            tracing::error!(error = reason, backup = %path.display(), "backup does not verify");
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            notices::backup(app, Some(notices::NoBackup::Unproven(&name, &reason))).await
        }
    };
    if let Err(error) = told {
        tracing::warn!(%error, "notice of a failed backup not raised");
    }
    reason
}

/// Reads from the folder when the last backup was made and when one was verified.
pub(crate) async fn measure(app: &App) {
    let config = Arc::clone(app.backups.config());
    match create::blocking(move || folder::newest(&config.dir)).await {
        Ok((made, verified)) => app.metrics.backup.set(made, verified),
        Err(error) => mb_runtime::logging::limited("backups", || {
            tracing::warn!(error = error.in_full(), "backups not listed");
        }),
    }
}
