//! `/internal/sessions`: a portal signs people in, asks who is signed in, signs them out.
//!
//! The sessions live here, so that several portals share them and what ends them here ends them everywhere. A portal
//! brings its certificate on every call; a person's token alone opens nothing.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use mb_api::credentials::Credentials;
use mb_api::dto::{NewSession, NewSessionOtp, OpenedSession, OtpNeeded, PortalSession, SecretText};
use mb_api::paths;
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::Role;
use mb_crypto::CryptoError;
use mb_crypto::otp_token::{self, OTP_TOKEN_LIFETIME, PasswordShown};
use mb_crypto::token::{Token, TokenKind};
use mb_runtime::body::read_json;
use mb_store::{SessionKey, Totp, User};

use super::auth::MAX_BODY;
use super::store_fault;
use crate::actor;
use crate::app::App;
use crate::caller::{invalid_token, portal_session};
use crate::people::tokens::Origin;
use crate::people::{sign_in, tokens};

#[utoipa::path(
    post, path = paths::SESSIONS, tag = "internal", operation_id = "open_session",
    summary = "Sign a person in (portal)",
    description = "202 if the password is right and the second factor is on and missing.",
    request_body = NewSession,
    responses((status = 201, body = OpenedSession), (status = 202, body = OtpNeeded), (status = 429, description = "Too many attempts, or the account is locked from here")),
    security(("certificate" = ["portal"])),
)]
pub(crate) async fn open(State(app): State<Arc<App>>, peer: Peer, body: Body) -> Result<Response, ApiError> {
    actor::require(&app, &peer, &[Role::Portal])?;
    let ask: NewSession = read_json(body, MAX_BODY).await?;
    let origin = Origin { address: ask.peer_address.to_canonical(), agent: &ask.user_agent };
    let user = sign_in::password(&app, &ask.email, &ask.password, origin.address).await?;
    if matches!(user.totp, Totp::On { .. }) && ask.otp.is_none() {
        return Ok((StatusCode::ACCEPTED, Json(otp_needed(&app, &user)?)).into_response());
    }
    sign_in::second_factor(&app, &user, ask.otp.as_ref(), origin.address).await?;
    let opened = tokens::begin_portal(&app, &user, origin).await?;
    Ok((StatusCode::CREATED, Json(opened)).into_response())
}

#[utoipa::path(
    post, path = paths::SESSIONS_OTP, tag = "internal", operation_id = "open_session_with_otp",
    summary = "Finish a sign-in with the second factor (portal)",
    request_body = NewSessionOtp,
    responses((status = 201, body = OpenedSession), (status = 429, description = "Too many attempts, or the account is locked from here")),
    security(("certificate" = ["portal"])),
)]
pub(crate) async fn open_with_otp(
    State(app): State<Arc<App>>,
    peer: Peer,
    body: Body,
) -> Result<(StatusCode, Json<OpenedSession>), ApiError> {
    actor::require(&app, &peer, &[Role::Portal])?;
    let ask: NewSessionOtp = read_json(body, MAX_BODY).await?;
    let origin = Origin { address: ask.peer_address.to_canonical(), agent: &ask.user_agent };
    let user = password_shown(&app, &ask.otp_token).await?;
    sign_in::second_factor(&app, &user, Some(&ask.otp), origin.address).await?;
    let opened = tokens::begin_portal(&app, &user, origin).await?;
    Ok((StatusCode::CREATED, Json(opened)))
}

#[utoipa::path(
    get, path = paths::SESSIONS, tag = "internal", operation_id = "show_session",
    summary = "Who is signed in (portal)",
    responses((status = 200, body = PortalSession)),
    security(("portal_session" = [])),
)]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Json<PortalSession>, ApiError> {
    actor::require(&app, &peer, &[Role::Portal])?;
    let (session, user) = portal_session(&app, &headers, &token(&headers)?).await?;
    tokens::shown(&app, &session, &user).await.map(Json)
}

#[utoipa::path(
    delete, path = paths::SESSIONS, tag = "internal", operation_id = "close_session",
    summary = "Sign a person out (portal)",
    description = "A session that is over already is answered alike.",
    responses((status = 204, description = "Signed out")),
    security(("portal_session" = [])),
)]
pub(crate) async fn close(State(app): State<Arc<App>>, peer: Peer, headers: HeaderMap) -> Result<StatusCode, ApiError> {
    actor::require(&app, &peer, &[Role::Portal])?;
    let digest = token(&headers)?.digest();
    app.store.end_session(SessionKey::Token(&digest), None).await.map_err(store_fault)?;
    Ok(StatusCode::NO_CONTENT)
}

fn otp_needed(app: &App, user: &User) -> Result<OtpNeeded, ApiError> {
    let shown = PasswordShown { user: user.id, generation: user.generation };
    let token = otp_token::issue(&app.master, shown, app.clock.now()).map_err(ApiError::internal)?;
    Ok(OtpNeeded { otp_token: SecretText::new(token.expose().clone()), expires_in: OTP_TOKEN_LIFETIME.as_secs() })
}

/// The user whose password was right a moment ago, if it still is and the user may still sign in.
async fn password_shown(app: &App, token: &SecretText) -> Result<User, ApiError> {
    let now = app.clock.now();
    let shown = otp_token::verify(&app.master, token.secret().expose(), now).map_err(|error| match error {
        CryptoError::Expired => ApiError::new(ProblemCode::TokenExpired, "that took too long: begin again"),
        _ => invalid_token(),
    })?;
    let user = app.store.user(shown.user).await.map_err(store_fault)?;
    user.filter(|user| user.generation == shown.generation && user.may_sign_in(now)).ok_or_else(invalid_token)
}

fn token(headers: &HeaderMap) -> Result<Token, ApiError> {
    match Credentials::from_headers(headers)? {
        Some(Credentials::Session(token)) => {
            Token::parse(TokenKind::Session, token.secret().expose()).ok_or_else(invalid_token)
        }
        Some(Credentials::Bearer(_)) | None => Err(invalid_token()),
    }
}
