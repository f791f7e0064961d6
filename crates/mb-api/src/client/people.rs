//! Signing in and one's own account.

use http::{Method, StatusCode};
use mb_core::SessionId;

use super::{Client, ClientError, DEADLINE, JSON, build, decode, encode};
use crate::dto::{
    BothFactors, ChangePassword, ConfirmTwoFactor, CurrentPassword, ForgotPassword, Login, NewSession, NewSessionOtp,
    OpenedSession, OtpNeeded, PortalSession, Profile, RecoveryCodes, RefreshToken, ResetPassword, SessionRow, Tokens,
    TwoFactorOffer,
};
use crate::page::Page;
use crate::paths;

/// How a portal's sign-in goes on after the right password.
#[derive(Debug)]
pub enum SignIn {
    /// The person is signed in.
    Opened(Box<OpenedSession>),
    /// The second factor is missing.
    OtpNeeded(OtpNeeded),
}

/// Tokens, for programs.
impl Client {
    /// Signs in.
    pub async fn login(&self, ask: &Login) -> Result<Tokens, ClientError> {
        self.post(paths::AUTH_LOGIN, ask, None).await
    }

    /// Exchanges a refresh token, which is used up by that.
    pub async fn refresh(&self, ask: &RefreshToken) -> Result<Tokens, ClientError> {
        self.post(paths::AUTH_REFRESH, ask, None).await
    }

    /// Ends a sign-in.
    pub async fn logout(&self, ask: &RefreshToken) -> Result<(), ClientError> {
        self.tell(Method::POST, paths::AUTH_LOGOUT, ask).await
    }

    /// Asks for a mail with a reset token.
    pub async fn forgot_password(&self, ask: &ForgotPassword) -> Result<(), ClientError> {
        self.tell(Method::POST, paths::AUTH_FORGOT_PASSWORD, ask).await
    }

    /// Sets a password by the token of that mail.
    pub async fn reset_password(&self, ask: &ResetPassword) -> Result<(), ClientError> {
        self.tell(Method::POST, paths::AUTH_RESET_PASSWORD, ask).await
    }
}

/// Sessions, for portals.
impl Client {
    /// Signs a person in.
    pub async fn open_session(&self, ask: &NewSession) -> Result<SignIn, ClientError> {
        let request = build(Method::POST, paths::SESSIONS, Some(JSON), encode(ask)?, None)?;
        let response = self.send(request, DEADLINE).await?;
        if response.status() == StatusCode::ACCEPTED {
            decode(&response).map(SignIn::OtpNeeded)
        } else {
            decode(&response).map(|opened| SignIn::Opened(Box::new(opened)))
        }
    }

    /// Finishes a sign-in with the second factor.
    pub async fn open_session_with_otp(&self, ask: &NewSessionOtp) -> Result<OpenedSession, ClientError> {
        self.post(paths::SESSIONS_OTP, ask, None).await
    }

    /// Who is signed in by this client's credentials.
    pub async fn session(&self) -> Result<PortalSession, ClientError> {
        self.get(paths::SESSIONS).await
    }

    /// Ends the session of this client's credentials.
    pub async fn close_session(&self) -> Result<(), ClientError> {
        self.delete(paths::SESSIONS).await
    }
}

/// The account of this client's credentials.
impl Client {
    /// The account.
    pub async fn profile(&self) -> Result<Profile, ClientError> {
        self.get(paths::PROFILE).await
    }

    /// Changes the password.
    pub async fn change_password(&self, ask: &ChangePassword) -> Result<(), ClientError> {
        self.put(paths::PROFILE_PASSWORD, ask).await
    }

    /// Begins with a second factor.
    pub async fn offer_two_factor(&self, ask: &CurrentPassword) -> Result<TwoFactorOffer, ClientError> {
        self.post(paths::PROFILE_TWO_FACTOR, ask, None).await
    }

    /// Switches the offered second factor on.
    pub async fn confirm_two_factor(&self, ask: &ConfirmTwoFactor) -> Result<RecoveryCodes, ClientError> {
        self.post(paths::PROFILE_TWO_FACTOR_CONFIRM, ask, None).await
    }

    /// Switches the second factor off.
    pub async fn disable_two_factor(&self, ask: &BothFactors) -> Result<(), ClientError> {
        self.tell(Method::POST, paths::PROFILE_TWO_FACTOR_DISABLE, ask).await
    }

    /// Replaces the recovery codes.
    pub async fn recovery_codes(&self, ask: &BothFactors) -> Result<RecoveryCodes, ClientError> {
        self.post(paths::PROFILE_RECOVERY_CODES, ask, None).await
    }

    /// The account's sessions.
    pub async fn profile_sessions(&self) -> Result<Page<SessionRow>, ClientError> {
        self.get(paths::PROFILE_SESSIONS).await
    }

    /// Ends all of the account's sessions.
    pub async fn end_profile_sessions(&self) -> Result<(), ClientError> {
        self.delete(paths::PROFILE_SESSIONS).await
    }

    /// Ends one of the account's sessions.
    pub async fn end_profile_session(&self, id: &SessionId) -> Result<(), ClientError> {
        self.delete(&paths::with_id(paths::PROFILE_SESSION, id)).await
    }
}
