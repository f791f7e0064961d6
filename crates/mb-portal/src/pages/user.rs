//! One user: what the account is, and a form for each thing that may be changed about it.

use askama::Template;
use axum::extract::Path;
use mb_api::dto::{SessionRow, UserRow};
use mb_core::account::{UserAction, may_manage};
use mb_core::{Timestamp, UserId, UserRole};

use super::profile::device;
use super::user_new::{expiry_field, roles};
use crate::errors::Errors;
use crate::field::{Field, spoken};
use crate::person::{Person, UserManager};
use crate::respond::{mend, page};
use crate::shell::{Section, Shell};
use crate::stop::{Answer, Stop};
use crate::view::standing;

#[derive(Template)]
#[template(path = "user.html")]
struct UserPage {
    shell: Shell,
    user: UserRow,
    sessions: Vec<SessionRow>,
    above: Option<String>,
    role: Field,
    client: Field,
    expiry: Field,
    password: Field,
    actor: UserRole,
    /// Whether it is the one who looks.
    own: bool,
    now: Timestamp,
}

impl UserPage {
    fn may(&self, action: UserAction) -> bool {
        may_manage(self.actor, self.user.role, action)
    }
}

pub(crate) async fn get(UserManager(person): UserManager, Path(id): Path<String>) -> Answer {
    page(&view(&person, id_of(&id)?, &Errors::default()).await?)
}

/// The page again, with what is wrong with one of its forms.
pub(super) async fn again(person: &Person, id: UserId, errors: &Errors) -> Answer {
    mend(&view(person, id, errors).await?)
}

/// The id in the address.
pub(super) fn id_of(text: &str) -> Result<UserId, Stop> {
    text.parse().map(UserId::new).map_err(|_| Stop::not_found())
}

async fn view(person: &Person, id: UserId, errors: &Errors) -> Result<UserPage, Stop> {
    let user = person.client.user(&id).await?;
    let actor = person.profile().role;
    let sessions = if may_manage(actor, user.role, UserAction::EndSessions) {
        person.client.user_sessions(&id).await?.data
    } else {
        Vec::new()
    };
    let client = user.client_id.as_ref().map(ToString::to_string).unwrap_or_default();
    Ok(UserPage {
        shell: person.shell(Section::Users),
        above: errors.above(&["role", "client_id", "expires_at", "new_password"]).map(str::to_owned),
        role: Field::new("role", "Role", roles(), user.role.as_str(), errors),
        client: Field::line("client_id", "Client", &client, errors).optional(),
        expiry: expiry_field(&user.expires_at.map(|at| person.zone().typed(at)).unwrap_or_default(), errors),
        password: Field::password("new_password", "New password", "new-password", errors).hint(Field::PASSWORD_HINT),
        own: person.profile().id == id,
        now: person.now,
        sessions,
        user,
        actor,
    })
}
