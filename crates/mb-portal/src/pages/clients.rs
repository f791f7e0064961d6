//! The list of clients: who may submit.

use askama::Template;
use mb_api::Query;
use mb_api::dto::{ClientQuery, ClientRow};
use mb_core::{ClientStatus, DomainName};

use crate::errors::Errors;
use crate::field::{Choice, Field, Input};
use crate::paging::{Paging, Place};
use crate::person::Admin;
use crate::respond::{mend, page};
use crate::shell::{Section, Shell};
use crate::stop::Answer;

#[derive(Template)]
#[template(path = "clients.html")]
struct ClientsPage {
    shell: Shell,
    above: Option<String>,
    fields: Vec<Field>,
    rows: Vec<ClientRow>,
    paging: Paging,
    filtered: bool,
}

/// The filters as the form sends them.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Filter {
    status: String,
    domain: String,
    cursor: String,
    back: String,
}

pub(crate) async fn get(Admin(person): Admin, Query(filter): Query<Filter>) -> Answer {
    let place = Place::new(&filter.cursor, &filter.back);
    let (query, errors) = filter.parse(&place);
    let found = if errors.is_empty() { Some(person.client.clients(&query).await?) } else { None };
    let (rows, next) = found.map(|found| (found.data, found.next)).unwrap_or_default();
    let pairs = [("status", filter.status.as_str()), ("domain", filter.domain.as_str())];
    let view = ClientsPage {
        shell: person.shell(Section::Clients),
        above: errors.above(&["status", "domain"]).map(str::to_owned),
        fields: filter.fields(&errors),
        rows,
        paging: Paging::new("/admin/clients", &pairs, &place, next.as_deref()),
        filtered: pairs.iter().any(|(_, value)| !value.is_empty()),
    };
    if errors.is_empty() { page(&view) } else { mend(&view) }
}

impl Filter {
    fn parse(&self, place: &Place) -> (ClientQuery, Errors) {
        let mut errors = Errors::default();
        let mut query = ClientQuery { cursor: place.cursor.clone(), ..ClientQuery::default() };
        if !self.status.is_empty() {
            query.status = errors.need("status", ClientStatus::parse(&self.status), "Choose a status");
        }
        if !self.domain.trim().is_empty() {
            query.domain = errors.need("domain", DomainName::parse(self.domain.trim()), "No domain has such a name");
        }
        (query, errors)
    }

    fn fields(&self, errors: &Errors) -> Vec<Field> {
        let states = Choice::any_of("Any", ClientStatus::ALL.iter().map(|status| status.as_str()));
        let fields = [
            Field::new("status", "Status", Input::Choice(states), &self.status, errors),
            Field::line("domain", "Domain", &self.domain, errors),
        ];
        fields.into_iter().map(|field| Field { required: false, quiet: true, ..field }).collect()
    }
}

/// The badge's tone.
pub(super) const fn tone(status: ClientStatus) -> &'static str {
    match status {
        ClientStatus::Active => "delivered",
        ClientStatus::Suspended => "warning",
        ClientStatus::Archived => "cancelled",
    }
}
