//! The list of messages, with filters that stay in the address.

use askama::Template;
use mb_api::dto::{MessageQuery, MessageRow, SecretText};
use mb_api::{ClientError, Page, Query};
use mb_core::{ClientName, MessageIdPrefix, MessageState, Topic, submission};

use crate::errors::Errors;
use crate::field::{Choice, Field, Input};
use crate::paging::{Paging, Place};
use crate::person::Person;
use crate::respond::{mend, page};
use crate::shell::{Section, Shell};
use crate::stop::Answer;
use crate::zone::Zone;

/// How many empty pages are passed over.
const MAX_EMPTY: u32 = 5;

#[derive(Template)]
#[template(path = "messages.html")]
#[expect(clippy::struct_excessive_bools, reason = "each says which of its own sentences the page shows")]
struct MessagesPage {
    shell: Shell,
    above: Option<String>,
    fields: Vec<Field>,
    rows: Vec<MessageRow>,
    paging: Paging,
    admin: bool,
    filtered: bool,
    /// Whether nothing was looked for, because something is wrong with the filter.
    failed: bool,
    /// Whether there is a client whose messages could be here.
    bound: bool,
    /// Where the rows come from while they are brought up to date.
    tail: Option<String>,
    /// The same page with the live tail switched over.
    switch: String,
    /// The filter, for the form that exports what it finds.
    pairs: Vec<(&'static str, String)>,
}

/// The filters as the form sends them: what is empty is no filter.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Filter {
    status: String,
    from: String,
    to: String,
    topic: String,
    sender: String,
    client_id: String,
    q: String,
    limit: String,
    live: String,
    cursor: String,
    back: String,
}

pub(crate) async fn get(person: Person, Query(filter): Query<Filter>) -> Answer {
    let admin = person.is_admin();
    let bound = admin || person.profile().client_id.is_some();
    // What is live begins at the newest.
    let place = if filter.live == "on" { Place::default() } else { Place::new(&filter.cursor, &filter.back) };
    let (query, mut errors) = filter.parse(&place, &person.zone());
    let found = match (errors.is_empty(), bound) {
        (true, true) => match search(&person, query).await {
            Ok(found) => Some(found),
            Err(error) => {
                errors = Errors::from_refusal(error)?;
                None
            }
        },
        _ => None,
    };
    let (rows, next) = found.map(|found| (found.data, found.next)).unwrap_or_default();
    let pairs = filter.pairs();
    let live = filter.live == "on" && errors.is_empty() && bound;
    let view = MessagesPage {
        shell: person.shell(Section::Messages),
        above: errors.above(&pairs.map(|(name, _)| name)).map(str::to_owned),
        fields: filter.fields(&errors, admin),
        rows,
        paging: Paging::new("/messages", &pairs, &place, next.as_deref().filter(|_| !live)),
        tail: live.then(|| filter.address("/messages/stream", &[])),
        switch: filter.address("/messages", if live { &[] } else { &[("live", "on")] }),
        pairs: pairs
            .iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| (*name, (*text).to_owned()))
            .collect(),
        admin,
        filtered: pairs.iter().any(|(name, value)| *name != "limit" && !value.is_empty()),
        failed: !errors.is_empty(),
        bound,
    };
    if errors.is_empty() { page(&view) } else { mend(&view) }
}

/// A page of a narrow filter may hold nothing and still name a next one: looks a few pages on before it shows that.
async fn search(person: &Person, mut query: MessageQuery) -> Result<Page<MessageRow>, ClientError> {
    for _ in 1..MAX_EMPTY {
        let found = person.client.messages(&query).await?;
        if !found.data.is_empty() || found.next.is_none() {
            return Ok(found);
        }
        query.cursor = found.next;
    }
    person.client.messages(&query).await
}

