//! Suspending, resuming and archiving a client; what takes away is confirmed by name.

use axum::extract::Path;
use mb_api::dto::SetClientStatus;
use mb_core::{ClientName, ClientStatus};

use super::client::name_of;
use crate::errors::Errors;
use crate::flash::Flash;
use crate::form::Form;
use crate::form_page::{Confirmation, FormPage};
use crate::person::{Admin, Person};
use crate::respond::{done, mend, page};
use crate::shell::Section;
use crate::stop::{Answer, Stop};

/// What is done to the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    Suspend,
    Resume,
    Archive,
}

impl Change {
    fn parse(word: &str) -> Result<Self, Stop> {
        match word {
            "suspend" => Ok(Self::Suspend),
            "resume" => Ok(Self::Resume),
            "archive" => Ok(Self::Archive),
            _ => Err(Stop::not_found()),
        }
    }

    const fn status(self) -> ClientStatus {
        match self {
            Self::Suspend => ClientStatus::Suspended,
            Self::Resume => ClientStatus::Active,
            Self::Archive => ClientStatus::Archived,
        }
    }

    /// The path's word, the button, and what to know.
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Suspend => {
                ("suspend", "Suspend", "It is refused from its next request. What it sent already goes its way.")
            }
            Self::Resume => ("resume", "Resume", "It may submit again from its next request."),
            Self::Archive => (
                "archive",
                "Archive",
                "It is refused from its next request and left out of everyday lists. Its messages stay.",
            ),
        }
    }
}

pub(crate) async fn get(Admin(person): Admin, Path((id, change)): Path<(String, String)>) -> Answer {
    let (name, change) = (name_of(&id)?, Change::parse(&change)?);
    page(&form(&person, &person.client.client(&name).await?.id, change, &Confirmation::default(), &Errors::default()))
}

pub(crate) async fn post(
    Admin(person): Admin,
    Path((id, change)): Path<(String, String)>,
    Form(confirmation): Form<Confirmation>,
) -> Answer {
    let (name, change) = (name_of(&id)?, Change::parse(&change)?);
    let errors = if change == Change::Resume { Errors::default() } else { confirmation.check(name.as_str()) };
    if !errors.is_empty() {
        return mend(&form(&person, &name, change, &confirmation, &errors));
    }
    match person.client.set_client_status(&name, &SetClientStatus { status: change.status() }).await {
        Ok(()) => Ok(done(&format!("/admin/clients/{name}"), Flash::ClientChanged)),
        Err(error) => mend(&form(&person, &name, change, &confirmation, &Errors::from_refusal(error)?)),
    }
}

fn form(person: &Person, name: &ClientName, change: Change, typed: &Confirmation, errors: &Errors) -> FormPage {
    let (word, button, intro) = change.words();
    let fields = if change == Change::Resume { Vec::new() } else { vec![typed.field(errors)] };
    FormPage {
        shell: person.shell(Section::Clients),
        title: format!("{button} {name}?"),
        up: Some((format!("/admin/clients/{name}"), "The client")),
        action: format!("/admin/clients/{name}/{word}"),
        above: errors.above(&["confirm"]).map(str::to_owned),
        intro: Some(intro.into()),
        fields,
        button,
        grave: change != Change::Resume,
    }
}
