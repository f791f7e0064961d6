//! `admin users`: who may sign in, and as what.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use mb_api::client::Client;
use mb_api::dto::{
    CreateUser, SessionRow, SetUserClient, SetUserExpiry, SetUserPassword, SetUserRole, SetUserSending, SetUserStatus,
    UserQuery, UserRow,
};
use mb_api::page::Page;
use mb_core::{ClientName, Email, Timestamp, UserRole};

use super::password::PasswordArgs;
use super::table::{Table, optional, word, yes_no};
use super::values::{self, End};
use super::{about, list, with_client};
use crate::cli::Format;
use crate::layout::Layout;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Add a user
    Create(CreateArgs),
    /// List users by address
    List(ListArgs),
    /// Delete a user
    Delete(Who),
    /// Set a user's password, which ends the user's sessions
    Password {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Set what a user may do, which ends the user's sessions
    Role {
        #[command(flatten)]
        who: Who,
        /// What the user may do
        #[arg(long, value_parser = values::role())]
        role: UserRole,
    },
    /// Let a user sign in again
    Enable(Who),
    /// Let a user sign in no longer, which ends the user's sessions
    Disable(Who),
    /// Bind a user to a client, which ends the user's sessions
    Client {
        #[command(flatten)]
        who: Who,
        /// Whose messages the user sees [default: none]
        #[arg(long, value_name = "NAME", value_parser = values::client)]
        client_id: Option<ClientName>,
    },
    /// Set when a user's account ends
    Expiry {
        #[command(flatten)]
        who: Who,
        /// When, or 'never'
        #[arg(long, value_name = "TIME|never")]
        at: End,
    },
    /// Let a user send messages through the portal, or no longer
    Sending {
        #[command(flatten)]
        who: Who,
        /// Whether the user may
        #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set)]
        allow: bool,
    },
    /// Take a user's second factor away
    ResetTwoFactor(Who),
    /// List a user's sessions
    Sessions {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        format: Format,
    },
    /// End a user's sessions
    EndSessions(Who),
}

