//! The list of certificates.

use askama::Template;
use mb_api::dto::{CertificateRow, CertificateStatus};
use mb_api::{PageQuery, Query};

use crate::paging::{Paging, Place};
use crate::person::Admin;
use crate::respond::page;
use crate::shell::{Section, Shell};
use crate::stop::Answer;
use crate::view::when;

#[derive(Template)]
#[template(path = "certificates.html")]
struct CertificatesPage {
    shell: Shell,
    rows: Vec<CertificateRow>,
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
    let found = person.client.certificates(&query).await?;
    let paging = Paging::new("/admin/certificates", &[], &place, found.next.as_deref());
    page(&CertificatesPage { shell: person.shell(Section::Certificates), rows: found.data, paging })
}

/// The badge's tone and word.
const fn shown(status: CertificateStatus) -> (&'static str, &'static str) {
    match status {
        CertificateStatus::Active => ("delivered", "active"),
        CertificateStatus::Expired => ("cancelled", "expired"),
        CertificateStatus::Revoked => ("failed", "revoked"),
    }
}
