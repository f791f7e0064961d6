//! A destination's secret: a new one, and the page that shows it this once, which is the answer to the form itself.

use askama::Template;
use axum::extract::Path;
use mb_api::dto::{DestinationRow, SecretText};
use mb_core::Timestamp;

use super::destination::find;
use crate::errors::Errors;
use crate::form::{Empty, Form};
use crate::form_page::FormPage;
use crate::person::{Admin, Person};
use crate::respond::{mend, page};
use crate::shell::{Section, Shell};
use crate::stop::Answer;

#[derive(Template)]
#[template(path = "destination_secret.html")]
pub(super) struct SecretPage {
    shell: Shell,
    row: DestinationRow,
    secret: SecretText,
    /// Until when the one before is used too.
    overlap_until: Option<Timestamp>,
}

impl SecretPage {
    pub(super) fn new(
        person: &Person,
        row: DestinationRow,
        secret: SecretText,
        overlap_until: Option<Timestamp>,
    ) -> Self {
        Self { shell: person.shell(Section::Destinations), row, secret, overlap_until }
    }

    fn secret(&self) -> &str {
        self.secret.secret().expose()
    }
}

pub(crate) async fn get(Admin(person): Admin, Path(id): Path<String>) -> Answer {
    page(&form(&person, &find(&person, &id).await?, &Errors::default()))
}

pub(crate) async fn post(Admin(person): Admin, Path(id): Path<String>, Form(Empty {}): Form<Empty>) -> Answer {
    let row = find(&person, &id).await?;
    match person.client.rotate_destination_secret(row.id).await {
        Ok(rotated) => page(&SecretPage::new(&person, row, rotated.secret, Some(rotated.overlap_until))),
        Err(error) => mend(&form(&person, &row, &Errors::from_refusal(error)?)),
    }
}

fn form(person: &Person, row: &DestinationRow, errors: &Errors) -> FormPage {
    FormPage {
        shell: person.shell(Section::Destinations),
        title: format!("Rotate the secret of {}?", row.name),
        up: Some((format!("/admin/destinations/{}", row.id), "The destination")),
        action: format!("/admin/destinations/{}/rotate", row.id),
        above: errors.above(&[]).map(str::to_owned),
        intro: Some(
            "The new secret is shown once, on the next page. For 24 hours messages are signed with both, so that the \
             receiver can change over. A secret before the present one is dropped at once."
                .into(),
        ),
        fields: Vec::new(),
        button: "Rotate the secret",
        grave: false,
    }
}
