//! A destination's secret: a new one, and the page that shows it this once.

use std::time::Instant;

use askama::Template;
use axum::extract::{Path, State};
use mb_api::dto::DestinationRow;

use super::destination::find;
use crate::Portal;
use crate::errors::Errors;
use crate::flash::Flash;
use crate::form::{Empty, Form};
use crate::form_page::FormPage;
use crate::handing_out::SigningSecret;
use crate::person::{Admin, Person};
use crate::respond::{done, mend, page, see_other};
use crate::shell::{Section, Shell};
use crate::stop::Answer;

#[derive(Template)]
#[template(path = "destination_secret.html")]
struct SecretPage {
    shell: Shell,
    row: DestinationRow,
    shown: SigningSecret,
}

impl SecretPage {
    fn secret(&self) -> &str {
        self.shown.secret.secret().expose()
    }
}

/// The secret, or the destination if it was shown before.
pub(crate) async fn shown(State(portal): State<Portal>, Admin(person): Admin, Path(id): Path<String>) -> Answer {
    let row = find(&person, &id).await?;
    let Some(shown) = portal.secrets.take(person.profile().id, &id, Instant::now()) else {
        return Ok(done(&format!("/admin/destinations/{}", row.id), Flash::SecretShown));
    };
    page(&SecretPage { shell: person.shell(Section::Destinations), row, shown })
}

pub(crate) async fn get(Admin(person): Admin, Path(id): Path<String>) -> Answer {
    page(&form(&person, &find(&person, &id).await?, &Errors::default()))
}

pub(crate) async fn post(
    State(portal): State<Portal>,
    Admin(person): Admin,
    Path(id): Path<String>,
    Form(Empty {}): Form<Empty>,
) -> Answer {
    let row = find(&person, &id).await?;
    match person.client.rotate_destination_secret(row.id).await {
        Ok(rotated) => {
            let secret = SigningSecret { secret: rotated.secret, overlap_until: Some(rotated.overlap_until) };
            portal.secrets.put(person.profile().id, row.id.to_string(), secret, Instant::now());
            Ok(see_other(&format!("/admin/destinations/{}/secret", row.id)))
        }
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
