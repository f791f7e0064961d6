//! Users: people who sign in. E-mail addresses are kept lower-cased, so that one address is one account.

use mb_core::{ClientName, Timestamp};
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::error::StoreError;
use crate::value::{Row, Value};

/// What a user may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserRole {
    /// Sees the messages of one client.
    User,
    /// Also manages users, never admins.
    UserManager,
    /// Everything.
    Admin,
}

impl UserRole {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::User, Self::UserManager, Self::Admin];

    /// The word used in the store, the API and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::UserManager => "user_manager",
            Self::Admin => "admin",
        }
    }

    /// Parses [`UserRole::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// A user to add.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewUser {
    /// Address, in any case.
    pub email: String,
    /// The password's hash in PHC string format; never the password.
    pub password_hash: String,
    /// What the user may do.
    pub role: UserRole,
    /// Whose messages a [`UserRole::User`] sees.
    pub client: Option<ClientName>,
}

/// A user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Its id.
    pub id: i64,
    /// Address, lower case.
    pub email: String,
    /// The password's hash in PHC string format.
    pub password_hash: String,
    /// What the user may do.
    pub role: UserRole,
    /// Whose messages a [`UserRole::User`] sees.
    pub client: Option<ClientName>,
    /// Whether the user may sign in.
    pub active: bool,
    /// Since when.
    pub created_at: Timestamp,
}

const BY_EMAIL: &str = "SELECT id, email, password_hash, role, client, active, created_at FROM users WHERE email = ?";
const ALL: &str = "SELECT id, email, password_hash, role, client, active, created_at FROM users ORDER BY email";
const INSERT: &str = "INSERT INTO users (email, password_hash, role, client, active, created_at) \
                      VALUES (?, ?, ?, ?, 1, ?)";

fn read(row: &Row) -> Result<User, StoreError> {
    Ok(User {
        id: row.int(0)?,
        email: row.text(1)?.to_owned(),
        password_hash: row.text(2)?.to_owned(),
        role: UserRole::parse(row.text(3)?).ok_or(StoreError::Damaged("user role"))?,
        client: row.optional_text(4)?.is_some().then(|| row.client(4)).transpose()?,
        active: row.int(5)? != 0,
        created_at: row.time(6)?,
    })
}

impl Store {
    /// Adds an active user.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the address is taken, [`StoreError::Missing`] if the client is not there.
    pub async fn insert_user(&self, user: &NewUser, actor: &str) -> Result<User, StoreError> {
        let email = user.email.to_lowercase();
        let mut tx = self.backend().begin().await?;
        let values = [
            Value::Text(&email),
            Value::Text(&user.password_hash),
            Value::Text(user.role.as_str()),
            Value::text(user.client.as_ref().map(ClientName::as_str)),
            Value::Time(self.now()),
        ];
        if let Err(error) = tx.execute(INSERT, values).await {
            tx.rollback().await?;
            return Err(match error {
                error if error.is_unique_violation() => StoreError::Exists("user"),
                error if error.is_missing_reference() => StoreError::Missing("client"),
                error => error,
            });
        }
        let row = tx.fetch_optional(BY_EMAIL, [Value::Text(&email)]).await?;
        let added = read(&row.ok_or(StoreError::Missing("user"))?)?;
        let detail = json!({ "role": user.role.as_str(), "client": user.client });
        audit::insert(&mut tx, &Change::new(self, actor, "user.create", &email).detail(detail)).await?;
        tx.commit().await?;
        Ok(added)
    }

    /// A user by address, in any case.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        let email = email.to_lowercase();
        let row = self.backend().fetch_optional(BY_EMAIL, [Value::Text(&email)]).await?;
        row.as_ref().map(read).transpose()
    }

    /// All users by address.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        self.backend().fetch(ALL, []).await?.iter().map(read).collect()
    }

    /// How many users are active admins.
    pub async fn count_admins(&self) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) FROM users WHERE role = ? AND active = 1";
        let row = self.backend().fetch_optional(sql, [Value::Text(UserRole::Admin.as_str())]).await?;
        row.map_or(Ok(0), |row| row.unsigned(0))
    }
}
