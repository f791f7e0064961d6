//! Sessions as they begin and go on: what a person gets for the proofs of `sign_in`.
//!
//! Programs get an access token of 30 minutes and a refresh token of 30 days that is good for one use; portals get an
//! opaque token that ends after an hour of silence or half a day.

use std::net::IpAddr;
use std::time::Duration;

use mb_api::dto::{OpenedSession, PortalSession, SecretText, TokenType, Tokens};
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{Secret, SessionId, SessionKind};
use mb_crypto::jwt::{ACCESS_LIFETIME, AccessClaims};
use mb_crypto::random;
use mb_crypto::token::{Token, TokenKind};
use mb_store::{NewRefreshToken, NewSession, Rotation, Session, StoreError, User};

use super::{accounts, sign_in};
use crate::app::App;
use crate::routes::store_fault;

const REFRESH_LIFETIME: Duration = Duration::from_hours(30 * 24);
const PORTAL_IDLE: Duration = Duration::from_hours(1);
const PORTAL_LIFETIME: Duration = Duration::from_hours(12);

/// With what a sign-in came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    /// From where.
    pub(crate) address: IpAddr,
    /// What it said it was.
    pub(crate) agent: &'a str,
}

/// Begins a session of tokens.
pub(crate) async fn begin(app: &App, user: &User, origin: Origin<'_>) -> Result<Tokens, ApiError> {
    let id = SessionId::from_bytes(random::random_array());
    let refresh = Token::refresh(*id.as_bytes(), &app.search);
    let lifetimes = (REFRESH_LIFETIME, REFRESH_LIFETIME);
    let session = store(app, user, origin, (id, SessionKind::Token, refresh.digest()), lifetimes).await?;
    answer(app, &session, user, &refresh).await
}

/// Begins a portal's session.
pub(crate) async fn begin_portal(app: &App, user: &User, origin: Origin<'_>) -> Result<OpenedSession, ApiError> {
    let token = Token::generate(TokenKind::Session);
    let digest = token.digest();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    let what = (SessionId::from_bytes(id), SessionKind::Portal, digest);
    let session = store(app, user, origin, what, (PORTAL_IDLE, PORTAL_LIFETIME)).await?;
    Ok(OpenedSession { token: SecretText::new(token.expose().to_owned()), session: shown(app, &session, user).await? })
}

/// A portal's session as it is told.
pub(crate) async fn shown(app: &App, session: &Session, user: &User) -> Result<PortalSession, ApiError> {
    let user = accounts::profile(app, user).await?;
    Ok(PortalSession { id: session.id, user, expires_at: session.expires_at })
}

/// Puts a new refresh token in the place of one.
///
/// # Errors
/// 401 if it is none, was used before or its session is over.
pub(crate) async fn refresh(app: &App, token: &str) -> Result<Tokens, ApiError> {
    let over =
        || ApiError::new(ProblemCode::InvalidToken, "the refresh token is not, or no longer, good: sign in again");
    let old = Token::parse(TokenKind::Refresh, token).ok_or_else(over)?;
    let family = old.family(&app.search);
    let fresh =
        family.map_or_else(|| Token::generate(TokenKind::Refresh), |family| Token::refresh(family, &app.search));
    let expires_at = app.clock.now().plus(REFRESH_LIFETIME);
    let new = NewRefreshToken { digest: fresh.digest(), expires_at, family: family.map(SessionId::from_bytes) };
    match app.store.rotate(&old.digest(), &new).await.map_err(store_fault)? {
        Rotation::Rotated(found) => answer(app, &found.0, &found.1, &fresh).await,
        Rotation::Expired => {
            Err(ApiError::new(ProblemCode::TokenExpired, "the refresh token has expired: sign in again"))
        }
        Rotation::Reused | Rotation::Unknown => Err(over()),
    }
}

async fn answer(app: &App, session: &Session, user: &User, refresh: &Token) -> Result<Tokens, ApiError> {
    let claims = AccessClaims { user: user.id, role: user.role, generation: user.generation, session: session.id };
    let access: Secret<String> = app.jwt.issue(&claims, app.clock.now()).map_err(ApiError::internal)?;
    Ok(Tokens {
        access_token: SecretText::new(access.expose().clone()),
        refresh_token: SecretText::new(refresh.expose().to_owned()),
        token_type: TokenType::Bearer,
        expires_in: ACCESS_LIFETIME.as_secs(),
        user: accounts::profile(app, user).await?,
    })
}

async fn store(
    app: &App,
    user: &User,
    origin: Origin<'_>,
    (id, kind, token_digest): (SessionId, SessionKind, [u8; 32]),
    (idle_timeout, lifetime): (Duration, Duration),
) -> Result<Session, ApiError> {
    let new = NewSession {
        id,
        kind,
        token_digest,
        user: user.id,
        generation: user.generation,
        idle_timeout,
        expires_at: app.clock.now().plus(lifetime),
        peer_address: origin.address.to_string(),
        user_agent: origin.agent.to_owned(),
    };
    let session = app.store.begin_session(&new).await.map_err(|error| match error {
        // What was proven has changed meanwhile.
        StoreError::Missing(_) => sign_in::wrong(),
        error => store_fault(error),
    })?;
    app.metrics.sign_in("ok");
    Ok(session)
}
