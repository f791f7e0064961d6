//! The list of domains: the tenants.

use askama::Template;
use mb_api::dto::DomainRow;
use mb_api::{PageQuery, Query};

use crate::errors::Errors;
use crate::field::{Choice, Field, Input};
use crate::paging::{Paging, Place};
use crate::person::{Admin, Person};
use crate::respond::page;
use crate::shell::{Section, Shell};
use crate::stop::{Answer, Stop};

/// The most domains that are offered to choose from; where there are more, the name is typed.
const OFFERED: u32 = 100;

#[derive(Template)]
#[template(path = "domains.html")]
struct DomainsPage {
    shell: Shell,
    rows: Vec<DomainRow>,
    paging: Paging,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct At {
    cursor: String,
    back: String,
}

pub(crate) async fn get(Admin(person): Admin, Query(at): Query<At>) -> Answer {
    let place = Place::new(&at.cursor, &at.back);
    let query = PageQuery { limit: None, cursor: place.cursor.clone() };
    let found = person.client.domains(&query).await?;
    let paging = Paging::new("/admin/domains", &[], &place, found.next.as_deref());
    page(&DomainsPage { shell: person.shell(Section::Domains), rows: found.data, paging })
}

/// The field for a domain. `any` is the choice that stands for none of them.
pub(super) async fn domain_field(
    person: &Person,
    any: Option<&str>,
    value: &str,
    errors: &Errors,
) -> Result<Field, Stop> {
    let found = person.client.domains(&PageQuery { limit: Some(OFFERED), cursor: None }).await?;
    // What an address or a form brought along stays to be seen, though it is none of these.
    let known = value.is_empty() || found.data.iter().any(|row| row.id.as_str() == value);
    let input = if found.next.is_some() || !known {
        Input::Line("text")
    } else {
        let any = any.map(|any| Choice::new("", any));
        let rows = found.data.iter().map(|row| Choice::new(row.id.as_str(), row.id.as_str()));
        Input::Choice(any.into_iter().chain(rows).collect())
    };
    Ok(Field::new("domain", "Domain", input, value, errors))
}
