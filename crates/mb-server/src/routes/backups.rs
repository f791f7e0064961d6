//! `/admin/backups`: which backups there are; making and proving one, which takes longer than a request.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mb_api::dto::{
    BackupJob, BackupJobKind, BackupJobState, BackupRow, BackupState, Backups, CreateBackup, VerifiedBackup,
    VerifyBackup,
};
use mb_api::paths;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{FieldError, KeyId};

use crate::app::App;
use crate::backup::{self, Job, Listed, Order, Outcome};
use crate::caller::Caller;

/// The most bytes of a request.
const MAX_BODY: usize = 16 << 10;

#[utoipa::path(
    get, path = paths::BACKUPS, tag = "backups", operation_id = "list_backups",
    summary = "List the backups, the newest first",
    description = "Read from this main server's folder of backups. That one is `good` says that its manifest and sizes are \
                   right; only verifying proves it.",
    responses((status = 200, body = Backups)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Backups>, ApiError> {
    caller.admin()?;
    let config = Arc::clone(app.backups.config());
    let listed = tokio::task::spawn_blocking(move || backup::list(&config.dir)).await.map_err(ApiError::internal)?;
    let rows = listed.map_err(ApiError::internal)?.into_iter().map(row).collect();
    Ok(Json(Backups { dir: app.backups.config().dir.display().to_string(), data: rows }))
}

#[utoipa::path(
    post, path = paths::BACKUPS, tag = "backups", operation_id = "create_backup",
    summary = "Begin a backup",
    description = "One job runs at a time. Another folder than the main server's is for administrators' certificates alone.",
    request_body = CreateBackup,
    responses(
        (status = 202, body = BackupJob),
        (status = 409, description = "Another is under way, or there is no passphrase or key to seal it with"),
    ),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<BackupJob>), ApiError> {
    let actor = caller.admin()?;
    let request: CreateBackup = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let dir = request.to.map(|to| foreign(&caller, "/to", &to)).transpose()?;
    let job = backup::begin(&app, Order::Create { dir }, actor.as_str())?;
    Ok((StatusCode::ACCEPTED, Json(shown(&job))))
}

#[utoipa::path(
    post, path = paths::BACKUPS_VERIFY, tag = "backups", operation_id = "verify_backup",
    summary = "Begin to prove a backup by restoring it into a scratch place",
    description = "By its name, or its path at the main server, which is for administrators' certificates alone.",
    request_body = VerifyBackup,
    responses(
        (status = 202, body = BackupJob),
        (status = 409, description = "Another is under way, or there is no passphrase or key to open it with"),
    ),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn verify(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<BackupJob>), ApiError> {
    let actor = caller.admin()?;
    let request: VerifyBackup = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let dir = &app.backups.config().dir;
    let path = match backup::locate(dir, &request.backup) {
        path if path.starts_with(dir) && path.parent() == Some(dir) => path,
        _ => foreign(&caller, "/backup", &request.backup)?,
    };
    if !path.is_dir() {
        return Err(ApiError::new(ProblemCode::NotFound, format!("there is no backup {}", request.backup)));
    }
    let job = backup::begin(&app, Order::Verify { path }, actor.as_str())?;
    Ok((StatusCode::ACCEPTED, Json(shown(&job))))
}

#[utoipa::path(
    get, path = paths::BACKUPS_JOB, tag = "backups", operation_id = "show_backup_job",
    summary = "Show how far a job is, and what came of it",
    params(("id" = mb_api::schema::Hex128, Path, description = "The job's id")),
    responses((status = 200, body = BackupJob)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn job(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<BackupJob>, ApiError> {
    caller.admin()?;
    let job = KeyId::parse(&id).and_then(|id| app.backups.job(id)).ok_or_else(ApiError::not_found)?;
    Ok(Json(shown(&job)))
}

/// A path of the machine, which only who administers the machine may name.
fn foreign(caller: &Caller, field: &'static str, path: &str) -> Result<PathBuf, ApiError> {
    if caller.session().is_some() {
        let reason = "only an administrator's certificate may name other folders than the main server's";
        return Err(ApiError::new(ProblemCode::Forbidden, reason));
    }
    if FilePath::new(path).is_absolute() {
        return Ok(PathBuf::from(path));
    }
    Err(ApiError::invalid(vec![FieldError::new(field, "invalid", "must be an absolute path")]))
}

fn row(listed: Listed) -> BackupRow {
    let (content, problem) = match listed.content {
        Ok(content) => (Some(content), None),
        Err(problem) => (None, Some(problem)),
    };
    BackupRow {
        name: listed.name,
        path: listed.path.display().to_string(),
        state: if content.is_some() { BackupState::Good } else { BackupState::Damaged },
        problem,
        created_at: listed.created_at,
        verified_at: listed.verified_at,
        version: content.as_ref().map(|content| content.version.clone()),
        schema: content.as_ref().map(|content| content.schema),
        rows: content.as_ref().map(|content| content.rows),
        messages: content.as_ref().map(|content| content.messages),
        bytes: content.as_ref().map(|content| content.bytes),
        sealed: content.map(|content| content.sealed),
    }
}

fn shown(job: &Job) -> BackupJob {
    let (step, bytes) = job.progress.now();
    let end = job.end.get();
    let (backup, verified, error) = match end.map(|(_, outcome)| outcome.clone()) {
        None => (None, None, None),
        Some(Ok(Outcome::Made(made))) => (Some(row(made)), None, None),
        Some(Ok(Outcome::Verified(listed, found))) => {
            let (files, tables, rows, messages) = (found.files, found.tables, found.rows, found.messages);
            (Some(row(listed)), Some(VerifiedBackup { files, tables, rows, messages }), None)
        }
        Some(Err(error)) => (None, None, Some(error)),
    };
    BackupJob {
        id: job.id,
        kind: match job.order {
            Order::Create { .. } => BackupJobKind::Create,
            Order::Verify { .. } => BackupJobKind::Verify,
        },
        state: match (end, &error) {
            (None, _) => BackupJobState::Running,
            (Some(_), None) => BackupJobState::Done,
            (Some(_), Some(_)) => BackupJobState::Failed,
        },
        started_at: job.started_at,
        ended_at: end.map(|(at, _)| *at),
        step: step.as_str().to_owned(),
        bytes,
        backup,
        verified,
        error,
    }
}
