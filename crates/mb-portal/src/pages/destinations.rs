//! The list of destinations: where messages go.

use askama::Template;
use mb_api::Query;
use mb_api::dto::{DestinationQuery, DestinationRow};
use mb_core::delivery::BreakerState;
use mb_core::{DestinationKind, DestinationState, DomainName};

use super::domains::domain_field;
use crate::errors::Errors;
use crate::field::Field;
use crate::paging::{Paging, Place};
use crate::person::Admin;
use crate::respond::{mend, page};
use crate::shell::{Section, Shell};
use crate::stop::Answer;

#[derive(Template)]
#[template(path = "destinations.html")]
struct DestinationsPage {
    shell: Shell,
    above: Option<String>,
    domain: Field,
    rows: Vec<DestinationRow>,
    paging: Paging,
    filtered: bool,
}

/// The filters as the form sends them.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Filter {
    domain: String,
    cursor: String,
    back: String,
}

pub(crate) async fn get(Admin(person): Admin, Query(filter): Query<Filter>) -> Answer {
    let place = Place::new(&filter.cursor, &filter.back);
    let mut errors = Errors::default();
    let given = filter.domain.trim();
    let domain = (!given.is_empty())
        .then(|| errors.need("domain", DomainName::parse(given), "No domain has such a name"))
        .flatten();
    let query = DestinationQuery { domain, cursor: place.cursor.clone(), ..DestinationQuery::default() };
    let found = if errors.is_empty() { Some(person.client.destinations(&query).await?) } else { None };
    let (rows, next) = found.map(|found| (found.data, found.next)).unwrap_or_default();
    let field = domain_field(&person, Some("Any"), given, &errors).await?;
    let view = DestinationsPage {
        shell: person.shell(Section::Destinations),
        above: errors.above(&["domain"]).map(str::to_owned),
        domain: Field { required: false, quiet: true, ..field },
        rows,
        paging: Paging::new("/admin/destinations", &[("domain", given)], &place, next.as_deref()),
        filtered: !given.is_empty(),
    };
    if errors.is_empty() { page(&view) } else { mend(&view) }
}

/// How a destination stands: the badge's tone and word.
pub(super) fn standing(row: &DestinationRow) -> (&'static str, &'static str) {
    match (row.state, row.breaker) {
        (DestinationState::Disabled, _) if row.state_reason.is_some() => ("failed", "disabled"),
        (DestinationState::Disabled, _) => ("cancelled", "disabled"),
        (DestinationState::Paused, _) => ("warning", "paused"),
        (DestinationState::Enabled, BreakerState::Open) => ("failed", "does not answer"),
        (DestinationState::Enabled, BreakerState::HalfOpen) => ("warning", "being tried"),
        (DestinationState::Enabled, BreakerState::Closed) => ("delivered", "enabled"),
    }
}

/// Names with commas between them.
pub(super) fn listed(names: &[impl ToString]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// How messages get there, in words.
const fn way(kind: DestinationKind) -> &'static str {
    match kind {
        DestinationKind::Webhook => "webhook",
        DestinationKind::Pull => "fetched by a consumer",
    }
}
