//! Issuing a certificate. Its key is shown once, on the page that the answer is.

use mb_api::dto::GenerateCertificate;
use mb_core::{ClientName, DomainName, Role};

use super::certificate_issued::IssuedPage;
use super::client::number;
use crate::errors::Errors;
use crate::field::{Choice, Field, Input, spoken};
use crate::form::Form;
use crate::form_page::FormPage;
use crate::person::{Admin, Person};
use crate::respond::{mend, page};
use crate::shell::Section;
use crate::stop::Answer;

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    client_id: String,
    role: String,
    domain: String,
    validity_days: String,
    alt_names: String,
    pkcs12: String,
}

pub(crate) async fn get(Admin(person): Admin) -> Answer {
    let asked = Asked { role: Role::Client.as_str().into(), ..Asked::default() };
    page(&form(&person, &asked, &Errors::default()))
}

pub(crate) async fn post(Admin(person): Admin, Form(asked): Form<Asked>) -> Answer {
    let ask = match asked.parse() {
        Ok(ask) => ask,
        Err(errors) => return mend(&form(&person, &asked, &errors)),
    };
    match person.client.generate_certificate(&ask).await {
        Ok(certificate) => page(&IssuedPage::new(&person, ask.client_id, certificate)),
        Err(error) => mend(&form(&person, &asked, &Errors::from_refusal(error)?)),
    }
}

impl Asked {
    fn parse(&self) -> Result<GenerateCertificate, Errors> {
        let mut errors = Errors::default();
        let complaint = "Lower-case letters, digits, dots, hyphens and underscores; a letter or digit first";
        let client_id = errors.need("client_id", ClientName::parse(self.client_id.trim()), complaint);
        let role = errors.need("role", Role::parse(&self.role), "Choose a role");
        let domain = self.domain.trim();
        let domain = if domain.is_empty() { None } else { errors.need("domain", DomainName::parse(domain), complaint) };
        let validity_days = number(&self.validity_days, "validity_days").unwrap_or_else(|_| {
            errors.add("validity_days", "Enter a whole number of days, or nothing");
            None
        });
        let alt_names = self.alt_names.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        match client_id {
            Some(client_id) if errors.is_empty() => Ok(GenerateCertificate {
                client_id,
                domain,
                validity_days,
                role,
                alt_names,
                pkcs12: self.pkcs12 == "yes",
            }),
            _ => Err(errors),
        }
    }
}

/// In which files certificate and key come.
pub(super) fn packing(value: &str, errors: &Errors) -> Field {
    let ways = vec![Choice::new("", "PEM files"), Choice::new("yes", "PEM files and one PKCS#12 file")];
    Field::new("pkcs12", "As", Input::Choice(ways), value, errors)
        .hint("PKCS#12 is what Windows, Java and browsers import.")
}

fn form(person: &Person, asked: &Asked, errors: &Errors) -> FormPage {
    let roles = Role::ALL.iter().map(|role| Choice::new(role.as_str(), spoken(role.as_str()))).collect();
    FormPage {
        shell: person.shell(Section::Certificates),
        title: "Issue a certificate".into(),
        up: Some(("/admin/certificates".into(), "Certificates")),
        action: "/admin/certificates/new".into(),
        above: errors
            .above(&["client_id", "role", "domain", "validity_days", "alt_names", "pkcs12"])
            .map(str::to_owned),
        intro: Some("Certificate and key are shown once, on the next page. Nobody keeps the key here.".into()),
        fields: vec![
            Field::line("client_id", "Name", &asked.client_id, errors)
                .hint("The client's name, for instance branch-7. A new client is added by it."),
            Field::new("role", "Role", Input::Choice(roles), &asked.role, errors)
                .hint("Client: submits messages. Consumer: fetches them. The others are components."),
            Field::line("domain", "Domain", &asked.domain, errors)
                .optional()
                .hint("For clients and consumers: their tenant, added if it is new. Empty: the default one."),
            Field::new("validity_days", "Days", Input::Line("number"), &asked.validity_days, errors)
                .optional()
                .hint("Until it expires. Empty: one year."),
            Field::line("alt_names", "Other names and addresses", &asked.alt_names, errors)
                .optional()
                .hint("For components that serve: host names and addresses, with commas between them."),
            packing(&asked.pkcs12, errors),
        ],
        button: "Issue the certificate",
        grave: false,
    }
}
