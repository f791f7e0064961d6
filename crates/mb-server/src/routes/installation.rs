//! `/admin/settings` and `/admin/doctor`: the main server's own installation.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mb_api::dto::{FindingRow, SettingRow};
use mb_api::page::Page;
use mb_api::paths;
use mb_api::problem::ApiError;

use crate::app::App;
use crate::caller::Caller;

#[utoipa::path(
    get, path = paths::SETTINGS, tag = "installation", operation_id = "list_settings",
    summary = "List the settings in effect, and where each comes from",
    description = "Those of the main server that answers, by name; other components may have others. No secret is told.",
    responses((status = 200, body = Page<SettingRow>)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn settings(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Page<SettingRow>>, ApiError> {
    caller.admin()?;
    Ok(Json(Page { data: app.installation.settings().to_vec(), next: None }))
}

#[utoipa::path(
    post, path = paths::DOCTOR, tag = "installation", operation_id = "examine_installation",
    summary = "Examine the machine of the main server that answers",
    description = "What `message-broker doctor` says there: files, certificates, disk, ports, database, queue, clocks. It \
                   changes nothing.",
    responses((status = 200, body = Page<FindingRow>)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn doctor(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Page<FindingRow>>, ApiError> {
    caller.admin()?;
    Ok(Json(Page { data: app.installation.examine().await?, next: None }))
}
