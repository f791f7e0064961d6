//! Who asks for what people may ask for: somebody signed in, or an administrator's certificate.
//!
//! A user's role, client and right to sign in are read from the store on every request, so that what was taken away is
//! gone at once; an access token alone only says which session to look for. What takes its time is asked again
//! ([`Caller::again`]).

use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use mb_api::credentials::{Credentials, WATCHING};
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::account::{UserAction, manageable};
use mb_core::{ClientName, Role, SessionId, UserRole};
use mb_crypto::CryptoError;
use mb_crypto::token::{Token, TokenKind};
use mb_store::{Session, User};

use crate::actor::{self, Actor};
use crate::app::App;
use crate::routes::store_fault;

/// Somebody whose right to ask was proven on this request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    actor: Actor,
    person: Option<Person>,
}

/// Somebody signed in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// The account as it is now.
    pub(crate) user: User,
    /// The session that the request came in.
    pub(crate) session: Session,
}

/// Whose messages somebody may see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum View {
    /// Everybody's.
    All,
    /// One client's.
    Client(ClientName),
}

impl Caller {
    /// Who is named in changes and audit rows.
    pub(crate) const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// What the caller may do: an administrator's certificate everything.
    pub(crate) fn role(&self) -> UserRole {
        self.person.as_ref().map_or(UserRole::Admin, |person| person.user.role)
    }

    /// The actor, if it is an administrator.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn admin(&self) -> Result<&Actor, ApiError> {
        if self.role() == UserRole::Admin { Ok(&self.actor) } else { Err(forbidden()) }
    }

    /// The roles of the accounts to which the caller may do `action`.
    ///
    /// # Errors
    /// 403 if there are none.
    pub(crate) fn manages(&self, action: UserAction) -> Result<Vec<UserRole>, ApiError> {
        let roles = manageable(self.role(), action);
        if roles.is_empty() { Err(forbidden()) } else { Ok(roles) }
    }

    /// Who is signed in.
    ///
    /// # Errors
    /// 403 for a certificate, which is nobody's account.
    pub(crate) fn person(&self) -> Result<&Person, ApiError> {
        let reason = "this needs somebody who is signed in: a certificate has no account";
        self.person.as_ref().ok_or_else(|| ApiError::new(ProblemCode::Forbidden, reason))
    }

    /// The session that the request came in, if it is somebody's.
    pub(crate) fn session(&self) -> Option<SessionId> {
        self.person.as_ref().map(|person| person.session.id)
    }

    /// Whose messages the caller may see.
    ///
    /// # Errors
    /// 403 for an account that sees none: a `user_manager`, or a user without a client.
    pub(crate) fn view(&self) -> Result<View, ApiError> {
        match (self.role(), self.person.as_ref().and_then(|person| person.user.client.clone())) {
            (UserRole::Admin, _) => Ok(View::All),
            (UserRole::User, Some(client)) => Ok(View::Client(client)),
            (UserRole::User | UserRole::UserManager, _) => {
                Err(ApiError::new(ProblemCode::Forbidden, "this account is bound to no client whose messages it sees"))
            }
        }
    }

    /// Whether somebody signed in is who it was as the request began, now that time has passed. A certificate is looked at
    /// by the listener.
    ///
    /// # Errors
    /// 401 if the session has ended, 403 if the account entitles to something else by now.
    pub(crate) async fn again(&self, app: &App) -> Result<(), ApiError> {
        let Some(Person { user, session }) = &self.person else { return Ok(()) };
        let (_, now) = app.store.session(session.id).await.map_err(store_fault)?.ok_or_else(invalid_token)?;
        if now.id != user.id || now.generation != user.generation {
            return Err(invalid_token());
        }
        let rights = |user: &User| (user.role, user.client.clone(), user.may_send);
        if rights(&now) == rights(user) { Ok(()) } else { Err(forbidden()) }
    }

    pub(crate) fn of_person(session: Session, user: User) -> Self {
        Self { actor: Actor::user(&user.email), person: Some(Person { user, session }) }
    }
}

pub(crate) fn forbidden() -> ApiError {
    ApiError::new(ProblemCode::Forbidden, "your account's role does not entitle to this")
}

pub(crate) fn invalid_token() -> ApiError {
    ApiError::new(ProblemCode::InvalidToken, "the token is not, or no longer, good: sign in again")
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let caller = Self::known(parts, app).await?;
        if let Some(known) = parts.extensions.get::<Known>() {
            known.set(&caller);
        }
        Ok(caller)
    }
}

impl Caller {
    async fn known(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let peer = Peer::from_request_parts(parts, app).await?;
        match Credentials::from_headers(&parts.headers)? {
            Some(Credentials::Bearer(token)) => bearer(app, token.secret().expose()).await,
            Some(Credentials::Session(token)) => portal(app, &peer, &parts.headers, token.secret().expose()).await,
            None => {
                let actor = actor::require(app, &peer, &[Role::Admin]).map_err(ApiError::or_sign_in)?;
                Ok(Self { actor, person: None })
            }
        }
    }
}

/// Where a request's caller is left for whoever sees its answer: what was refused to somebody known is recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(Arc<OnceLock<Caller>>);

impl Known {
    fn set(&self, caller: &Caller) {
        // A request has one caller, however often its handler asks for it.
        let _ = self.0.set(caller.clone());
    }

    pub(crate) fn caller(&self) -> Option<&Caller> {
        self.0.get()
    }

    pub(crate) fn actor(&self) -> Option<&Actor> {
        self.caller().map(Caller::actor)
    }
}

async fn bearer(app: &App, token: &str) -> Result<Caller, ApiError> {
    let claims = app.jwt.verify(token, app.clock.now()).map_err(|error| match error {
        CryptoError::Expired => ApiError::new(ProblemCode::TokenExpired, "the access token has expired: refresh it"),
        _ => invalid_token(),
    })?;
    let found = app.store.session(claims.session).await.map_err(store_fault)?;
    let (session, user) = found.ok_or_else(invalid_token)?;
    // The session lives under the user's generation; a token of another user or an older one is none of it.
    if user.id != claims.user || user.generation != claims.generation {
        return Err(invalid_token());
    }
    Ok(Caller::of_person(session, user))
}

async fn portal(app: &App, peer: &Peer, headers: &HeaderMap, token: &str) -> Result<Caller, ApiError> {
    actor::require(app, peer, &[Role::Portal])?;
    let token = Token::parse(TokenKind::Session, token).ok_or_else(invalid_token)?;
    let (session, user) = portal_session(app, headers, &token).await?;
    Ok(Caller::of_person(session, user))
}

/// The living portal session of this token, which is used by that unless a page only watches.
///
/// # Errors
/// 401 `invalid_token`.
pub(crate) async fn portal_session(app: &App, headers: &HeaderMap, token: &Token) -> Result<(Session, User), ApiError> {
    let digest = token.digest();
    let found = if headers.contains_key(WATCHING) {
        app.store.watched_portal_session(&digest).await
    } else {
        app.store.portal_session(&digest).await
    };
    found.map_err(store_fault)?.ok_or_else(invalid_token)
}
