//! One destination: how it stands, and what may be done about it.

use askama::Template;
use axum::extract::Path;
use mb_api::dto::DestinationRow;
use mb_core::{DestinationId, DestinationKind, DestinationState};

use super::destinations::{listed, standing};
use crate::person::{Admin, Person};
use crate::respond::page;
use crate::shell::{Section, Shell};
use crate::stop::{Answer, Stop};
use crate::view::grouped;

#[derive(Template)]
#[template(path = "destination.html")]
struct DestinationPage {
    shell: Shell,
    row: DestinationRow,
}

impl DestinationPage {
    fn is_webhook(&self) -> bool {
        self.row.kind == DestinationKind::Webhook
    }

    fn attempts(&self) -> String {
        grouped(&self.row.retry.attempts().into())
    }
}

pub(crate) async fn get(Admin(person): Admin, Path(id): Path<String>) -> Answer {
    let row = find(&person, &id).await?;
    page(&DestinationPage { shell: person.shell(Section::Destinations), row })
}

/// The destination of this number.
pub(super) async fn find(person: &Person, id: &str) -> Result<DestinationRow, Stop> {
    Ok(person.client.destination(id_of(id)?).await?)
}

/// The number in the address.
pub(super) fn id_of(text: &str) -> Result<DestinationId, Stop> {
    text.parse().map(DestinationId::new).map_err(|_| Stop::not_found())
}

/// Why the broker itself disabled it.
fn reason(word: &str) -> &str {
    match word {
        "gone" => "It answered 410: nothing will be taken there again.",
        "failing" => "It had taken nothing for so long that it was given up.",
        other => other,
    }
}
