//! Changing what a destination takes and how it is reached.

use axum::extract::Path;
use mb_api::dto::DestinationRow;

use super::destination::find;
use super::destination_form::{DestinationForm, Typed};
use crate::errors::Errors;
use crate::flash::Flash;
use crate::form::Form;
use crate::person::{Admin, Person};
use crate::respond::{done, mend, page};
use crate::shell::Section;
use crate::stop::Answer;

pub(crate) async fn get(Admin(person): Admin, Path(id): Path<String>) -> Answer {
    let row = find(&person, &id).await?;
    page(&form(&person, &row, &Typed::of(&row), &Errors::default()))
}

pub(crate) async fn post(Admin(person): Admin, Path(id): Path<String>, Form(typed): Form<Typed>) -> Answer {
    let row = find(&person, &id).await?;
    let mut errors = Errors::default();
    let settings = typed.parse(row.kind, Some(&row), &mut errors);
    if !errors.is_empty() {
        return mend(&form(&person, &row, &typed, &errors));
    }
    match person.client.set_destination(row.id, &settings).await {
        Ok(()) => Ok(done(&format!("/admin/destinations/{}", row.id), Flash::DestinationChanged)),
        Err(error) => mend(&form(&person, &row, &typed, &Errors::from_refusal(error)?)),
    }
}

fn form(person: &Person, row: &DestinationRow, typed: &Typed, errors: &Errors) -> DestinationForm {
    DestinationForm {
        shell: person.shell(Section::Destinations),
        title: format!("Edit {}", row.name),
        up: (format!("/admin/destinations/{}", row.id), "The destination"),
        action: format!("/admin/destinations/{}/edit", row.id),
        above: errors.above(&Typed::NAMES).map(str::to_owned),
        kind: row.kind,
        fresh: false,
        parts: typed.parts(row.kind, Vec::new(), errors),
        button: "Save",
    }
}
