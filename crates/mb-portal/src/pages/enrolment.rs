//! A token to enrol with, this once.

use std::time::Instant;

use askama::Template;
use axum::extract::{Path, State};
use mb_api::dto::Enrolment;

use crate::Portal;
use crate::flash::Flash;
use crate::person::Admin;
use crate::respond::{done, page};
use crate::shell::{Section, Shell};
use crate::stop::Answer;

#[derive(Template)]
#[template(path = "enrolment.html")]
struct EnrolmentPage {
    shell: Shell,
    name: String,
    offered: Enrolment,
}

impl EnrolmentPage {
    /// The token with the fingerprint by which whoever enrols knows the main server.
    fn token(&self) -> String {
        format!("{}.{}", self.offered.token.secret().expose(), self.offered.ca_fingerprint)
    }
}

/// The page, or the list if it was shown before.
pub(crate) async fn get(State(portal): State<Portal>, Admin(person): Admin, Path(name): Path<String>) -> Answer {
    let Some(offered) = portal.enrolments.take(person.profile().id, &name, Instant::now()) else {
        return Ok(done("/admin/clients", Flash::TokenShown));
    };
    page(&EnrolmentPage { shell: person.shell(Section::Clients), name, offered })
}
