//! The list of certificates: of one name, of one standing, or those that expire soon.

use std::time::Duration;

use askama::Template;
use mb_api::Query;
use mb_api::dto::{CertificateQuery, CertificateRow, CertificateStatus, ExpiringQuery};
use mb_core::{ClientName, Role, Timestamp};

use crate::errors::Errors;
use crate::field::{Choice, Field, Input};
use crate::paging::{Paging, Place};
use crate::person::Admin;
use crate::respond::{mend, page};
use crate::shell::{Section, Shell};
use crate::stop::Answer;

/// From then on a notice tells of it, too.
const SOON: Duration = Duration::from_hours(30 * 24);

/// What can be asked for, in the words of the address.
const STATES: [(&str, CertificateStatus); 3] = [
    ("active", CertificateStatus::Active),
    ("expired", CertificateStatus::Expired),
    ("revoked", CertificateStatus::Revoked),
];

#[derive(Template)]
#[template(path = "certificates.html")]
struct CertificatesPage {
    shell: Shell,
    above: Option<String>,
    fields: Vec<Field>,
    rows: Vec<CertificateRow>,
    paging: Paging,
    /// Only those that expire soon and were not renewed.
    expiring: bool,
    filtered: bool,
    now: Timestamp,
}

/// The filters as the form sends them.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Filter {
    show: String,
    client_id: String,
    role: String,
    status: String,
    cursor: String,
    back: String,
}

pub(crate) async fn get(Admin(person): Admin, Query(filter): Query<Filter>) -> Answer {
    let place = Place::new(&filter.cursor, &filter.back);
    let expiring = filter.show == "expiring";
    let (query, errors) = filter.parse(&place);
    let found = if expiring {
        let query = ExpiringQuery { days: None, limit: None, cursor: place.cursor.clone() };
        Some(person.client.expiring_certificates(&query).await?)
    } else if errors.is_empty() {
        Some(person.client.certificates(&query).await?)
    } else {
        None
    };
    let (rows, next) = found.map(|found| (found.data, found.next)).unwrap_or_default();
    let asked =
        [("client_id", filter.client_id.as_str()), ("role", filter.role.as_str()), ("status", filter.status.as_str())];
    let pairs = if expiring { vec![("show", "expiring")] } else { asked.to_vec() };
    let view = CertificatesPage {
        shell: person.shell(Section::Certificates),
        above: errors.above(&["client_id", "role", "status"]).map(str::to_owned),
        fields: filter.fields(&errors),
        rows,
        paging: Paging::new("/admin/certificates", &pairs, &place, next.as_deref()),
        expiring,
        filtered: asked.iter().any(|(_, value)| !value.is_empty()),
        now: person.now,
    };
    if errors.is_empty() || expiring { page(&view) } else { mend(&view) }
}

impl Filter {
    fn parse(&self, place: &Place) -> (CertificateQuery, Errors) {
        let mut errors = Errors::default();
        let mut query = CertificateQuery { cursor: place.cursor.clone(), ..CertificateQuery::default() };
        let name = self.client_id.trim();
        if !name.is_empty() {
            query.client_id = errors.need("client_id", ClientName::parse(name), "Nobody has such a name");
        }
        if !self.role.is_empty() {
            query.role = errors.need("role", Role::parse(&self.role), "Choose a role");
        }
        if !self.status.is_empty() {
            let status = STATES.iter().find(|(word, _)| *word == self.status).map(|(_, status)| *status);
            query.status = errors.need("status", status, "Choose a status");
        }
        (query, errors)
    }

    fn fields(&self, errors: &Errors) -> Vec<Field> {
        let roles = Choice::any_of("Any", Role::ALL.iter().map(|role| role.as_str()));
        let states = Choice::any_of("Any", STATES.iter().map(|(word, _)| *word));
        let fields = [
            Field::line("client_id", "Name", &self.client_id, errors),
            Field::new("role", "Role", Input::Choice(roles), &self.role, errors),
            Field::new("status", "Status", Input::Choice(states), &self.status, errors),
        ];
        fields.into_iter().map(|field| Field { required: false, quiet: true, ..field }).collect()
    }
}

/// Why it was revoked, if anybody said so.
fn given(row: &CertificateRow) -> Option<&str> {
    row.reason.as_deref().filter(|reason| !reason.trim().is_empty())
}

/// The badge's tone and word.
fn shown(row: &CertificateRow, now: Timestamp) -> (&'static str, &'static str) {
    match row.status {
        CertificateStatus::Active if row.expires_at < now.plus(SOON) => ("warning", "expires soon"),
        CertificateStatus::Active => ("delivered", "active"),
        CertificateStatus::Expired => ("cancelled", "expired"),
        CertificateStatus::Revoked => ("failed", "revoked"),
    }
}

/// Whether another can be made under its name by renewing; components renew their own.
fn is_renewable(row: &CertificateRow) -> bool {
    let renews_itself = matches!(row.role, Role::Server | Role::Proxy | Role::Worker | Role::Portal);
    row.status == CertificateStatus::Active && !renews_itself
}
