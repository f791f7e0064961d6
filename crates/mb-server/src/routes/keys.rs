//! `/admin/keys`: the master keys. And what proxies say about them.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mb_api::dto::{KeyReport, KeyState, MasterKey, MasterKeys, RewrapKeys, RewrapProgress};
use mb_api::paths;
use mb_api::peer::Peer;
use mb_api::problem::ApiError;
use mb_core::{KeyId, Role, Timestamp};

use super::store_fault;
use crate::app::App;
use crate::caller::Caller;
use crate::{actor, master_keys};

/// The most bytes of a request.
const MAX_BODY: usize = 64 << 10;

#[utoipa::path(
    get, path = paths::KEYS, tag = "keys", operation_id = "list_master_keys",
    summary = "List the master keys and what needs them",
    responses((status = 200, body = MasterKeys)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<MasterKeys>, ApiError> {
    caller.admin()?;
    master_keys::list(&app).await.map(Json).map_err(store_fault)
}

#[utoipa::path(
    post, path = paths::KEYS_PREPARE, tag = "keys", operation_id = "prepare_master_key",
    summary = "Make the master key that is active next",
    description = "Its file is copied to the other main servers before it is taken into use. There is one at a time.",
    responses((status = 201, body = MasterKey)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn prepare(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<(StatusCode, Json<MasterKey>), ApiError> {
    let actor = caller.admin()?;
    let id = master_keys::prepare(&app, actor.as_str()).await?;
    Ok((StatusCode::CREATED, Json(MasterKey { id, state: KeyState::Prepared })))
}

#[utoipa::path(
    post, path = paths::KEYS_ROTATE, tag = "keys", operation_id = "rotate_master_key",
    summary = "Take the prepared master key, or a new one, into use",
    description = "Answered when the proxies wrap their keys to it. The old key is kept and still opens.",
    responses(
        (status = 200, body = MasterKey),
        (status = 409, description = "Another main server does not have the key yet"),
    ),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn rotate(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<MasterKey>, ApiError> {
    let actor = caller.admin()?;
    let id = master_keys::rotate(&app, actor.as_str()).await?;
    Ok(Json(MasterKey { id, state: KeyState::Active }))
}

#[utoipa::path(
    post, path = paths::KEYS_REWRAP, tag = "keys", operation_id = "rewrap_keys",
    summary = "Seal anew under the active master key, one step",
    description = "Repeated with `next` until there is none. It may be broken off and begun again anywhere.",
    request_body = RewrapKeys,
    responses((status = 200, body = RewrapProgress)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn rewrap(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<Json<RewrapProgress>, ApiError> {
    let actor = caller.admin()?;
    let request: RewrapKeys = mb_runtime::body::read_json(body, MAX_BODY).await?;
    master_keys::rewrap(&app, request.cursor.as_deref(), actor.as_str()).await.map(Json)
}

#[utoipa::path(
    delete, path = paths::KEY, tag = "keys", operation_id = "delete_master_key",
    summary = "Destroy a master key that nothing needs",
    params(("id" = mb_api::schema::Hex128, Path, description = "The key's id")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 409, description = "It is active, or something may need it"),
    ),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let actor = caller.admin()?;
    master_keys::delete(&app, key_id(&id)?, actor.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(
    delete, path = paths::KEY_PROXY, tag = "keys", operation_id = "forget_proxy",
    summary = "Forget a proxy whose journal is no more",
    description = "What only that journal held is lost: nothing waits for it any more before a key is destroyed.",
    params(("id" = mb_api::schema::Hex128, Path, description = "The id of its journal")),
    responses((status = 204, description = "It is forgotten")),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn forget_proxy(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let actor = caller.admin()?;
    master_keys::forget_proxy(&app, key_id(&id)?, actor.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(
    post, path = paths::KEY_REPORT, tag = "internal", operation_id = "report_keys",
    summary = "Say which master keys a proxy's journal needs",
    request_body = KeyReport,
    responses((status = 204, description = "It is known")),
    security(("certificate" = ["proxy"])),
)]
pub(crate) async fn report(State(app): State<Arc<App>>, peer: Peer, body: Body) -> Result<StatusCode, ApiError> {
    actor::require(&app, &peer, &[Role::Proxy])?;
    let request: KeyReport = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let report = mb_store::KeyReport {
        reporter: request.journal,
        role: Role::Proxy,
        name: peer.identity.as_ref().map(|identity| identity.name.clone()).unwrap_or_default(),
        master_keys: request.master_keys.into_iter().collect(),
        reported_at: Timestamp::default(),
    };
    app.store.report_keys(&report).await.map_err(store_fault)?;
    Ok(StatusCode::NO_CONTENT)
}

fn key_id(text: &str) -> Result<KeyId, ApiError> {
    KeyId::parse(text).ok_or_else(ApiError::not_found)
}