impl Filter {
    fn pairs(&self) -> [(&'static str, &str); 8] {
        [
            ("status", &self.status),
            ("from", &self.from),
            ("to", &self.to),
            ("topic", &self.topic),
            ("sender", &self.sender),
            ("client_id", &self.client_id),
            ("q", &self.q),
            ("limit", &self.limit),
        ]
    }

    /// The address of this filter's first page at `path`, with more.
    pub(super) fn address(&self, path: &str, more: &[(&str, &str)]) -> String {
        Paging::address(path, &[&self.pairs()[..], more].concat())
    }

    pub(super) fn parse(&self, place: &Place, zone: &Zone) -> (MessageQuery, Errors) {
        let mut errors = Errors::default();
        let query = MessageQuery {
            status: given(&self.status, "status", "Choose a status", &mut errors, MessageState::parse),
            from: given(&self.from, "from", "Enter a day and a time", &mut errors, |text| zone.read(text)),
            to: given(&self.to, "to", "Enter a day and a time", &mut errors, |text| zone.read(text)),
            topic: given(&self.topic, "topic", "A topic is words with dots between them", &mut errors, Topic::parse),
            sender: given(&self.sender, "sender", "Enter the whole number, +49...", &mut errors, number),
            client_id: given(&self.client_id, "client_id", "No client has such a name", &mut errors, ClientName::parse),
            domain: None,
            q: given(&self.q, "q", "No message id begins so", &mut errors, MessageIdPrefix::parse),
            limit: given(&self.limit, "limit", "Choose a number", &mut errors, |text| text.parse().ok()),
            cursor: place.cursor.clone(),
        };
        (query, errors)
    }

    fn fields(&self, errors: &Errors, admin: bool) -> Vec<Field> {
        let states = Choice::any_of("Any", MessageState::ALL.iter().map(|state| state.as_str()));
        let moment = || Input::Line("datetime-local");
        let mut fields = vec![
            Field::new("status", "Status", Input::Choice(states), &self.status, errors),
            Field::new("from", "From", moment(), &self.from, errors),
            Field::new("to", "Until", moment(), &self.to, errors),
            Field::line("topic", "Topic", &self.topic, errors),
            Field::new("sender", "Sender, whole number", Input::Line("tel"), &self.sender, errors),
        ];
        if admin {
            fields.push(Field::line("client_id", "Client", &self.client_id, errors));
        }
        fields.push(Field::line("q", "Id begins with", &self.q, errors));
        let limits = ["25", "50", "100", "250"].map(|limit| Choice::new(limit, limit)).to_vec();
        let limit = if self.limit.is_empty() { "50" } else { &self.limit };
        fields.push(Field::new("limit", "Per page", Input::Choice(limits), limit, errors));
        fields.into_iter().map(|field| Field { required: false, quiet: true, ..field }).collect()
    }
}

/// A filter, if it is set and reads as one.
fn given<T>(
    text: &str,
    name: &str,
    complaint: &str,
    errors: &mut Errors,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let text = text.trim();
    if text.is_empty() { None } else { errors.need(name, parse(text), complaint) }
}

fn number(text: &str) -> Option<SecretText> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '/' | '(' | ')')).collect();
    submission::is_e164(&plain).then(|| SecretText::new(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_filters_are_none_and_wrong_ones_are_named() {
        let (query, errors) = Filter::default().parse(&Place::default(), &Zone::default());
        assert!(errors.is_empty() && query.status.is_none() && query.limit.is_none());
        let filter = Filter { status: "lost".into(), sender: "123".into(), q: "xyz".into(), ..Filter::default() };
        let (_, errors) = filter.parse(&Place::default(), &Zone::default());
        for name in ["status", "sender", "q"] {
            assert!(errors.of(name).is_some(), "{name}");
        }
        assert_eq!(errors.of("topic"), None);
    }

    #[test]
    fn a_number_is_read_as_people_write_it() {
        let number = number("+49 151 123-456 78").expect("a number");
        assert_eq!(number.secret().expose(), "+4915112345678");
    }
}
