//! One client: whether it may submit, and how much.

use askama::Template;
use axum::extract::Path;
use mb_api::dto::{ClientRow, SetClientRateLimit};
use mb_core::ClientName;

use super::clients::tone;
use crate::errors::Errors;
use crate::field::{Field, Input};
use crate::flash::Flash;
use crate::form::Form;
use crate::person::{Admin, Person};
use crate::respond::{done, mend, page};
use crate::shell::{Section, Shell};
use crate::stop::{Answer, Stop};

#[derive(Template)]
#[template(path = "client.html")]
struct ClientPage {
    shell: Shell,
    client: ClientRow,
    above: Option<String>,
    limit: Field,
}

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Limit {
    rate_limit: String,
}

pub(crate) async fn get(Admin(person): Admin, Path(id): Path<String>) -> Answer {
    let client = person.client.client(&name_of(&id)?).await?;
    let limit = client.rate_limit.map(|limit| limit.to_string()).unwrap_or_default();
    page(&view(&person, client, &limit, &Errors::default()))
}

pub(crate) async fn post(Admin(person): Admin, Path(id): Path<String>, Form(form): Form<Limit>) -> Answer {
    let name = name_of(&id)?;
    let errors = match number(&form.rate_limit, "rate_limit") {
        Ok(rate_limit) => match person.client.set_client_rate_limit(&name, &SetClientRateLimit { rate_limit }).await {
            Ok(()) => return Ok(done(&format!("/admin/clients/{name}"), Flash::ClientChanged)),
            Err(error) => Errors::from_refusal(error)?,
        },
        Err(errors) => errors,
    };
    mend(&view(&person, person.client.client(&name).await?, &form.rate_limit, &errors))
}

/// The name in the address.
pub(super) fn name_of(text: &str) -> Result<ClientName, Stop> {
    ClientName::parse(text).ok_or_else(Stop::not_found)
}

/// A whole number, or nothing.
pub(super) fn number(text: &str, name: &str) -> Result<Option<u32>, Errors> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let mut errors = Errors::default();
    errors.need(name, text.parse().ok(), "Enter a whole number, or nothing").map(Some).ok_or(errors)
}

fn view(person: &Person, client: ClientRow, limit: &str, errors: &Errors) -> ClientPage {
    let limit = Field::new("rate_limit", "Messages per minute", Input::Line("number"), limit, errors)
        .optional()
        .hint("Empty: as its domain has it. 0: no limit.");
    let above = errors.above(&["rate_limit"]).map(str::to_owned);
    ClientPage { shell: person.shell(Section::Clients), client, above, limit }
}
