//! What an examination of the main server's machine finds, and what to do about it.

use askama::Template;
use mb_api::dto::{FindingRow, FindingStatus};

use crate::form::{Empty, Form};
use crate::person::Admin;
use crate::respond::page;
use crate::shell::{Section, Shell};
use crate::stop::Answer;

#[derive(Template)]
#[template(path = "doctor.html")]
struct DoctorPage {
    shell: Shell,
    /// What was found; `None` before anything was looked at.
    found: Option<Vec<FindingRow>>,
}

impl DoctorPage {
    fn count(&self, status: FindingStatus) -> usize {
        self.found.iter().flatten().filter(|row| row.status == status).count()
    }
}

pub(crate) async fn get(Admin(person): Admin) -> Answer {
    page(&DoctorPage { shell: person.shell(Section::Doctor), found: None })
}

pub(crate) async fn post(Admin(person): Admin, Form(Empty {}): Form<Empty>) -> Answer {
    let mut found = person.client.examine().await?.data;
    // What is bad comes first; otherwise the report's own order stays.
    found.sort_by_key(|row| match row.status {
        FindingStatus::Fail => 0,
        FindingStatus::Warn => 1,
        FindingStatus::Ok => 2,
    });
    page(&DoctorPage { shell: person.shell(Section::Doctor), found: Some(found) })
}

/// The badge's tone and word.
const fn standing(status: FindingStatus) -> (&'static str, &'static str) {
    match status {
        FindingStatus::Ok => ("delivered", "ok"),
        FindingStatus::Warn => ("warning", "warning"),
        FindingStatus::Fail => ("failed", "failure"),
    }
}
