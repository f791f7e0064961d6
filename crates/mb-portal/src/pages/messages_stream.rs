//! The live tail: the rows of a list's first page, again whenever the main server says that they are others.

use askama::Template;
use axum::extract::State;
use mb_api::Query;
use mb_api::client::Events;
use mb_api::dto::MessageRow;
use mb_api::page::Page;
use tokio::time::timeout;

use super::messages::Filter;
use crate::Portal;
use crate::live::{self, SILENCE, Say};
use crate::paging::Place;
use crate::person::{Person, Watcher};
use crate::shell::{Section, Shell};
use crate::stop::{Answer, Stop};

/// The rows, or what to say where there are none.
#[derive(Template)]
#[template(path = "message_tail.html")]
struct Tail {
    shell: Shell,
    rows: Vec<MessageRow>,
    admin: bool,
}

pub(crate) async fn get(
    State(portal): State<Portal>,
    person: Result<Watcher, Stop>,
    Query(filter): Query<Filter>,
) -> Answer {
    let page = filter.address("/messages", &[("live", "on")]);
    let signed_out = Say::signed_out(&page);
    let person = match person {
        Ok(Watcher(person)) => person,
        Err(Stop::SignIn { .. }) => return Ok(live::once(signed_out, portal.stopping)),
        Err(error) => return Err(error),
    };
    let (query, errors) = filter.parse(&Place::default(), &person.zone());
    if !errors.is_empty() {
        return Err(Stop::not_found());
    }
    let events = person.client.watch_messages(&query).await?;
    let watching = Watching { person, events };
    Ok(live::respond(watching, portal.stopping, Watching::next))
}

struct Watching {
    person: Person,
    events: Events,
}

impl Watching {
    async fn next(mut self) -> (Say, Self) {
        let say = match timeout(SILENCE, self.events.next()).await {
            Err(_) => Say::Nothing,
            Ok(Some(Ok(event))) => match serde_json::from_str::<Page<MessageRow>>(&event.data) {
                Ok(page) => self.part(page.data),
                Err(_) => Say::End,
            },
            // The main server ended it: the session is over, or it is time to ask anew. Asking anew tells which.
            Ok(_) => Say::End,
        };
        (say, self)
    }

    fn part(&self, rows: Vec<MessageRow>) -> Say {
        let shell = self.person.shell(Section::Messages);
        Tail { shell, rows, admin: self.person.is_admin() }.render().map_or(Say::End, Say::Part)
    }
}
