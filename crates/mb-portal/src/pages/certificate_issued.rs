//! A new certificate and, this once, its key.

use std::time::Instant;

use askama::Template;
use axum::extract::{Path, State};
use mb_api::dto::GeneratedCertificate;
use mb_core::ClientName;

use crate::Portal;
use crate::certificate_files::Download;
use crate::flash::Flash;
use crate::handing_out::Issued;
use crate::person::Admin;
use crate::respond::{done, page};
use crate::shell::{Section, Shell};
use crate::stop::Answer;

#[derive(Template)]
#[template(path = "certificate_issued.html")]
struct IssuedPage {
    shell: Shell,
    name: ClientName,
    issued: GeneratedCertificate,
    downloads: Vec<Download>,
    archive: Download,
    pkcs12: Option<Download>,
}

impl IssuedPage {
    fn key(&self) -> &str {
        self.issued.private_key.secret().expose()
    }

    /// What opens the PKCS#12 file.
    fn password(&self) -> Option<&str> {
        self.issued.pkcs12.as_ref().map(|file| file.password.secret().expose().as_str())
    }
}

/// The page, or the list if it was shown before: loading it again shows nothing and issues nothing.
pub(crate) async fn get(State(portal): State<Portal>, Admin(person): Admin, Path(id): Path<String>) -> Answer {
    let Some(issued) = portal.certificates.take(person.profile().id, &id, Instant::now()) else {
        return Ok(done("/admin/certificates", Flash::CertificateShown));
    };
    let Issued { name, certificate } = issued;
    page(&IssuedPage {
        shell: person.shell(Section::Certificates),
        downloads: Download::each(name.as_str(), &certificate),
        archive: Download::archive(name.as_str(), &certificate),
        pkcs12: Download::pkcs12(name.as_str(), &certificate),
        name,
        issued: certificate,
    })
}
