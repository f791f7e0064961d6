//! Users: people who sign in.

use mb_core::{ClientName, Email, Timestamp, UserId, UserRole};
use utoipa::{IntoParams, ToSchema};

use crate::cursor::{List, NameCursor};
use crate::dto::SecretText;
use crate::page;
use crate::problem::ApiError;
use crate::schema;

/// Which users to list, by address. A `user_manager` sees plain users only, whatever the filter.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UserQuery {
    /// What they may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::AccountRole>)]
    pub role: Option<UserRole>,
    /// Whether they may sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
    /// Whose messages they see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::ClientName>)]
    pub client_id: Option<ClientName>,
    /// The one of this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::Email>)]
    pub email: Option<Email>,
    /// Rows wanted, 50 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 250)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl UserQuery {
    /// The number of rows and the address after which they start.
    ///
    /// # Errors
    /// 422 if the limit is out of range or the cursor is none of ours.
    pub fn resolve(&self) -> Result<(u32, Option<NameCursor>), ApiError> {
        page::resolve(List::Users, self.limit, self.cursor.as_deref())
    }
}

/// A user.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct UserRow {
    /// Its id.
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
    /// Whether it may sign in.
    pub is_active: bool,
    /// Whether it may send messages through the portal.
    pub may_send: bool,
    /// Whether a second factor is on.
    pub two_factor: bool,
    /// Since when.
    #[schema(value_type = schema::Timestamp)]
    pub created_at: Timestamp,
    /// When the account ends.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub expires_at: Option<Timestamp>,
    /// When its password was last set.
    #[schema(value_type = schema::Timestamp)]
    pub password_changed_at: Timestamp,
}

/// Adds a user, who is active at once.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// The address, in any case.
    #[schema(value_type = schema::Email)]
    pub email: Email,
    /// The first password.
    pub password: SecretText,
    /// What the user may do.
    #[schema(value_type = schema::AccountRole)]
    pub role: UserRole,
    /// Whose messages the user sees; a plain user without one sees none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ClientName>)]
    pub client_id: Option<ClientName>,
    /// When the account ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Timestamp>)]
    pub expires_at: Option<Timestamp>,
    /// Whether the user may send messages through the portal.
    #[serde(default)]
    pub may_send: bool,
}

/// Sets a user's role. Ends the user's sessions.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetUserRole {
    /// What the user may do.
    #[schema(value_type = schema::AccountRole)]
    pub role: UserRole,
}

/// Lets a user sign in, or no longer, which ends the user's sessions.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetUserStatus {
    /// Whether the user may sign in.
    pub is_active: bool,
}

/// Sets a user's password. Ends the user's sessions.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetUserPassword {
    /// The new password.
    pub new_password: SecretText,
}

/// Binds a user to a client. Ends the user's sessions. The member has to be there: what is forgotten takes nothing away.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetUserClient {
    /// Whose messages the user sees; `null`: none, or all for those who see all.
    #[schema(required = true, value_type = Option<schema::ClientName>)]
    #[serde(deserialize_with = "serde::Deserialize::deserialize")]
    pub client_id: Option<ClientName>,
}

/// Sets when an account ends. The member has to be there: what is forgotten takes nothing away.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetUserExpiry {
    /// When; `null`: never.
    #[schema(required = true, value_type = Option<schema::Timestamp>)]
    #[serde(deserialize_with = "serde::Deserialize::deserialize")]
    pub expires_at: Option<Timestamp>,
}

/// Lets a user send messages through the portal, or no longer.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetUserSending {
    /// Whether the user may.
    pub may_send: bool,
}
