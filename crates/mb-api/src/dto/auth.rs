//! Signing in: tokens for programs, sessions for portals, one's own password, second factor and sessions (contract,
//! section 4).
//!
//! What is wrong with an address or a password in a sign-in is never told, so both come as plain text here: anything that
//! is no account is wrong credentials.

use std::net::IpAddr;

use mb_core::{ClientName, Email, SessionId, SessionKind, Timestamp, UserId, UserRole};
use utoipa::ToSchema;

use super::SecretText;
use crate::schema;

/// Signs in for tokens.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The account's address, in any case.
    pub email: String,
    /// Its password.
    pub password: SecretText,
    /// Six digits of the second factor, or a recovery code; needed once a second factor is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otp: Option<SecretText>,
}

/// Tokens of a new or a continued sign-in.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Tokens {
    /// Good for [`Tokens::expires_in`]; goes into `Authorization: Bearer`.
    pub access_token: SecretText,
    /// Good for 30 days and for one use.
    pub refresh_token: SecretText,
    /// How the access token is shown.
    pub token_type: TokenType,
    /// Seconds until the access token expires.
    pub expires_in: u64,
    /// Who is signed in.
    pub user: Profile,
}

/// How an access token is shown (RFC 6750).
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenType {
    /// In `Authorization: Bearer`.
    Bearer,
}

/// Continues a sign-in, or ends it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshToken {
    /// The newest refresh token.
    pub refresh_token: SecretText,
}

/// Asks for a mail with a reset token. The answer is the same for every address.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgotPassword {
    /// The account's address, in any case.
    pub email: String,
    /// Whom a portal asks for; refused from anyone but a portal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub peer_address: Option<IpAddr>,
}

/// Sets a password by the token of a mail. Ends all sessions.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    /// The mail's token.
    pub token: SecretText,
    /// The new password.
    pub new_password: SecretText,
    /// Whom a portal asks for; refused from anyone but a portal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub peer_address: Option<IpAddr>,
}

/// What was done, or will be, of a request that has nothing else to tell.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Accepted {
    /// For people.
    pub detail: String,
}

/// A portal signs a person in.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// The account's address, in any case.
    pub email: String,
    /// Its password.
    pub password: SecretText,
    /// Six digits of the second factor, or a recovery code, if the person gave it at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otp: Option<SecretText>,
    /// Where the person calls from.
    #[schema(value_type = String)]
    pub peer_address: IpAddr,
    /// What the person calls with, as it says; cut to 256 characters.
    #[serde(default)]
    pub user_agent: String,
}

/// A portal brings the second factor after the password.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSessionOtp {
    /// [`OtpNeeded::otp_token`].
    pub otp_token: SecretText,
    /// Six digits of the second factor, or a recovery code.
    pub otp: SecretText,
    /// Where the person calls from.
    #[schema(value_type = String)]
    pub peer_address: IpAddr,
    /// What the person calls with, as it says; cut to 256 characters.
    #[serde(default)]
    pub user_agent: String,
}

/// The answer 202 to [`NewSession`]: the password is right, the second factor is missing.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct OtpNeeded {
    /// Stands for the right password in [`NewSessionOtp`], and for nothing else.
    pub otp_token: SecretText,
    /// Seconds until it expires.
    pub expires_in: u64,
}

/// The answer 201 to [`NewSession`] and [`NewSessionOtp`].
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct OpenedSession {
    /// The portal keeps it in the person's cookie and shows it as `Authorization: Session`, which is good only together
    /// with its certificate.
    pub token: SecretText,
    /// The session.
    pub session: PortalSession,
}

/// A portal's session.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct PortalSession {
    /// Its id; it opens nothing.
    #[schema(value_type = schema::SessionId)]
    pub id: SessionId,
    /// Whose it is, as the account is now.
    pub user: Profile,
    /// When it ends whatever happens.
    #[schema(value_type = schema::Timestamp)]
    pub expires_at: Timestamp,
}

/// One's own account.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Profile {
    /// The account's id.
    #[schema(value_type = schema::UserId)]
    pub id: UserId,
    /// Its address.
    #[schema(value_type = schema::Email)]
    pub email: Email,
    /// What it may do.
    #[schema(value_type = schema::AccountRole)]
    pub role: UserRole,
    /// Whose messages it sees, if not all.
    #[schema(value_type = Option<schema::ClientName>)]
    pub client_id: Option<ClientName>,
    /// Whether it may send messages through the portal.
    pub may_send: bool,
    /// Whether a second factor is on.
    pub two_factor: bool,
    /// Recovery codes that are left.
    pub recovery_codes_left: u32,
    /// Since when there is the account.
    #[schema(value_type = schema::Timestamp)]
    pub created_at: Timestamp,
    /// When it ends.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub expires_at: Option<Timestamp>,
    /// When its password was last set.
    #[schema(value_type = schema::Timestamp)]
    pub password_changed_at: Timestamp,
}

/// Changes one's own password. Ends all sessions, also the one that asks.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The password until now.
    pub current_password: SecretText,
    /// The password from now on.
    pub new_password: SecretText,
}

/// Begins with a second factor.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CurrentPassword {
    /// The account's password.
    pub current_password: SecretText,
}

/// A second factor on offer: it is on once a code of it was shown.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct TwoFactorOffer {
    /// The secret to type in, base32.
    pub secret: SecretText,
    /// The secret as authenticators scan it, `otpauth://totp/...`.
    pub otpauth_uri: SecretText,
}

/// Switches the offered second factor on.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmTwoFactor {
    /// Six digits.
    pub otp: SecretText,
}

/// Switches the second factor off, or replaces its recovery codes.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BothFactors {
    /// The account's password.
    pub current_password: SecretText,
    /// Six digits, or a recovery code.
    pub otp: SecretText,
}

/// New recovery codes, shown this once; older ones are void.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct RecoveryCodes {
    /// Each good for one use in place of six digits.
    pub recovery_codes: Vec<SecretText>,
}

/// A session in a list.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct SessionRow {
    /// Its id; it opens nothing.
    #[schema(value_type = schema::SessionId)]
    pub id: SessionId,
    /// How somebody is signed in.
    #[schema(value_type = schema::SessionKind)]
    pub kind: SessionKind,
    /// Whether it is the one that asks.
    pub current: bool,
    /// Since when.
    #[schema(value_type = schema::Timestamp)]
    pub created_at: Timestamp,
    /// When it was last used, to a minute.
    #[schema(value_type = schema::Timestamp)]
    pub last_used_at: Timestamp,
    /// When it ends whatever happens.
    #[schema(value_type = schema::Timestamp)]
    pub expires_at: Timestamp,
    /// Where it was begun.
    pub peer_address: String,
    /// With what it was begun, as that says.
    pub user_agent: String,
}
