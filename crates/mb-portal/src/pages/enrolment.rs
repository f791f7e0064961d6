//! A token to enrol with, this once: the answer to the form itself.

use askama::Template;
use mb_api::dto::Enrolment;
use mb_core::ClientName;

use crate::person::Person;
use crate::shell::{Section, Shell};

#[derive(Template)]
#[template(path = "enrolment.html")]
pub(super) struct EnrolmentPage {
    shell: Shell,
    name: ClientName,
    offered: Enrolment,
}

impl EnrolmentPage {
    pub(super) fn new(person: &Person, name: ClientName, offered: Enrolment) -> Self {
        Self { shell: person.shell(Section::Clients), name, offered }
    }

    /// The token with the fingerprint by which whoever enrols knows the main server.
    fn token(&self) -> String {
        format!("{}.{}", self.offered.token.secret().expose(), self.offered.ca_fingerprint)
    }
}
