//! A new certificate and key for a name that has one. The key is shown once, on the page that the answer is.

use mb_api::Query;
use mb_api::dto::RenewCertificate;
use mb_core::ClientName;

use super::certificate_issue::packing;
use super::certificate_issued::IssuedPage;
use super::client::number;
use crate::errors::Errors;
use crate::field::{Field, Input};
use crate::form::Form;
use crate::form_page::FormPage;
use crate::person::{Admin, Person};
use crate::respond::{mend, page};
use crate::shell::Section;
use crate::stop::{Answer, Stop};

/// Whose certificate.
#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Named {
    name: String,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    validity_days: String,
    pkcs12: String,
}

pub(crate) async fn get(Admin(person): Admin, Query(Named { name }): Query<Named>) -> Answer {
    page(&form(&person, &name_of(&name)?, &Asked::default(), &Errors::default()))
}

pub(crate) async fn post(
    Admin(person): Admin,
    Query(Named { name }): Query<Named>,
    Form(asked): Form<Asked>,
) -> Answer {
    let name = name_of(&name)?;
    let validity_days = match number(&asked.validity_days, "validity_days") {
        Ok(days) => days,
        Err(errors) => return mend(&form(&person, &name, &asked, &errors)),
    };
    let ask = RenewCertificate { client_id: name.clone(), role: None, validity_days, pkcs12: asked.pkcs12 == "yes" };
    match person.client.reissue_certificate(&ask).await {
        Ok(certificate) => page(&IssuedPage::new(&person, name, certificate)),
        Err(error) => mend(&form(&person, &name, &asked, &Errors::from_refusal(error)?)),
    }
}

fn name_of(text: &str) -> Result<ClientName, Stop> {
    ClientName::parse(text).ok_or_else(Stop::not_found)
}

fn form(person: &Person, name: &ClientName, asked: &Asked, errors: &Errors) -> FormPage {
    FormPage {
        shell: person.shell(Section::Certificates),
        title: format!("Renew the certificate of {name}"),
        up: Some(("/admin/certificates".into(), "Certificates")),
        action: format!("/admin/certificates/renew?name={name}"),
        above: errors.above(&["validity_days", "pkcs12"]).map(str::to_owned),
        intro: Some(
            "It gets a new key and a certificate that says the same. The one before stays good until it expires or is \
             revoked, so that its holder can change over. Certificate and key are shown once, on the next page."
                .into(),
        ),
        fields: vec![
            Field::new("validity_days", "Days", Input::Line("number"), &asked.validity_days, errors)
                .optional()
                .hint("Until it expires. Empty: as long as the one before."),
            packing(&asked.pkcs12, errors),
        ],
        button: "Renew it",
        grave: false,
    }
}
