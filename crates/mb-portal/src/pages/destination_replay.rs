//! Sending messages of a time again to a destination: counted first, then sent, as far as one request goes.

use axum::extract::Path;
use mb_api::dto::{DestinationRow, ReplayMessages, Replayed};
use mb_core::{Timestamp, TopicGlob};

use super::destination::find;
use crate::errors::Errors;
use crate::field::{Field, Input};
use crate::form::Form;
use crate::form_page::FormPage;
use crate::person::{Admin, Person};
use crate::respond::{mend, page};
use crate::shell::Section;
use crate::stop::Answer;
use crate::view::grouped;
use crate::work::{Patience, Step, WorkPage};
use crate::zone::Zone;

/// Which messages, and how far it is.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    since: String,
    until: String,
    topics: String,
    /// Whether they are sent, or only counted.
    sure: String,
    cursor: String,
    so_far: String,
}

pub(crate) async fn get(Admin(person): Admin, Path(id): Path<String>) -> Answer {
    let row = find(&person, &id).await?;
    page(&form(&person, &row, &Asked::default(), &Errors::default()))
}

pub(crate) async fn post(Admin(person): Admin, Path(id): Path<String>, Form(asked): Form<Asked>) -> Answer {
    let row = find(&person, &id).await?;
    let ask = match asked.parse(&person.zone()) {
        Ok(ask) => ask,
        Err(errors) => return mend(&form(&person, &row, &asked, &errors)),
    };
    match go(&person, &row, &ask).await {
        Ok(done) => {
            let before: u64 = asked.so_far.parse().unwrap_or_default();
            page(&report(&person, &row, &asked, &ask, &Replayed { sent: before.saturating_add(done.sent), ..done }))
        }
        Err(error) => mend(&form(&person, &row, &asked, &Errors::from_refusal(error)?)),
    }
}

async fn go(person: &Person, row: &DestinationRow, ask: &ReplayMessages) -> Result<Replayed, mb_api::ClientError> {
    let (patience, mut ask) = (Patience::begin(), ask.clone());
    let mut sent = 0_u64;
    loop {
        let step = person.client.replay_messages(row.id, &ask).await?;
        sent = sent.saturating_add(step.sent);
        if step.next.is_none() || patience.is_over() {
            return Ok(Replayed { sent, next: step.next });
        }
        ask.cursor = step.next;
    }
}

impl Asked {
    fn parse(&self, zone: &Zone) -> Result<ReplayMessages, Errors> {
        let mut errors = Errors::default();
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let since = errors.need("since", zone.read(self.since.trim()), "Enter a day and a time");
        let until = given(&self.until)
            .and_then(|until| errors.need("until", zone.read(&until), "Enter a day and a time, or nothing"));
        let topics = given(&self.topics)
            .and_then(|glob| errors.need("topics", TopicGlob::parse(&glob), "A topic is words with dots between them"));
        match since {
            Some(since) if errors.is_empty() => Ok(ReplayMessages {
                since,
                until,
                topics,
                dry_run: self.sure != "yes",
                message_id: None,
                cursor: given(&self.cursor),
            }),
            _ => Err(errors),
        }
    }
}

fn form(person: &Person, row: &DestinationRow, asked: &Asked, errors: &Errors) -> FormPage {
    let moment = || Input::Line("datetime-local");
    FormPage {
        shell: person.shell(Section::Destinations),
        title: format!("Replay to {}", row.name),
        up: Some((format!("/admin/destinations/{}", row.id), "The destination")),
        action: format!("/admin/destinations/{}/replay", row.id),
        above: errors.above(&["since", "until", "topics"]).map(str::to_owned),
        intro: Some(
            "Messages that were accepted in this time are sent to it again, whether it took them or not. They are \
             counted first."
                .into(),
        ),
        fields: vec![
            Field::new("since", "From", moment(), &asked.since, errors),
            Field::new("until", "Until", moment(), &asked.until, errors).optional().hint("Empty: until now."),
            Field::line("topics", "Topic", &asked.topics, errors)
                .optional()
                .hint("* stands for one word, ** for any. Empty: all that it takes."),
        ],
        button: "Count them",
        grave: false,
    }
}

fn report(person: &Person, row: &DestinationRow, asked: &Asked, ask: &ReplayMessages, done: &Replayed) -> WorkPage {
    let more = done.next.is_some();
    let sent = grouped(&done.sent);
    let (title, text, button) = match (ask.dry_run, more) {
        (true, _) if done.sent == 0 && !more => (
            format!("Nothing to replay to {}", row.name),
            "No message of this time is for it. Choose another time.".to_owned(),
            None,
        ),
        (true, _) => (
            format!("Replay to {}?", row.name),
            format!("{}{sent} messages would be sent again.", if more { "At least " } else { "" }),
            Some("Send them again"),
        ),
        (false, true) => (
            format!("Replaying to {}", row.name),
            format!("{sent} messages were given to be sent again so far; there are more."),
            Some("Go on"),
        ),
        (false, false) => (
            format!("Replayed to {}", row.name),
            format!("{sent} messages were given to be sent again. They are under way."),
            None,
        ),
    };
    let shown = |at: Option<Timestamp>| at.map_or_else(|| "now".to_owned(), |at| at.to_string());
    // What was counted is not where sending begins.
    let cursor = if ask.dry_run { String::new() } else { done.next.clone().unwrap_or_default() };
    let so_far = if ask.dry_run { String::new() } else { done.sent.to_string() };
    // "Until now" stays the same now, however long it takes.
    let until = if asked.until.trim().is_empty() { person.now.to_string() } else { asked.until.clone() };
    WorkPage {
        shell: person.shell(Section::Destinations),
        title,
        up: (format!("/admin/destinations/{}", row.id), "The destination"),
        above: None,
        text,
        facts: vec![("From", ask.since.to_string()), ("Until", shown(ask.until)), ("Topic", topic(ask))],
        step: button.map(|button| Step {
            action: format!("/admin/destinations/{}/replay", row.id),
            hidden: vec![
                ("since", asked.since.clone()),
                ("until", until),
                ("topics", asked.topics.clone()),
                ("sure", "yes".into()),
                ("cursor", cursor),
                ("so_far", so_far),
            ],
            fields: Vec::new(),
            button,
            grave: false,
        }),
    }
}

fn topic(ask: &ReplayMessages) -> String {
    ask.topics.as_ref().map_or_else(|| "all that it takes".to_owned(), ToString::to_string)
}
