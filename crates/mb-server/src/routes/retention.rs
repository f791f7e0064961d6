//! `/admin/retention`: for how long things are kept, and the removal of what was kept for long enough.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use mb_api::dto::{DomainRetention, RetentionProgress, RetentionSettings, RetentionTerms, RunRetention};
use mb_api::paths;
use mb_api::problem::ApiError;
use mb_core::{DomainRules, Retention};
use mb_store::Removal;
use serde_json::json;

use super::store_fault;
use crate::app::App;
use crate::caller::Caller;
use crate::retention::running;

/// The most bytes of a request.
const MAX_BODY: usize = 4 << 10;
/// Domains that are listed.
const MOST: usize = 1000;

#[utoipa::path(
    get, path = paths::RETENTION, tag = "retention", operation_id = "show_retention",
    summary = "Show for how long things are kept",
    responses((status = 200, body = RetentionTerms)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn show(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<RetentionTerms>, ApiError> {
    caller.admin()?;
    terms(&app).await.map(Json)
}

#[utoipa::path(
    put, path = paths::RETENTION, tag = "retention", operation_id = "set_retention",
    summary = "Set for how long things are kept",
    description = "Holds for every domain that has no days of its own. What is too old by then is removed within minutes \
                   to hours, and no later change brings it back.",
    request_body = RetentionSettings,
    responses((status = 200, body = RetentionTerms)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn set(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<Json<RetentionTerms>, ApiError> {
    let actor = caller.admin()?;
    let settings: RetentionSettings = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let retention = Retention::from(settings).check().map_err(ApiError::invalid)?;
    app.store.set_retention(&retention, actor.as_str()).await.map_err(store_fault)?;
    terms(&app).await.map(Json)
}

#[utoipa::path(
    post, path = paths::RETENTION_RUN, tag = "retention", operation_id = "run_retention",
    summary = "Remove what was kept for long enough, some of it",
    description = "A main server does so by itself, a little at a time; this goes through everything at once. Repeated \
                   with `next` until there is none. It may be broken off and begun again anywhere.",
    request_body = RunRetention,
    responses((status = 200, body = RetentionProgress)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn run(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<Json<RetentionProgress>, ApiError> {
    let actor = caller.admin()?.as_str();
    let RunRetention { dry_run, cursor } = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let removal = if dry_run { Removal::Count } else { Removal::Remove };
    if cursor.is_none() && !dry_run {
        app.store.audit(actor, "retention.run", "retention", json!({})).await.map_err(store_fault)?;
    }
    running::run(&app, cursor.as_deref(), removal, actor).await.map(Json)
}

async fn terms(app: &App) -> Result<RetentionTerms, ApiError> {
    let all = app.store.retention().await.map_err(store_fault)?;
    let days = |time: std::time::Duration| u32::try_from(time.as_secs() / 86_400).unwrap_or(u32::MAX);
    let has_own = |rules: &DomainRules| rules.retention_days.is_some() || rules.body_retention_days.is_some();
    let domains = app.store.domains().await.map_err(store_fault)?;
    let own = domains.into_iter().filter(|domain| has_own(&domain.rules)).take(MOST).map(|domain| {
        let kept = all.of(&domain.rules);
        DomainRetention { id: domain.name, body_days: days(kept.bodies), metadata_days: days(kept.metadata) }
    });
    Ok(RetentionTerms { settings: all.into(), domains: own.collect() })
}
