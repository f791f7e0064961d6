//! Sending a trial to a destination, and the whole exchange.

use askama::Template;
use axum::extract::Path;
use mb_api::dto::{DestinationRow, DestinationTest};
use mb_core::AttemptClass;
use mb_core::delivery::Outcome;

use super::destination::find;
use crate::form::{Empty, Form};
use crate::person::Admin;
use crate::respond::page;
use crate::shell::{Section, Shell};
use crate::stop::Answer;
use crate::view::{grouped, plain};

#[derive(Template)]
#[template(path = "destination_test.html")]
struct TestPage {
    shell: Shell,
    row: DestinationRow,
    test: DestinationTest,
}

impl TestPage {
    fn is_taken(&self) -> bool {
        self.test.exchange.class.outcome() == Outcome::Delivered
    }

    fn milliseconds(&self) -> String {
        grouped(&self.test.exchange.duration_us.div_ceil(1000))
    }

    /// What was answered, if anything was.
    fn answer(&self) -> Option<String> {
        self.test.exchange.answer.as_deref().filter(|answer| !answer.is_empty()).map(plain)
    }
}

pub(crate) async fn post(Admin(person): Admin, Path(id): Path<String>, Form(Empty {}): Form<Empty>) -> Answer {
    let row = find(&person, &id).await?;
    let test = person.client.test_destination(row.id).await?;
    page(&TestPage { shell: person.shell(Section::Destinations), row, test })
}

/// What happened, and where to look.
const fn words(class: AttemptClass) -> (&'static str, &'static str) {
    match class {
        AttemptClass::Taken => ("It was taken", "Messages get there."),
        AttemptClass::Dns => ("Its name was not found", "Check the host's name in the address."),
        AttemptClass::Blocked => (
            "Its address may not be connected to",
            "It is a private or local one. Whoever runs the broker can allow it with delivery.allow_cidrs.",
        ),
        AttemptClass::Connect => {
            ("No connection came about", "Check the port, and whether it runs and is let through.")
        }
        AttemptClass::Tls => (
            "The connection could not be secured",
            "Check its certificate, and by which CA certificates it is verified.",
        ),
        AttemptClass::Timeout => ("There was no answer in time", "It has 15 seconds in all. Answer first, work later."),
        AttemptClass::Broken => ("The connection broke", "What came back was no whole HTTP answer."),
        AttemptClass::Redirect => {
            ("It answered with a redirect", "Redirects are not followed: use the address itself.")
        }
        AttemptClass::ClientError => ("It refused the trial", "See its answer below."),
        AttemptClass::Gone => {
            ("It answered that it is gone", "A message that is answered so disables the destination.")
        }
        AttemptClass::TooMany => ("It says that it gets too many", "Set a limit per second, or try again later."),
        AttemptClass::ServerError => ("It failed", "See its answer below, and its log."),
        AttemptClass::Nacked => ("It gave the trial back", "See its log."),
        AttemptClass::Unsendable => ("It could not be sent", "The destination's settings cannot be used as they are."),
    }
}
