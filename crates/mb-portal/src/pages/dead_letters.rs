//! The list of dead letters: what was given up, and why.

use std::collections::BTreeMap;

use askama::Template;
use mb_api::Query;
use mb_api::dto::{DeadLetterQuery, DeadLetterRow, DestinationQuery, DestinationRow};
use mb_core::{DestinationId, DomainName, MessageId};

use super::domains::domain_field;
use crate::errors::Errors;
use crate::field::{Choice, Field, Input, spoken};
use crate::paging::{Paging, Place};
use crate::person::{Admin, Person};
use crate::respond::{mend, page};
use crate::shell::{Section, Shell};
use crate::stop::{Answer, Stop};
use crate::view::plain;
use crate::zone::Zone;

/// The most destinations that are offered to choose from, and whose names are known.
const OFFERED: u32 = 250;

#[derive(Template)]
#[template(path = "dead_letters.html")]
struct DeadLettersPage {
    shell: Shell,
    above: Option<String>,
    fields: Vec<Field>,
    rows: Vec<DeadLetterRow>,
    names: Names,
    paging: Paging,
    /// The filter as a query, for what is done about all that match.
    all: String,
    filtered: bool,
    failed: bool,
}

/// The filter as forms and addresses send it.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    pub(super) domain: String,
    pub(super) destination: String,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) since: String,
}

/// Where in the list, and of what.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct At {
    domain: String,
    destination: String,
    reason: String,
    message: String,
    since: String,
    cursor: String,
    back: String,
}

pub(crate) async fn get(Admin(person): Admin, Query(at): Query<At>) -> Answer {
    let At { domain, destination, reason, message, since, cursor, back } = at;
    let filter = Filter { domain, destination, reason, message, since };
    let place = Place::new(&cursor, &back);
    let (query, errors) = filter.parse(&person.zone());
    let query = DeadLetterQuery { cursor: place.cursor.clone(), ..query };
    let found = if errors.is_empty() { Some(person.client.dead_letters(&query).await?) } else { None };
    let (rows, next) = found.map(|found| (found.data, found.next)).unwrap_or_default();
    let names = Names::of(&person).await?;
    let pairs = filter.pairs();
    let view = DeadLettersPage {
        shell: person.shell(Section::DeadLetters),
        above: errors.above(&pairs.map(|(name, _)| name)).map(str::to_owned),
        fields: filter.fields(&person, &names, &errors).await?,
        rows,
        names,
        paging: Paging::new("/admin/dead-letters", &pairs, &place, next.as_deref()),
        all: filter.query(),
        filtered: pairs.iter().any(|(_, value)| !value.trim().is_empty()),
        failed: !errors.is_empty(),
    };
    if errors.is_empty() { page(&view) } else { mend(&view) }
}

impl Filter {
    /// Its fields with what they say.
    pub(super) fn pairs(&self) -> [(&'static str, &str); 5] {
        [
            ("domain", &self.domain),
            ("destination", &self.destination),
            ("reason", &self.reason),
            ("message", &self.message),
            ("since", &self.since),
        ]
    }

    /// As the main server takes it.
    pub(super) fn parse(&self, zone: &Zone) -> (DeadLetterQuery, Errors) {
        let mut errors = Errors::default();
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let domain = given(&self.domain)
            .and_then(|text| errors.need("domain", DomainName::parse(&text), "No domain has such a name"));
        let destination = given(&self.destination).and_then(|text| {
            errors.need("destination", text.parse().ok().map(DestinationId::new), "Choose a destination")
        });
        let message = given(&self.message)
            .and_then(|text| errors.need("message", MessageId::parse(&text), "Enter a message's whole id"));
        let since =
            given(&self.since).and_then(|text| errors.need("since", zone.read(&text), "Enter a day and a time"));
        let reason = given(&self.reason).map(|text| text.replace(' ', "_"));
        (DeadLetterQuery { domain, destination, reason, message, since, limit: None, cursor: None }, errors)
    }

    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new("all=yes".to_owned());
        query.extend_pairs(self.pairs().iter().filter(|(_, value)| !value.trim().is_empty()));
        query.finish()
    }

    async fn fields(&self, person: &Person, names: &Names, errors: &Errors) -> Result<Vec<Field>, Stop> {
        let fields = [
            domain_field(person, Some("Any"), self.domain.trim(), errors).await?,
            Field::new("destination", "Destination", names.input(&self.destination), &self.destination, errors),
            Field::line("reason", "Reason", &self.reason, errors),
            Field::line("message", "Message, whole id", &self.message, errors),
            Field::new("since", "Since", Input::Line("datetime-local"), &self.since, errors),
        ];
        Ok(fields.into_iter().map(|field| Field { required: false, quiet: true, ..field }).collect())
    }
}

/// What destinations are called.
pub(super) struct Names {
    known: BTreeMap<DestinationId, DestinationRow>,
    /// Whether there are others.
    more: bool,
}

impl Names {
    /// Of the first destinations.
    pub(super) async fn of(person: &Person) -> Result<Self, Stop> {
        let query = DestinationQuery { limit: Some(OFFERED), ..DestinationQuery::default() };
        let found = person.client.destinations(&query).await?;
        let known = found.data.into_iter().map(|row| (row.id, row)).collect();
        Ok(Self { known, more: found.next.is_some() })
    }

    /// The one of this number, unless it is gone.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    pub(super) fn find(&self, id: &DestinationId) -> Option<&DestinationRow> {
        self.known.get(id)
    }

    fn input(&self, value: &str) -> Input {
        let is_known = |id: i64| self.known.contains_key(&DestinationId::new(id));
        if self.more || (!value.is_empty() && !value.parse().is_ok_and(is_known)) {
            return Input::Line("number");
        }
        let any = Choice::new("", "Any");
        let named =
            self.known.values().map(|row| Choice::new(row.id.to_string(), format!("{}/{}", row.domain, row.name)));
        Input::Choice(std::iter::once(any).chain(named).collect())
    }
}

/// Why, in words.
fn reason(word: &str) -> String {
    match word {
        "destination_disabled" => "Its destination is disabled".into(),
        "destination_deleted" => "Its destination was deleted".into(),
        "proxy_revoked" => "Its proxy's certificate was revoked".into(),
        "stale" => "Older than the horizon".into(),
        "idempotency_conflict" => "Another message has its idempotency key".into(),
        other => spoken(other),
    }
}