#[derive(Debug, Args)]
pub(crate) struct Who {
    /// The user's address
    #[arg(long, value_parser = values::email)]
    email: Email,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    password: PasswordArgs,
    /// What the user may do
    #[arg(long, value_parser = values::role())]
    role: UserRole,
    /// Whose messages the user sees; a plain user without one sees none
    #[arg(long, value_name = "NAME", value_parser = values::client)]
    client_id: Option<ClientName>,
    /// When the account ends [default: never]
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    expires_at: Option<Timestamp>,
    /// The user may send messages through the portal
    #[arg(long)]
    may_send: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those with this role
    #[arg(long, value_parser = values::role())]
    role: Option<UserRole>,
    /// Only those who see this client's messages
    #[arg(long, value_name = "NAME", value_parser = values::client)]
    client_id: Option<ClientName>,
    /// Only those who may, or may not, sign in
    #[arg(long, value_name = "BOOL")]
    active: Option<bool>,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(layout: &Layout, command: UsersCommand) -> Result<ExitCode> {
    match command {
        UsersCommand::Create(args) => return create(layout, args).await,
        UsersCommand::List(args) => return list(layout, args).await,
        UsersCommand::Sessions { who, format } => return sessions(layout, &who, format).await,
        UsersCommand::Password { who, password } => {
            let ask = SetUserPassword { new_password: password.read()? };
            change(layout, &who, Change::Password(ask)).await?;
        }
        UsersCommand::Delete(who) => change(layout, &who, Change::Delete).await?,
        UsersCommand::Role { who, role } => change(layout, &who, Change::Role(SetUserRole { role })).await?,
        UsersCommand::Enable(who) => change(layout, &who, Change::Status(SetUserStatus { is_active: true })).await?,
        UsersCommand::Disable(who) => change(layout, &who, Change::Status(SetUserStatus { is_active: false })).await?,
        UsersCommand::Client { who, client_id } => {
            change(layout, &who, Change::Client(SetUserClient { client_id })).await?;
        }
        UsersCommand::Expiry { who, at: End(at) } => {
            change(layout, &who, Change::Expiry(SetUserExpiry { expires_at: at })).await?;
        }
        UsersCommand::Sending { who, allow } => {
            change(layout, &who, Change::Sending(SetUserSending { may_send: allow })).await?;
        }
        UsersCommand::ResetTwoFactor(who) => change(layout, &who, Change::ResetTwoFactor).await?,
        UsersCommand::EndSessions(who) => change(layout, &who, Change::EndSessions).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What may be done to a user.
enum Change {
    Delete,
    Password(SetUserPassword),
    Role(SetUserRole),
    Status(SetUserStatus),
    Client(SetUserClient),
    Expiry(SetUserExpiry),
    Sending(SetUserSending),
    ResetTwoFactor,
    EndSessions,
}

async fn change(layout: &Layout, who: &Who, change: Change) -> Result<()> {
    let done = with_client(layout, async |client| {
        let id = &find(client, &who.email).await?.id;
        let (outcome, done) = match &change {
            Change::Delete => (client.delete_user(id).await, "deleted"),
            Change::Password(ask) => (client.set_user_password(id, ask).await, "has a new password"),
            Change::Role(ask) => (client.set_user_role(id, ask).await, "has a new role"),
            Change::Status(ask @ SetUserStatus { is_active: true }) => {
                (client.set_user_status(id, ask).await, "may sign in")
            }
            Change::Status(ask) => (client.set_user_status(id, ask).await, "may no longer sign in"),
            Change::Client(ask) => (client.set_user_client(id, ask).await, "is bound anew"),
            Change::Expiry(ask) => (client.set_user_expiry(id, ask).await, "has a new end of the account"),
            Change::Sending(ask @ SetUserSending { may_send: true }) => {
                (client.set_user_sending(id, ask).await, "may send")
            }
            Change::Sending(ask) => (client.set_user_sending(id, ask).await, "may no longer send"),
            Change::ResetTwoFactor => (client.reset_user_two_factor(id).await, "has no second factor any more"),
            Change::EndSessions => (client.end_user_sessions(id).await, "is signed out everywhere"),
        };
        outcome.map_err(about("user", &who.email))?;
        Ok(done)
    });
    output::note(&format!("{} {}", who.email, done.await?));
    Ok(())
}

async fn find(client: &Client, email: &Email) -> Result<UserRow> {
    let query = UserQuery { email: Some(email.clone()), ..UserQuery::default() };
    let page = client.users(&query).await.context("find the user")?;
    page.data.into_iter().next().with_context(|| format!("there is no user {email}"))
}

async fn create(layout: &Layout, args: CreateArgs) -> Result<ExitCode> {
    let ask = CreateUser {
        email: args.who.email,
        password: args.password.read()?,
        role: args.role,
        client_id: args.client_id,
        expires_at: args.expires_at,
        may_send: args.may_send,
    };
    let created = with_client(layout, async |client| client.create_user(&ask).await.map_err(about("user", &ask.email)));
    let created = created.await?;
    if args.format.json {
        output::json(&created)?;
    } else {
        output::note(&format!("{} may sign in as {}", created.email, created.role));
        output::data(&created.id.to_string());
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(layout: &Layout, args: ListArgs) -> Result<ExitCode> {
    let query =
        UserQuery { role: args.role, client_id: args.client_id, is_active: args.active, ..UserQuery::default() };
    let page = with_client(layout, async |client| {
        let fetch = async |limit, cursor| client.users(&UserQuery { limit, cursor, ..query.clone() }).await;
        list::all(fetch).await.context("list users")
    });
    let page = page.await?;
    if args.format.json {
        output::json(&page)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["id", "email", "role", "client", "active", "2fa", "sends", "created", "expires"]);
    for row in page.data {
        table.row([
            row.id.to_string(),
            row.email.to_string(),
            row.role.to_string(),
            optional(row.client_id),
            yes_no(row.is_active),
            yes_no(row.two_factor),
            yes_no(row.may_send),
            row.created_at.to_string(),
            optional(row.expires_at),
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}

async fn sessions(layout: &Layout, who: &Who, format: Format) -> Result<ExitCode> {
    let page: Page<SessionRow> = with_client(layout, async |client| {
        let user = find(client, &who.email).await?;
        client.user_sessions(&user.id).await.context("list sessions")
    })
    .await?;
    if format.json {
        output::json(&page)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["id", "kind", "from", "begun", "last used", "ends", "with"]);
    for row in page.data {
        table.row([
            row.id.to_string(),
            word(row.kind),
            row.peer_address,
            row.created_at.to_string(),
            row.last_used_at.to_string(),
            row.expires_at.to_string(),
            row.user_agent,
        ]);
    }
    table.print();
    Ok(ExitCode::SUCCESS)
}
