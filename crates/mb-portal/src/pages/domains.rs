//! The list of domains: the tenants.

use askama::Template;
use mb_api::dto::DomainRow;
use mb_api::{PageQuery, Query};

use crate::paging::{Paging, Place};
use crate::person::Admin;
use crate::respond::page;
use crate::shell::{Section, Shell};
use crate::stop::Answer;

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
