//! What an account is for: role, client, end, sending.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use mb_api::dto::{SetUserClient, SetUserExpiry, SetUserRole, SetUserSending, UserRow};
use mb_api::paths;
use mb_api::problem::ApiError;
use mb_core::account::UserAction;
use mb_runtime::body::read_json;
use mb_store::UserChange;

use super::super::auth::MAX_BODY;
use super::{change, find};
use crate::app::App;
use crate::caller::{Caller, forbidden};

#[utoipa::path(
    put, path = paths::USER_ROLE, tag = "users", operation_id = "set_user_role",
    summary = "Set a user's role",
    description = "Ends the user's sessions.",
    params(("id" = mb_api::schema::UserId, Path, description = "The user's id")),
    request_body = SetUserRole,
    responses((status = 200, body = UserRow), (status = 409, description = "It is the last admin")),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn set_role(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<UserRow>, ApiError> {
    let among = caller.manages(UserAction::SetRole)?;
    let ask: SetUserRole = read_json(body, MAX_BODY).await?;
    let user = find(&app, &id, &among).await?;
    if !among.contains(&ask.role) {
        return Err(forbidden());
    }
    change(&app, &caller, &user, &UserChange::Role(ask.role), &among).await
}

#[utoipa::path(
    put, path = paths::USER_CLIENT, tag = "users", operation_id = "set_user_client",
    summary = "Bind a user to a client",
    description = "Ends the user's sessions.",
    params(("id" = mb_api::schema::UserId, Path, description = "The user's id")),
    request_body = SetUserClient,
    responses((status = 200, body = UserRow)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn set_client(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<UserRow>, ApiError> {
    let among = caller.manages(UserAction::SetTerms)?;
    let ask: SetUserClient = read_json(body, MAX_BODY).await?;
    let user = find(&app, &id, &among).await?;
    change(&app, &caller, &user, &UserChange::Client(ask.client_id), &among).await
}

#[utoipa::path(
    put, path = paths::USER_EXPIRY, tag = "users", operation_id = "set_user_expiry",
    summary = "Set when a user's account ends",
    description = "From then on nobody signs in to it, and its sessions are over.",
    params(("id" = mb_api::schema::UserId, Path, description = "The user's id")),
    request_body = SetUserExpiry,
    responses((status = 200, body = UserRow), (status = 409, description = "It is the last admin")),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn set_expiry(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<UserRow>, ApiError> {
    let among = caller.manages(UserAction::SetTerms)?;
    let ask: SetUserExpiry = read_json(body, MAX_BODY).await?;
    let user = find(&app, &id, &among).await?;
    change(&app, &caller, &user, &UserChange::ExpiresAt(ask.expires_at), &among).await
}

#[utoipa::path(
    put, path = paths::USER_SENDING, tag = "users", operation_id = "set_user_sending",
    summary = "Let a user send messages through the portal, or no longer",
    params(("id" = mb_api::schema::UserId, Path, description = "The user's id")),
    request_body = SetUserSending,
    responses((status = 200, body = UserRow)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn set_sending(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<UserRow>, ApiError> {
    let among = caller.manages(UserAction::SetTerms)?;
    let ask: SetUserSending = read_json(body, MAX_BODY).await?;
    let user = find(&app, &id, &among).await?;
    change(&app, &caller, &user, &UserChange::MaySend(ask.may_send), &among).await
}
