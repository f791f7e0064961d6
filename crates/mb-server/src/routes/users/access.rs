//! How a user gets in: status, password, second factor, sessions.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mb_api::dto::{SessionRow, SetUserPassword, SetUserStatus, UserRow};
use mb_api::page::Page;
use mb_api::paths;
use mb_api::problem::ApiError;
use mb_core::account::UserAction;
use mb_runtime::body::read_json;
use mb_store::UserChange;

use super::super::auth::MAX_BODY;
use super::super::store_fault;
use super::{change, find};
use crate::app::App;
use crate::caller::Caller;
use crate::people::accounts;

#[utoipa::path(
    put, path = paths::USER_STATUS, tag = "users", operation_id = "set_user_status",
    summary = "Let a user sign in, or no longer",
    description = "Deactivation ends the user's sessions.",
    params(("id" = mb_api::schema::UserId, Path, description = "The user's id")),
    request_body = SetUserStatus,
    responses((status = 200, body = UserRow), (status = 409, description = "It is the last admin")),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn set_status(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<UserRow>, ApiError> {
    let among = caller.manages(UserAction::SetStatus)?;
    let ask: SetUserStatus = read_json(body, MAX_BODY).await?;
    let user = find(&app, &id, &among).await?;
    change(&app, &caller, &user, &UserChange::Active(ask.is_active), &among).await
}

#[utoipa::path(
    put, path = paths::USER_PASSWORD, tag = "users", operation_id = "set_user_password",
    summary = "Set a user's password",
    description = "Ends the user's sessions.",
    params(("id" = mb_api::schema::UserId, Path, description = "The user's id")),
    request_body = SetUserPassword,
    responses((status = 200, body = UserRow)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn set_password(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<UserRow>, ApiError> {
    let among = caller.manages(UserAction::SetPassword)?;
    let ask: SetUserPassword = read_json(body, MAX_BODY).await?;
    let user = find(&app, &id, &among).await?;
    let hash = app.people.hashing.hash(&ask.new_password, "/new_password").await?;
    let changed = change(&app, &caller, &user, &UserChange::PasswordHash(hash), &among).await?;
    app.people.throttle(|throttle| throttle.forgive(&user.email));
    Ok(changed)
}

#[utoipa::path(
    delete, path = paths::USER_TWO_FACTOR, tag = "users", operation_id = "reset_user_two_factor",
    summary = "Take a user's second factor away",
    description = "For somebody who has lost authenticator and recovery codes.",
    params(("id" = mb_api::schema::UserId, Path, description = "The user's id")),
    responses((status = 204, description = "There is none any more")),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn reset_two_factor(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let among = caller.manages(UserAction::ResetTwoFactor)?;
    let user = find(&app, &id, &among).await?;
    app.store.disable_totp(user.id, caller.actor().as_str()).await.map_err(store_fault)?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(
    get, path = paths::USER_SESSIONS, tag = "users", operation_id = "list_user_sessions",
    summary = "List a user's sessions",
    description = "The last used first; all on one page.",
    params(("id" = mb_api::schema::UserId, Path, description = "The user's id")),
    responses((status = 200, body = Page<SessionRow>)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn sessions(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Page<SessionRow>>, ApiError> {
    // Who may not end sessions has no business with where somebody is signed in.
    let among = caller.manages(UserAction::EndSessions)?;
    let user = find(&app, &id, &among).await?;
    let sessions = app.store.sessions(user.id).await.map_err(store_fault)?;
    Ok(Json(accounts::sessions(sessions, caller.session())))
}

#[utoipa::path(
    delete, path = paths::USER_SESSIONS, tag = "users", operation_id = "end_user_sessions",
    summary = "End a user's sessions",
    params(("id" = mb_api::schema::UserId, Path, description = "The user's id")),
    responses((status = 204, description = "They have ended")),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn end_sessions(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let among = caller.manages(UserAction::EndSessions)?;
    let user = find(&app, &id, &among).await?;
    change(&app, &caller, &user, &UserChange::EndSessions, &among).await.map(|_| StatusCode::NO_CONTENT)
}
