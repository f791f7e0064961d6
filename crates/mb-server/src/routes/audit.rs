//! `/admin/audit`: who did what, and whether the log is whole.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mb_api::cursor::{Cursor, List};
use mb_api::dto::{AuditQuery, AuditReport, AuditRow, AuditVerifyQuery};
use mb_api::page::Page;
use mb_api::problem::ApiError;
use mb_api::{Query, paths};
use mb_core::hex;
use mb_store::{AuditFilter, AuditPlace, ListedEntry};

use super::{object, store_fault};
use crate::app::App;
use crate::audit::verify::{self, Place};
use crate::caller::Caller;

#[utoipa::path(
    get, path = paths::AUDIT, tag = "audit", operation_id = "list_audit",
    summary = "List the audit log",
    description = "Newest first. A page may have fewer rows than asked for, even none, and still name a next one.",
    params(AuditQuery),
    responses((status = 200, body = Page<AuditRow>)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Page<AuditRow>>, ApiError> {
    caller.admin()?;
    let (limit, after) = query.resolve()?;
    let AuditQuery { actor, action, object, from, to, .. } = query;
    let filter = AuditFilter { actor, action, object, from, to };
    let after = after.map(|cursor| AuditPlace { at: cursor.at, id: cursor.place() });
    let page = app.store.audit_page(&filter, after, limit).await.map_err(store_fault)?;
    let next = page.next.map(|next| Cursor::numbered(next.at, next.id).encode(List::Audit));
    Ok(Json(Page { data: page.entries.into_iter().map(present).collect(), next }))
}

#[utoipa::path(
    get, path = paths::AUDIT_VERIFY, tag = "audit", operation_id = "verify_audit",
    summary = "Check the audit log",
    description = "Compares every row of one stretch with the hash chain, and every checkpoint with its signature. Go on \
                   with `next` until it is `null`.",
    params(AuditVerifyQuery),
    responses((status = 200, body = AuditReport)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn verify(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<AuditVerifyQuery>,
) -> Result<Json<AuditReport>, ApiError> {
    caller.admin()?;
    let cursor = query.cursor.as_deref().map(|text| Cursor::parse(List::AuditCheck, text)).transpose()?;
    let place = cursor.map_or(Place::START, Place::from_cursor);
    let found = verify::stretch(&app, place).await?;
    Ok(Json(found.report()))
}

fn present(row: ListedEntry) -> AuditRow {
    let ListedEntry { entry, chained } = row;
    AuditRow {
        id: entry.id,
        at: entry.at,
        detail: object(&entry.detail),
        actor: entry.actor,
        action: entry.action,
        object: entry.object,
        position: chained.map(|place| place.position),
        hash: chained.map(|place| hex::encode(&place.hash)),
    }
}
