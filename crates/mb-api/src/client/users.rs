//! Administration of people.

use mb_core::UserId;

use super::{Client, ClientError};
use crate::dto::{
    CreateUser, SessionRow, SetUserClient, SetUserExpiry, SetUserPassword, SetUserRole, SetUserSending, SetUserStatus,
    UserQuery, UserRow,
};
use crate::page::Page;
use crate::paths::{self, with_id};

impl Client {
    /// One page of users, by address.
    pub async fn users(&self, query: &UserQuery) -> Result<Page<UserRow>, ClientError> {
        self.list(paths::USERS, query).await
    }

    /// One user.
    pub async fn user(&self, id: &UserId) -> Result<UserRow, ClientError> {
        self.get(&with_id(paths::USER, id)).await
    }

    /// Adds a user.
    pub async fn create_user(&self, ask: &CreateUser) -> Result<UserRow, ClientError> {
        self.post(paths::USERS, ask, None).await
    }

    /// Deletes a user.
    pub async fn delete_user(&self, id: &UserId) -> Result<(), ClientError> {
        self.delete(&with_id(paths::USER, id)).await
    }

    /// Sets a user's role.
    pub async fn set_user_role(&self, id: &UserId, ask: &SetUserRole) -> Result<(), ClientError> {
        self.put(&with_id(paths::USER_ROLE, id), ask).await
    }

    /// Lets a user sign in, or no longer.
    pub async fn set_user_status(&self, id: &UserId, ask: &SetUserStatus) -> Result<(), ClientError> {
        self.put(&with_id(paths::USER_STATUS, id), ask).await
    }

    /// Sets a user's password.
    pub async fn set_user_password(&self, id: &UserId, ask: &SetUserPassword) -> Result<(), ClientError> {
        self.put(&with_id(paths::USER_PASSWORD, id), ask).await
    }

    /// Binds a user to a client.
    pub async fn set_user_client(&self, id: &UserId, ask: &SetUserClient) -> Result<(), ClientError> {
        self.put(&with_id(paths::USER_CLIENT, id), ask).await
    }

    /// Sets when a user's account ends.
    pub async fn set_user_expiry(&self, id: &UserId, ask: &SetUserExpiry) -> Result<(), ClientError> {
        self.put(&with_id(paths::USER_EXPIRY, id), ask).await
    }

    /// Lets a user send messages, or no longer.
    pub async fn set_user_sending(&self, id: &UserId, ask: &SetUserSending) -> Result<(), ClientError> {
        self.put(&with_id(paths::USER_SENDING, id), ask).await
    }

    /// Takes a user's second factor away.
    pub async fn reset_user_two_factor(&self, id: &UserId) -> Result<(), ClientError> {
        self.delete(&with_id(paths::USER_TWO_FACTOR, id)).await
    }

    /// A user's sessions.
    pub async fn user_sessions(&self, id: &UserId) -> Result<Page<SessionRow>, ClientError> {
        self.get(&with_id(paths::USER_SESSIONS, id)).await
    }

    /// Ends a user's sessions.
    pub async fn end_user_sessions(&self, id: &UserId) -> Result<(), ClientError> {
        self.delete(&with_id(paths::USER_SESSIONS, id)).await
    }
}
