//! `/admin/clients`: who may submit. They come with their first certificate and are archived, never deleted.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use mb_api::cursor::{List, NameCursor};
use mb_api::dto::{ClientQuery, ClientRow, SetClientRateLimit, SetClientStatus};
use mb_api::page::Page;
use mb_api::problem::ApiError;
use mb_api::{Query, paths};
use mb_core::domain::MAX_RATE_LIMIT;
use mb_core::{ClientName, FieldError};
use mb_store::{Client, ClientFilter};

use super::{announce, store_fault};
use crate::app::App;
use crate::caller::Caller;

/// The most bytes of a request.
const MAX_BODY: usize = 4 << 10;

#[utoipa::path(
    get, path = paths::CLIENTS, tag = "clients", operation_id = "list_clients",
    summary = "List clients",
    description = "By name. Archived ones are left out unless `status=archived`.",
    params(ClientQuery),
    responses((status = 200, body = Page<ClientRow>)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<ClientQuery>,
) -> Result<Json<Page<ClientRow>>, ApiError> {
    caller.admin()?;
    let (limit, after) = query.resolve()?;
    let filter = ClientFilter { domain: query.domain, status: query.status };
    let after = after.as_ref().map(NameCursor::name);
    let mut rows = app.store.client_page(&filter, after, limit + 1).await.map_err(store_fault)?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|row| NameCursor::after(row.name.as_str()).encode(List::Clients));
    Ok(Json(Page { data: rows.into_iter().map(present).collect(), next }))
}

#[utoipa::path(
    get, path = paths::CLIENT, tag = "clients", operation_id = "show_client",
    summary = "Show a client",
    params(("id" = mb_api::schema::ClientName, Path, description = "The client's name")),
    responses((status = 200, body = ClientRow)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ClientRow>, ApiError> {
    caller.admin()?;
    let client = app.store.client(&name(&id)?).await.map_err(store_fault)?;
    client.map(|client| Json(present(client))).ok_or_else(ApiError::not_found)
}

#[utoipa::path(
    put, path = paths::CLIENT_STATUS, tag = "clients", operation_id = "set_client_status",
    summary = "Suspend, resume or archive a client",
    description = "Answered when the proxies know it: a suspended client's next request is refused.",
    params(("id" = mb_api::schema::ClientName, Path, description = "The client's name")),
    request_body = SetClientStatus,
    responses((status = 200, body = ClientRow)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn set_status(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<ClientRow>, ApiError> {
    let actor = caller.admin()?;
    let request: SetClientStatus = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let changed = app.store.set_client_status(&name(&id)?, request.status, actor.as_str()).await;
    let client = changed.map_err(store_fault)?.ok_or_else(ApiError::not_found)?;
    announce(&app).await?;
    // Those that ask other main servers, too: a client that is suspended is out wherever it comes in.
    let behind = app.policy.adopted_elsewhere(&app.store).await.map_err(store_fault)?;
    if !behind.live.is_empty() {
        tracing::warn!(client.id = %client.name, proxies = ?behind.live, "proxies may not know of a client's status yet");
    }
    Ok(Json(present(client)))
}

#[utoipa::path(
    put, path = paths::CLIENT_RATE_LIMIT, tag = "clients", operation_id = "set_client_rate_limit",
    summary = "Give a client a rate limit of its own",
    params(("id" = mb_api::schema::ClientName, Path, description = "The client's name")),
    request_body = SetClientRateLimit,
    responses((status = 200, body = ClientRow)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn set_rate_limit(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<ClientRow>, ApiError> {
    let actor = caller.admin()?;
    let request: SetClientRateLimit = mb_runtime::body::read_json(body, MAX_BODY).await?;
    if request.rate_limit.is_some_and(|limit| limit > MAX_RATE_LIMIT) {
        let detail = format!("rate_limit must be 0 to {MAX_RATE_LIMIT}");
        return Err(ApiError::invalid(vec![FieldError::new("/rate_limit", "out_of_range", detail)]));
    }
    let changed = app.store.set_client_rate_limit(&name(&id)?, request.rate_limit, actor.as_str()).await;
    let client = changed.map_err(store_fault)?.ok_or_else(ApiError::not_found)?;
    announce(&app).await?;
    Ok(Json(present(client)))
}

fn name(id: &str) -> Result<ClientName, ApiError> {
    ClientName::parse(id).ok_or_else(ApiError::not_found)
}

fn present(client: Client) -> ClientRow {
    ClientRow {
        id: client.name.clone(),
        client_id: client.name,
        domain: client.domain,
        status: client.status,
        rate_limit: client.rate_limit,
        created_at: client.created_at,
        changed_at: client.changed_at,
    }
}
