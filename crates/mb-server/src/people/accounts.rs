//! Accounts as they are shown: to their owners, and to those who administer them.

use mb_api::dto::{Profile, SessionRow, UserRow};
use mb_api::page::Page;
use mb_api::problem::ApiError;
use mb_core::{Email, SessionId};
use mb_store::{Session, Totp, User};

use crate::app::App;
use crate::routes::store_fault;

/// An account as its owner sees it.
pub(crate) async fn profile(app: &App, user: &User) -> Result<Profile, ApiError> {
    let codes = app.store.recovery_codes(user.id).await.map_err(store_fault)?;
    Ok(Profile {
        id: user.id,
        email: email(user)?,
        role: user.role,
        client_id: user.client.clone(),
        may_send: user.may_send,
        two_factor: matches!(user.totp, Totp::On { .. }),
        recovery_codes_left: u32::try_from(codes.len()).unwrap_or(u32::MAX),
        created_at: user.created_at,
        expires_at: user.expires_at,
        password_changed_at: user.password_changed_at,
        time_zone: user.time_zone.clone(),
    })
}

/// An account as others see it.
pub(crate) fn row(user: &User) -> Result<UserRow, ApiError> {
    Ok(UserRow {
        id: user.id,
        email: email(user)?,
        role: user.role,
        client_id: user.client.clone(),
        is_active: user.active,
        may_send: user.may_send,
        two_factor: matches!(user.totp, Totp::On { .. }),
        created_at: user.created_at,
        expires_at: user.expires_at,
        password_changed_at: user.password_changed_at,
    })
}

/// An account's sessions, all on one page: there are few.
pub(crate) fn sessions(sessions: Vec<Session>, current: Option<SessionId>) -> Page<SessionRow> {
    let row = |session: Session| SessionRow {
        id: session.id,
        kind: session.kind,
        current: Some(session.id) == current,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        expires_at: session.expires_at,
        peer_address: session.peer_address,
        user_agent: session.user_agent,
    };
    Page { data: sessions.into_iter().map(row).collect(), next: None }
}

fn email(user: &User) -> Result<Email, ApiError> {
    Email::parse(&user.email).ok_or_else(|| ApiError::internal("a stored address breaks the rule for addresses"))
}
