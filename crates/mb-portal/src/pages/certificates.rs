//! The list of certificates.

use std::time::Duration;

use askama::Template;
use mb_api::dto::{CertificateRow, CertificateStatus, ExpiringQuery};
use mb_api::{PageQuery, Query};
use mb_core::{Role, Timestamp};

use crate::paging::{Paging, Place};
use crate::person::Admin;
use crate::respond::page;
use crate::shell::{Section, Shell};
use crate::stop::Answer;

/// From then on a notice tells of it, too.
const SOON: Duration = Duration::from_hours(30 * 24);

#[derive(Template)]
#[template(path = "certificates.html")]
struct CertificatesPage {
    shell: Shell,
    rows: Vec<CertificateRow>,
    paging: Paging,
    /// Only those that expire soon and were not renewed.
    expiring: bool,
    now: Timestamp,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct At {
    show: String,
    cursor: String,
    back: String,
}

pub(crate) async fn get(Admin(person): Admin, Query(at): Query<At>) -> Answer {
    let place = Place::new(&at.cursor, &at.back);
    let (expiring, cursor) = (at.show == "expiring", place.cursor.clone());
    let found = if expiring {
        person.client.expiring_certificates(&ExpiringQuery { days: None, limit: None, cursor }).await?
    } else {
        person.client.certificates(&PageQuery { limit: None, cursor }).await?
    };
    let paging = Paging::new("/admin/certificates", &[("show", &at.show)], &place, found.next.as_deref());
    let now = person.now;
    page(&CertificatesPage { shell: person.shell(Section::Certificates), rows: found.data, paging, expiring, now })
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
