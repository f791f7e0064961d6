//! `/admin/backups/file`: a backup's files, in pieces. They are sealed, so that they may lie anywhere; who takes them is
//! audited all the same.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use mb_api::dto::{BACKUP_PIECE, BackupFileQuery};
use mb_api::paths;
use mb_api::problem::{ApiError, ProblemCode};
use serde_json::json;

use super::store_fault;
use crate::app::App;
use crate::backup;
use crate::caller::Caller;

#[utoipa::path(
    get, path = paths::BACKUPS_FILE, tag = "backups", operation_id = "read_backup_file",
    summary = "Read a piece of a backup's file",
    description = "Up to 4 MiB from `offset` on; a piece that is shorter is the last one. The first piece is audited.",
    params(BackupFileQuery),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, description = "There is no such backup here"),
    ),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let actor = caller.admin()?;
    let BackupFileQuery { backup, file, offset } = mb_api::query::parse(query.as_deref().unwrap_or_default())?;
    let dir = &app.backups.config().dir;
    // Only names of backups: a path of the machine is nobody's business here.
    let missing = || ApiError::new(ProblemCode::NotFound, "there is no such backup here");
    let folder = Some(backup::locate(dir, &backup)).filter(|path| path.parent() == Some(dir)).ok_or_else(missing)?;
    let path = folder.join(file.name());
    let read = tokio::task::spawn_blocking(move || piece(&path, offset)).await.map_err(ApiError::internal)?;
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing()),
        Err(error) => return Err(ApiError::internal(error)),
    };
    if offset == 0 {
        let about = json!({ "file": file.name() });
        app.store.audit(actor.as_str(), "backup.download", &backup, about).await.map_err(store_fault)?;
    }
    Ok(([(CONTENT_TYPE, "application/octet-stream")], Bytes::from(bytes)).into_response())
}

fn piece(path: &Path, offset: u64) -> std::io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(BACKUP_PIECE).read_to_end(&mut bytes)?;
    Ok(bytes)
}
