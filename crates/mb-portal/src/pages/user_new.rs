//! Adding a user.

use mb_api::dto::{CreateUser, SecretText};
use mb_core::{ClientName, Email, Timestamp, UserRole};

use crate::errors::Errors;
use crate::field::{Choice, Field, Input, spoken};
use crate::flash::Flash;
use crate::form::Form;
use crate::form_page::FormPage;
use crate::person::{Admin, Person};
use crate::respond::{done, mend, page};
use crate::shell::Section;
use crate::stop::Answer;
use crate::zone::Zone;

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct NewUser {
    email: String,
    password: SecretText,
    role: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    expires_at: String,
    #[serde(default)]
    may_send: String,
}

pub(crate) async fn get(Admin(person): Admin) -> Answer {
    page(&form(&person, ["", "user", "", "", "no"], &Errors::default()))
}

pub(crate) async fn post(Admin(person): Admin, Form(typed): Form<NewUser>) -> Answer {
    let again = |errors: &Errors| {
        form(&person, [&typed.email, &typed.role, &typed.client_id, &typed.expires_at, &typed.may_send], errors)
    };
    let ask = match parse(&typed, &person.zone()) {
        Ok(ask) => ask,
        Err(errors) => return mend(&again(&errors)),
    };
    match person.client.create_user(&ask).await {
        Ok(user) => Ok(done(&format!("/admin/users/{}", user.id), Flash::UserAdded)),
        Err(error) => mend(&again(&Errors::from_refusal(error)?)),
    }
}

fn parse(typed: &NewUser, zone: &Zone) -> Result<CreateUser, Errors> {
    let mut errors = Errors::default();
    let email = errors.need("email", Email::parse(typed.email.trim()), "Enter a whole e-mail address");
    let role = errors.need("role", UserRole::parse(&typed.role), "Choose a role");
    let client = typed.client_id.trim();
    let client_id = if client.is_empty() {
        None
    } else {
        errors.need("client_id", ClientName::parse(client), "No client has such a name")
    };
    let expires_at = end_of_account(&typed.expires_at, zone, &mut errors);
    match (email, role) {
        (Some(email), Some(role)) if errors.is_empty() => {
            let password = typed.password.clone();
            Ok(CreateUser { email, password, role, client_id, expires_at, may_send: typed.may_send == "yes" })
        }
        _ => Err(errors),
    }
}

/// When an account ends, as it was typed; nothing is never.
pub(super) fn end_of_account(typed: &str, zone: &Zone, errors: &mut Errors) -> Option<Timestamp> {
    let typed = typed.trim();
    if typed.is_empty() {
        return None;
    }
    errors.need("expires_at", zone.read(typed), "Enter a whole date and time, or nothing")
}

/// The field for it.
pub(super) fn expiry_field(typed: &str, errors: &Errors) -> Field {
    Field::new("expires_at", "Account ends", Input::Line("datetime-local"), typed, errors)
        .optional()
        .hint("From then on nobody signs in to it, and its sessions are over. Empty: never.")
}

/// The roles to choose from.
pub(super) fn roles() -> Input {
    Input::Choice(UserRole::ALL.iter().map(|role| Choice::new(role.as_str(), spoken(role.as_str()))).collect())
}

fn sending_choice() -> Input {
    Input::Choice(vec![Choice::new("no", "Only sees messages"), Choice::new("yes", "Sees and sends messages")])
}

fn form(person: &Person, [email, role, client, end, sending]: [&str; 5], errors: &Errors) -> FormPage {
    FormPage {
        shell: person.shell(Section::Users),
        title: "Add a user".into(),
        up: Some(("/admin/users".into(), "Users")),
        action: "/admin/users/new".into(),
        above: errors.above(&["email", "password", "role", "client_id", "expires_at", "may_send"]).map(str::to_owned),
        intro: None,
        fields: vec![
            Field::new("email", "E-mail address", Input::Line("email"), email, errors),
            Field::password("password", "First password", "new-password", errors).hint(Field::PASSWORD_HINT),
            Field::new("role", "Role", roles(), role, errors)
                .hint("A user sees one client's messages; a user manager manages plain users and sees no messages; an admin everything."),
            Field::line("client_id", "Client", client, errors)
                .optional()
                .hint("The client whose messages a plain user sees. Without one it sees none."),
            Field::new("may_send", "Sending", sending_choice(), sending, errors)
                .hint("Whether the user may send messages as its client."),
            expiry_field(end, errors),
        ],
        button: "Add the user",
        grave: false,
    }
}
