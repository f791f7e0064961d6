//! `/portal/auth`: signing in for tokens, and what somebody who has lost the password can do.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use mb_api::dto::{Accepted, ForgotPassword, Login, RefreshToken, ResetPassword, Tokens};
use mb_api::paths;
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{Email, Role};
use mb_crypto::token::{Token, TokenKind};
use mb_runtime::body::read_json;
use mb_store::SessionKey;

use super::store_fault;
use crate::actor;
use crate::app::App;
use crate::people::tokens::Origin;
use crate::people::{self, sign_in, tokens};

/// The most bytes of a request.
pub(super) const MAX_BODY: usize = 16 << 10;

#[utoipa::path(
    post, path = paths::AUTH_LOGIN, tag = "auth", operation_id = "login",
    summary = "Sign in for tokens",
    description = "An unknown address, a wrong password and an account that may not sign in are one answer. With a second \
                   factor on and no otp: 401 otp_required. After five failures from one network: 429 account_locked.",
    request_body = Login,
    responses(
        (status = 200, body = Tokens),
        (status = 401, description = "Wrong credentials, or the second factor is missing: `otp_required`"),
        (status = 429, description = "Too many attempts, or the account is locked from here"),
    ),
    security(()),
)]
pub(crate) async fn login(
    State(app): State<Arc<App>>,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Tokens>, ApiError> {
    let ask: Login = read_json(body, MAX_BODY).await?;
    let origin = Origin { address: people::address(&peer), agent: agent(&headers) };
    let user = sign_in::password(&app, &ask.email, &ask.password, origin.address).await?;
    sign_in::second_factor(&app, &user, ask.otp.as_ref(), origin.address).await?;
    tokens::begin(&app, &user, origin).await.map(Json)
}

#[utoipa::path(
    post, path = paths::AUTH_REFRESH, tag = "auth", operation_id = "refresh",
    summary = "Exchange a refresh token",
    description = "The token is used up; the answer holds the next one. One that comes a second time ends the sign-in.",
    request_body = RefreshToken,
    responses(
        (status = 200, body = Tokens),
        (status = 401, description = "The token is not, or no longer, good"),
        (status = 429, description = "Too many attempts, or the account is locked from here"),
    ),
    security(()),
)]
pub(crate) async fn refresh(State(app): State<Arc<App>>, peer: Peer, body: Body) -> Result<Json<Tokens>, ApiError> {
    let ask: RefreshToken = read_json(body, MAX_BODY).await?;
    let from = people::address(&peer);
    match tokens::refresh(&app, ask.refresh_token.secret().expose()).await {
        Err(error) if error.code().status() == StatusCode::UNAUTHORIZED => {
            Err(sign_in::refuse_token(&app, from, error).await)
        }
        done => done.map(Json),
    }
}

#[utoipa::path(
    post, path = paths::AUTH_LOGOUT, tag = "auth", operation_id = "logout",
    summary = "Sign out",
    description = "Ends the sign-in that the refresh token, used or not, belongs to: its access token and every refresh \
                   token of it are refused from the next request on. The user's other sign-ins, on other devices, go on: \
                   `DELETE /portal/profile/sessions` ends them all, and so do a change or a reset of the password and \
                   the account's deactivation. A token that is nobody's is answered alike.",
    request_body = RefreshToken,
    responses((status = 204, description = "Signed out"), (status = 429, description = "Too many attempts, or the account is locked from here")),
    security(()),
)]
pub(crate) async fn logout(State(app): State<Arc<App>>, peer: Peer, body: Body) -> Result<StatusCode, ApiError> {
    let ask: RefreshToken = read_json(body, MAX_BODY).await?;
    if let Some(token) = Token::parse(TokenKind::Refresh, ask.refresh_token.secret().expose()) {
        let ended = app.store.end_session(SessionKey::Refresh(&token.digest()), None).await.map_err(store_fault)?;
        if ended.is_some() {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
    sign_in::bad_token(&app, people::address(&peer)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(
    post, path = paths::AUTH_FORGOT_PASSWORD, tag = "auth", operation_id = "forgot_password",
    summary = "Ask for a mail with a reset token",
    description = "The answer and its time are the same for every address.",
    request_body = ForgotPassword,
    responses((status = 200, body = Accepted), (status = 429, description = "Too many attempts, or the account is locked from here")),
    security(()),
)]
pub(crate) async fn forgot_password(
    State(app): State<Arc<App>>,
    peer: Peer,
    body: Body,
) -> Result<Json<Accepted>, ApiError> {
    let ask: ForgotPassword = read_json(body, MAX_BODY).await?;
    let from = asked_for(&app, &peer, ask.peer_address)?;
    sign_in::ask_mail(&app, from).await?;
    if let Some(email) = Email::parse(&ask.email) {
        app.people.resets.take(email, from)?;
    }
    Ok(Json(Accepted { detail: "if there is such an account, a mail is on its way to it".into() }))
}

#[utoipa::path(
    post, path = paths::AUTH_RESET_PASSWORD, tag = "auth", operation_id = "reset_password",
    summary = "Set a password by a reset token",
    description = "The token is good for an hour and for one use. Ends all sessions of the account.",
    request_body = ResetPassword,
    responses(
        (status = 200, body = Accepted),
        (status = 401, description = "The token is not, or no longer, good"),
        (status = 429, description = "Too many attempts, or the account is locked from here"),
    ),
    security(()),
)]
pub(crate) async fn reset_password(
    State(app): State<Arc<App>>,
    peer: Peer,
    body: Body,
) -> Result<Json<Accepted>, ApiError> {
    let ask: ResetPassword = read_json(body, MAX_BODY).await?;
    let from = asked_for(&app, &peer, ask.peer_address)?;
    let digest = Token::parse(TokenKind::PasswordReset, ask.token.secret().expose()).map(|token| token.digest());
    let over =
        || ApiError::new(ProblemCode::InvalidToken, "the token is not, or no longer, good: ask for another mail");
    let Some(digest) = digest else { return Err(sign_in::refuse_token(&app, from, over()).await) };
    // A token that is none costs no hash.
    if app.store.reset_token_user(&digest).await.map_err(store_fault)?.is_none() {
        return Err(sign_in::refuse_token(&app, from, over()).await);
    }
    let hash = app.people.hashing.hash(&ask.new_password, "/new_password").await?;
    match app.store.reset_password(&digest, &hash).await.map_err(store_fault)? {
        Some(user) => {
            app.people.throttle(|throttle| throttle.forgive(&user.email));
            Ok(Json(Accepted { detail: "the password is set: sign in with it".into() }))
        }
        None => Err(sign_in::refuse_token(&app, from, over()).await),
    }
}

/// From where somebody asks: a portal says it of whom it serves.
fn asked_for(app: &App, peer: &Peer, said: Option<IpAddr>) -> Result<IpAddr, ApiError> {
    match said {
        Some(address) => actor::require(app, peer, &[Role::Portal]).map(|_| address.to_canonical()),
        None => Ok(people::address(peer)),
    }
}

fn agent(headers: &HeaderMap) -> &str {
    headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
