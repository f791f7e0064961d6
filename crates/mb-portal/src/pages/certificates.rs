//! The list of certificates.

use std::time::Duration;

use askama::Template;
use mb_api::dto::{CertificateRow, CertificateStatus};
use mb_api::{PageQuery, Query};
use mb_core::Timestamp;

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
    now: Timestamp,
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
    let found = person.client.certificates(&query).await?;
    let paging = Paging::new("/admin/certificates", &[], &place, found.next.as_deref());
    let now = person.now;
    page(&CertificatesPage { shell: person.shell(Section::Certificates), rows: found.data, paging, now })
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
