//! `/admin/users`: who has an account. What a caller may do to whom is `mb_core::account`'s; it is asked before a body is
//! read, and holds again in the store's transaction.

pub(super) mod access;
pub(super) mod terms;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mb_api::cursor::{List, NameCursor};
use mb_api::dto::{CreateUser, UserQuery, UserRow};
use mb_api::page::Page;
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::{Query, paths};
use mb_core::account::UserAction;
use mb_core::{FieldError, UserId, UserRole};
use mb_runtime::body::read_json;
use mb_store::{NewUser, StoreError, User, UserChange, UserFilter};

use super::auth::MAX_BODY;
use super::{row_id, store_fault};
use crate::app::App;
use crate::caller::{Caller, forbidden};
use crate::people::accounts;

#[utoipa::path(
    get, path = paths::USERS, tag = "users", operation_id = "list_users",
    summary = "List users",
    description = "By address. A user_manager sees plain users only.",
    params(UserQuery),
    responses((status = 200, body = Page<UserRow>)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<UserQuery>,
) -> Result<Json<Page<UserRow>>, ApiError> {
    let among = caller.manages(UserAction::View)?;
    let (limit, after) = query.resolve()?;
    let after = after.as_ref().map(NameCursor::name);
    let wanted = |role: &UserRole| query.role.is_none_or(|wanted| wanted == *role);
    let roles: Vec<_> = among.iter().copied().filter(wanted).collect();
    if let Some(email) = &query.email {
        let found = app.store.user_by_email(email.as_str()).await.map_err(store_fault)?;
        let matches = |user: &User| {
            roles.contains(&user.role)
                && query.is_active.is_none_or(|active| active == user.active)
                && query.client_id.as_ref().is_none_or(|client| Some(client) == user.client.as_ref())
                && after.is_none_or(|after| user.email.as_str() > after)
        };
        let data = found.iter().filter(|user| matches(user)).map(accounts::row).collect::<Result<_, _>>()?;
        return Ok(Json(Page { data, next: None }));
    }
    let mut found = Vec::new();
    for role in roles {
        let filter = UserFilter { role: Some(role), active: query.is_active, client: query.client_id.clone() };
        found.extend(app.store.user_page(&filter, after, limit + 1).await.map_err(store_fault)?);
    }
    found.sort_by(|a, b| a.email.cmp(&b.email));
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|user| NameCursor::after(user.email.as_str()).encode(List::Users));
    Ok(Json(Page { data: found.iter().map(accounts::row).collect::<Result<_, _>>()?, next }))
}

#[utoipa::path(
    post, path = paths::USERS, tag = "users", operation_id = "create_user",
    summary = "Add a user",
    description = "Active at once.",
    request_body = CreateUser,
    responses((status = 201, body = UserRow), (status = 409, description = "There is an account of that address")),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<UserRow>), ApiError> {
    let among = caller.manages(UserAction::Create)?;
    let ask: CreateUser = read_json(body, MAX_BODY).await?;
    if !among.contains(&ask.role) {
        return Err(forbidden());
    }
    let password_hash = app.people.hashing.hash(&ask.password, "/password").await?;
    let new = NewUser {
        email: ask.email.as_str().to_owned(),
        password_hash,
        role: ask.role,
        client: ask.client_id,
        may_send: ask.may_send,
        expires_at: ask.expires_at,
    };
    let added = app.store.insert_user(&new, caller.actor().as_str()).await.map_err(fault)?;
    Ok((StatusCode::CREATED, Json(accounts::row(&added)?)))
}

#[utoipa::path(
    get, path = paths::USER, tag = "users", operation_id = "show_user",
    summary = "Show a user",
    params(("id" = mb_api::schema::UserId, Path, description = "The user's id")),
    responses((status = 200, body = UserRow)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<UserRow>, ApiError> {
    let among = caller.manages(UserAction::View)?;
    accounts::row(&find(&app, &id, &among).await?).map(Json)
}

#[utoipa::path(
    delete, path = paths::USER, tag = "users", operation_id = "delete_user",
    summary = "Delete a user",
    description = "With its sessions, tokens and second factor. The last admin who is active and whose account does not \
                   end stays: 409.",
    params(("id" = mb_api::schema::UserId, Path, description = "The user's id")),
    responses((status = 204, description = "Deleted"), (status = 409, description = "It is the last admin")),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let among = caller.manages(UserAction::Delete)?;
    let user = find(&app, &id, &among).await?;
    let deleted = app.store.delete_user(user.id, &among, caller.actor().as_str()).await.map_err(fault)?;
    deleted.map(|_| StatusCode::NO_CONTENT).ok_or_else(ApiError::not_found)
}

/// The user of this id, if the caller may do to its role what it asks for.
///
/// # Errors
/// 404 if there is none, 403 if there is one.
async fn find(app: &App, id: &str, among: &[UserRole]) -> Result<User, ApiError> {
    let id = row_id(id).map(UserId::new)?;
    let user = app.store.user(id).await.map_err(store_fault)?.ok_or_else(ApiError::not_found)?;
    if among.contains(&user.role) { Ok(user) } else { Err(forbidden()) }
}

/// Changes the user and shows it as it is then. The store asks for the role once more.
async fn change(
    app: &App,
    caller: &Caller,
    user: &User,
    change: &UserChange,
    among: &[UserRole],
) -> Result<Json<UserRow>, ApiError> {
    let changed = app.store.change_user(user.id, change, among, caller.actor().as_str()).await.map_err(fault)?;
    accounts::row(&changed.ok_or_else(ApiError::not_found)?).map(Json)
}

fn fault(error: StoreError) -> ApiError {
    match error {
        StoreError::Exists(_) => ApiError::new(ProblemCode::Conflict, "there is an account of that address already"),
        StoreError::LastAdmin => {
            ApiError::new(ProblemCode::Conflict, "this is the last active admin whose account does not end")
        }
        StoreError::Missing("client") => {
            ApiError::invalid(vec![FieldError::new("/client_id", "unknown", "there is no such client")])
        }
        error => store_fault(error),
    }
}
