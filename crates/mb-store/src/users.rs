//! Users: people who sign in. E-mail addresses are kept lower-cased, so that one address is one account.

use mb_core::{ClientName, Timestamp, UserId, UserRole, ZoneName};
use serde_json::json;

use crate::Store;
use crate::audit::{self, Change};
use crate::backend::Transaction;
use crate::error::StoreError;
use crate::value::{Row, Value};

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
    /// Whether the user may send messages in its client's name.
    pub may_send: bool,
    /// From then on the user may not sign in.
    pub expires_at: Option<Timestamp>,
}

/// A user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Its id.
    pub id: UserId,
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
    /// Whether the user may send messages in its client's name.
    pub may_send: bool,
    /// From then on the user may not sign in.
    pub expires_at: Option<Timestamp>,
    /// When the password was last set.
    pub password_changed_at: Timestamp,
    /// Counts up with every change that ends all sessions; what was made under another one is void.
    pub generation: u64,
    /// The second factor.
    pub totp: Totp,
    /// In which time zone the user reads times.
    pub time_zone: ZoneName,
}

/// Where a user's second factor stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Totp {
    /// There is none.
    #[default]
    Off,
    /// Given out, not yet proven: signing in does not ask for it.
    Pending {
        /// The secret, sealed; opaque here.
        secret: Vec<u8>,
    },
    /// Asked for when signing in.
    On {
        /// The secret, sealed; opaque here.
        secret: Vec<u8>,
        /// Since when.
        since: Timestamp,
    },
}

/// Which users to list; `None` matches all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UserFilter {
    /// What they may do.
    pub role: Option<UserRole>,
    /// Whether they may sign in.
    pub active: Option<bool>,
    /// Whose messages they see.
    pub client: Option<ClientName>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, email, password_hash, role, client, active, created_at, may_send, expires_at, \
             password_changed_at, generation, totp_secret, totp_enabled_at, time_zone FROM users ",
            $rest
        )
    };
}

pub(crate) const BY_ID: &str = select!("WHERE id = ?");
const BY_EMAIL: &str = select!("WHERE email = ?");
const ALL: &str = select!("ORDER BY email");
const PAGE: &str = select!(
    "WHERE email > ? AND (? IS NULL OR role = ?) AND (? IS NULL OR active = ?) AND (? IS NULL OR client = ?) \
     ORDER BY email LIMIT ?"
);
const INSERT: &str = "INSERT INTO users (email, password_hash, role, client, active, created_at, password_changed_at, \
                      may_send, expires_at) VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?)";

pub(crate) fn read(row: &Row) -> Result<User, StoreError> {
    Ok(User {
        id: UserId::new(row.int(0)?),
        email: row.text(1)?.to_owned(),
        password_hash: row.text(2)?.to_owned(),
        role: UserRole::parse(row.text(3)?).ok_or(StoreError::Damaged("user role"))?,
        client: row.optional_text(4)?.is_some().then(|| row.client(4)).transpose()?,
        active: row.int(5)? != 0,
        created_at: row.time(6)?,
        may_send: row.int(7)? != 0,
        expires_at: row.optional_time(8)?,
        password_changed_at: row.time(9)?,
        generation: row.unsigned(10)?,
        totp: match (row.optional_blob(11)?, row.optional_time(12)?) {
            (None, _) => Totp::Off,
            (Some(secret), None) => Totp::Pending { secret: secret.to_vec() },
            (Some(secret), Some(since)) => Totp::On { secret: secret.to_vec(), since },
        },
        time_zone: ZoneName::parse(row.text(13)?).ok_or(StoreError::Damaged("time zone"))?,
    })
}

impl User {
    /// Whether the user may sign in, and stay, at `now`.
    pub fn may_sign_in(&self, now: Timestamp) -> bool {
        self.active && self.expires_at.is_none_or(|end| now < end)
    }
}

/// A user by id, as this transaction sees it.
pub(crate) async fn find(tx: &mut Transaction, id: UserId) -> Result<Option<User>, StoreError> {
    tx.fetch_optional(BY_ID, [Value::Int(id.get())]).await?.as_ref().map(read).transpose()
}

impl Store {
    /// Adds an active user.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the address is taken, [`StoreError::Missing`] if the client is not there.
    pub async fn insert_user(&self, user: &NewUser, actor: &str) -> Result<User, StoreError> {
        let email = user.email.to_lowercase();
        let now = self.now();
        let mut tx = self.backend().begin().await?;
        let values = [
            Value::Text(&email),
            Value::Text(&user.password_hash),
            Value::Text(user.role.as_str()),
            Value::text(user.client.as_ref().map(ClientName::as_str)),
            Value::Time(now),
            Value::Time(now),
            Value::Int(user.may_send.into()),
            Value::time(user.expires_at),
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
        let detail = json!({
            "role": user.role.as_str(),
            "client": user.client,
            "may_send": user.may_send,
            "expires_at": user.expires_at,
        });
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

    /// A user by id.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.backend().fetch_optional(BY_ID, [Value::Int(id.get())]).await?.as_ref().map(read).transpose()
    }

    /// At most `limit` users that match, by address, behind the address `after` if given.
    pub async fn user_page(
        &self,
        filter: &UserFilter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<User>, StoreError> {
        let role = Value::text(filter.role.map(UserRole::as_str));
        let active = filter.active.map_or(Value::Null, |active| Value::Int(active.into()));
        let client = Value::text(filter.client.as_ref().map(ClientName::as_str));
        let after = Value::Text(after.unwrap_or_default());
        let values = [after, role, role, active, active, client, client, Value::Int(limit.into())];
        self.backend().fetch(PAGE, values).await?.iter().map(read).collect()
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
