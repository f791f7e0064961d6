//! Deleting a destination, by name.

use axum::extract::Path;
use mb_api::dto::DestinationRow;

use super::destination::find;
use crate::errors::Errors;
use crate::flash::Flash;
use crate::form::Form;
use crate::form_page::{Confirmation, FormPage};
use crate::person::{Admin, Person};
use crate::respond::{done, mend, page};
use crate::shell::Section;
use crate::stop::Answer;

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
    match person.client.delete_destination(row.id).await {
        Ok(()) => Ok(done("/admin/destinations", Flash::DestinationDeleted)),
        Err(error) => mend(&form(&person, &row, &typed, &Errors::from_refusal(error)?)),
    }
}

fn form(person: &Person, row: &DestinationRow, typed: &Confirmation, errors: &Errors) -> FormPage {
    FormPage {
        shell: person.shell(Section::Destinations),
        title: format!("Delete {}?", row.name),
        up: Some((format!("/admin/destinations/{}", row.id), "The destination")),
        action: format!("/admin/destinations/{}/delete", row.id),
        above: errors.above(&["confirm"]).map(str::to_owned),
        intro: Some(
            "It goes at once and for good, with its secret. What it has not taken becomes dead letters, which can no \
             longer be redriven to it."
                .into(),
        ),
        fields: vec![typed.field(errors)],
        button: "Delete the destination",
        grave: true,
    }
}
