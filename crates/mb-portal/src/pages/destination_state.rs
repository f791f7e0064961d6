//! Enabling, pausing and disabling a destination. Disabling makes dead letters of what waits, so it is confirmed by name.

use axum::extract::Path;
use mb_api::dto::{DestinationRow, SetDestinationState};
use mb_core::DestinationState;

use super::destination::{find, id_of};
use crate::errors::Errors;
use crate::flash::Flash;
use crate::form::{Empty, Form};
use crate::form_page::{Confirmation, FormPage};
use crate::person::{Admin, Person};
use crate::respond::{done, mend, page};
use crate::shell::Section;
use crate::stop::Answer;

pub(crate) async fn enable(Admin(person): Admin, Path(id): Path<String>, Form(Empty {}): Form<Empty>) -> Answer {
    set(&person, &id, DestinationState::Enabled).await
}

pub(crate) async fn pause(Admin(person): Admin, Path(id): Path<String>, Form(Empty {}): Form<Empty>) -> Answer {
    set(&person, &id, DestinationState::Paused).await
}

pub(crate) async fn get(Admin(person): Admin, Path(id): Path<String>) -> Answer {
    let row = find(&person, &id).await?;
    page(&form(&person, &row, &Confirmation::default(), &Errors::default()))
}

pub(crate) async fn post(Admin(person): Admin, Path(id): Path<String>, Form(typed): Form<Confirmation>) -> Answer {
    let row = find(&person, &id).await?;
    let errors = typed.check(row.name.as_str());
    if !errors.is_empty() {
        return mend(&form(&person, &row, &typed, &errors));
    }
    set(&person, &id, DestinationState::Disabled).await
}

async fn set(person: &Person, id: &str, state: DestinationState) -> Answer {
    let id = id_of(id)?;
    person.client.set_destination_state(id, SetDestinationState { state }).await?;
    Ok(done(&format!("/admin/destinations/{id}"), Flash::DestinationChanged))
}

fn form(person: &Person, row: &DestinationRow, typed: &Confirmation, errors: &Errors) -> FormPage {
    FormPage {
        shell: person.shell(Section::Destinations),
        title: format!("Disable {}?", row.name),
        up: Some((format!("/admin/destinations/{}", row.id), "The destination")),
        action: format!("/admin/destinations/{}/disable", row.id),
        above: errors.above(&["confirm"]).map(str::to_owned),
        intro: Some(
            "What waits for it and what comes for it becomes dead letters, until it is enabled again. To let messages \
             wait, pause it instead."
                .into(),
        ),
        fields: vec![typed.field(errors)],
        button: "Disable",
        grave: true,
    }
}
