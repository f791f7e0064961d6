//! A new certificate and, this once, its key.
//!
//! It is the answer to the form itself: nobody keeps the key for another request, so that any portal can be asked, and one
//! that stops loses nothing.

use askama::Template;
use mb_api::dto::GeneratedCertificate;
use mb_core::ClientName;

use crate::certificate_files::Download;
use crate::person::Person;
use crate::shell::{Section, Shell};

#[derive(Template)]
#[template(path = "certificate_issued.html")]
pub(super) struct IssuedPage {
    shell: Shell,
    name: ClientName,
    issued: GeneratedCertificate,
    downloads: Vec<Download>,
    archive: Download,
    pkcs12: Option<Download>,
}

impl IssuedPage {
    pub(super) fn new(person: &Person, name: ClientName, issued: GeneratedCertificate) -> Self {
        Self {
            shell: person.shell(Section::Certificates),
            downloads: Download::each(name.as_str(), &issued),
            archive: Download::archive(name.as_str(), &issued),
            pkcs12: Download::pkcs12(name.as_str(), &issued),
            name,
            issued,
        }
    }

    fn key(&self) -> &str {
        self.issued.private_key.secret().expose()
    }

    /// What opens the PKCS#12 file.
    fn password(&self) -> Option<&str> {
        self.issued.pkcs12.as_ref().map(|file| file.password.secret().expose().as_str())
    }
}
