//! `/portal/profile`: one's own account, password and sessions.

pub(super) mod two_factor;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mb_api::dto::{ChangePassword, Profile, SecretText, SessionRow};
use mb_api::page::Page;
use mb_api::paths;
use mb_api::problem::ApiError;
use mb_core::{FieldError, SessionId};
use mb_runtime::body::read_json;
use mb_store::{SessionKey, User, UserChange};

use super::auth::MAX_BODY;
use super::store_fault;
use crate::app::App;
use crate::caller::{Caller, Person};
use crate::people::{accounts, sign_in};

#[utoipa::path(
    get, path = paths::PROFILE, tag = "profile", operation_id = "show_profile",
    summary = "Show one's own account",
    responses((status = 200, body = Profile)),
    security(("bearer" = []), ("portal_session" = [])),
)]
pub(crate) async fn show(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Profile>, ApiError> {
    accounts::profile(&app, &caller.person()?.user).await.map(Json)
}

#[utoipa::path(
    put, path = paths::PROFILE_PASSWORD, tag = "profile", operation_id = "change_password",
    summary = "Change one's own password",
    description = "Ends all sessions, also the one that asks: sign in with the new password.",
    request_body = ChangePassword,
    responses((status = 200, body = Profile), (status = 429, description = "Too many attempts, or the account is locked from here")),
    security(("bearer" = []), ("portal_session" = [])),
)]
pub(crate) async fn change_password(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: Body,
) -> Result<Json<Profile>, ApiError> {
    let person = caller.person()?;
    let ask: ChangePassword = read_json(body, MAX_BODY).await?;
    let user = prove(&app, person, &ask.current_password).await?;
    if ask.new_password.secret().expose() == ask.current_password.secret().expose() {
        let same = FieldError::new("/new_password", "unchanged", "the new password is the old one");
        return Err(ApiError::invalid(vec![same]));
    }
    let hash = app.people.hashing.hash(&ask.new_password, "/new_password").await?;
    let change = UserChange::PasswordHash(hash);
    let changed = app.store.change_user(user.id, &change, &[user.role], caller.actor().as_str()).await;
    let user = changed.map_err(store_fault)?.ok_or_else(ApiError::not_found)?;
    accounts::profile(&app, &user).await.map(Json)
}

#[utoipa::path(
    get, path = paths::PROFILE_SESSIONS, tag = "profile", operation_id = "list_own_sessions",
    summary = "List one's own sessions",
    description = "The last used first; all on one page.",
    responses((status = 200, body = Page<SessionRow>)),
    security(("bearer" = []), ("portal_session" = [])),
)]
pub(crate) async fn sessions(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Page<SessionRow>>, ApiError> {
    let person = caller.person()?;
    let sessions = app.store.sessions(person.user.id).await.map_err(store_fault)?;
    Ok(Json(accounts::sessions(sessions, Some(person.session.id))))
}

#[utoipa::path(
    delete, path = paths::PROFILE_SESSIONS, tag = "profile", operation_id = "end_own_sessions",
    summary = "End all of one's own sessions",
    description = "Also the one that asks.",
    responses((status = 204, description = "They have ended")),
    security(("bearer" = []), ("portal_session" = [])),
)]
pub(crate) async fn end_sessions(State(app): State<Arc<App>>, caller: Caller) -> Result<StatusCode, ApiError> {
    let user = &caller.person()?.user;
    let actor = caller.actor().as_str();
    let changed = app.store.change_user(user.id, &UserChange::EndSessions, &[user.role], actor).await;
    changed.map_err(store_fault)?.map(|_| StatusCode::NO_CONTENT).ok_or_else(ApiError::not_found)
}

#[utoipa::path(
    delete, path = paths::PROFILE_SESSION, tag = "profile", operation_id = "end_own_session",
    summary = "End one of one's own sessions",
    params(("id" = mb_api::schema::SessionId, Path, description = "The session's id")),
    responses((status = 204, description = "It has ended")),
    security(("bearer" = []), ("portal_session" = [])),
)]
pub(crate) async fn end_session(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let user = &caller.person()?.user;
    let id = SessionId::parse(&id).ok_or_else(ApiError::not_found)?;
    let ended = app.store.end_session(SessionKey::Id(user.id, id), Some(caller.actor().as_str())).await;
    ended.map_err(store_fault)?.map(|_| StatusCode::NO_CONTENT).ok_or_else(ApiError::not_found)
}

/// Proves anew, by the password, that it is the account's owner who asks. Tries of all sessions of the account count
/// together: a stolen session is no place to guess the password, and guesses elsewhere keep no owner from a change.
async fn prove(app: &App, person: &Person, password: &SecretText) -> Result<User, ApiError> {
    sign_in::own_password(app, &person.user, password, origin(person)).await
}

fn origin(person: &Person) -> IpAddr {
    person.session.peer_address.parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}
