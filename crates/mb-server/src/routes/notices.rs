//! `/admin/notices`: what a person should know and nobody asked for.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mb_api::cursor::{Cursor, List};
use mb_api::dto::{NoticeQuery, NoticeRow};
use mb_api::page::Page;
use mb_api::problem::ApiError;
use mb_api::{Query, paths};
use mb_core::NoticeId;
use mb_store::{Notice, NoticeFilter, NoticeKey};

use super::{object, row_id, store_fault};
use crate::app::App;
use crate::caller::Caller;

#[utoipa::path(
    get, path = paths::NOTICES, tag = "notices", operation_id = "list_notices",
    summary = "List notices",
    description = "Newest first.",
    params(NoticeQuery),
    responses((status = 200, body = Page<NoticeRow>)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<NoticeQuery>,
) -> Result<Json<Page<NoticeRow>>, ApiError> {
    caller.admin()?;
    let (limit, after) = query.resolve()?;
    let filter = if query.resolved == Some(true) { NoticeFilter::All } else { NoticeFilter::Open };
    let before = after.map(|cursor| NoticeId::new(cursor.place()));
    let mut rows = app.store.notice_page(filter, before, limit + 1).await.map_err(store_fault)?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next =
        rows.last().filter(|_| more).map(|row| Cursor::numbered(row.first_at, row.id.get()).encode(List::Notices));
    Ok(Json(Page { data: rows.into_iter().map(present).collect(), next }))
}

#[utoipa::path(
    post, path = paths::NOTICE_RESOLVE, tag = "notices", operation_id = "resolve_notice",
    summary = "Resolve a notice",
    description = "What raises it again opens a new one.",
    params(("id" = mb_api::schema::NoticeId, Path, description = "The notice")),
    responses((status = 204, description = "It is resolved"), (status = 404, description = "No open notice has that id")),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn resolve(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let actor = caller.admin()?;
    let id = row_id(&id).map(NoticeId::new)?;
    let resolved = app.store.resolve_notice(NoticeKey::Id(id), actor.as_str()).await.map_err(store_fault)?;
    if resolved { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found()) }
}

fn present(notice: Notice) -> NoticeRow {
    NoticeRow {
        id: notice.id,
        kind: notice.kind,
        about: notice.key,
        level: notice.level,
        detail: object(&notice.detail),
        first_at: notice.first_at,
        last_at: notice.last_at,
        count: notice.count,
        resolved_at: notice.resolved_at,
        mailed_at: notice.mailed_at,
    }
}
