//! Letting a client make its own key: a token that it gets a certificate for. It is shown once, on the page that the
//! answer is.
//!
//! The address has no client's name in it, because a client may be called anything that a page is called.

use mb_api::Query;
use mb_api::dto::CreateEnrolment;
use mb_core::{ClientName, DomainName, Role};

use super::client::number;
use super::enrolment::EnrolmentPage;
use crate::errors::Errors;
use crate::field::{Choice, Field, Input, spoken};
use crate::form::Form;
use crate::form_page::FormPage;
use crate::person::{Admin, Person};
use crate::respond::{mend, page};
use crate::shell::Section;
use crate::stop::Answer;

/// How long a token may be good: minutes, and what is read for them.
const LIFETIMES: [(&str, &str); 4] = [("60", "1 hour"), ("1440", "1 day"), ("10080", "7 days"), ("43200", "30 days")];

/// What a token may stand for; those that rule the others get their certificates at the main server.
const ROLES: [Role; 6] = [Role::Client, Role::Consumer, Role::Proxy, Role::Worker, Role::Portal, Role::Monitoring];

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    client_id: String,
    role: String,
    domain: String,
    validity_days: String,
    token_minutes: String,
}

pub(crate) async fn get(Admin(person): Admin, Query(mut asked): Query<Asked>) -> Answer {
    if asked.token_minutes.is_empty() {
        LIFETIMES[1].0.clone_into(&mut asked.token_minutes);
    }
    page(&form(&person, &asked, &Errors::default()))
}

pub(crate) async fn post(Admin(person): Admin, Form(asked): Form<Asked>) -> Answer {
    let (name, ask) = match asked.parse() {
        Ok(ask) => ask,
        Err(errors) => return mend(&form(&person, &asked, &errors)),
    };
    match person.client.offer_enrolment(&name, &ask).await {
        Ok(offered) => page(&EnrolmentPage::new(&person, name, offered)),
        Err(error) => mend(&form(&person, &asked, &Errors::from_refusal(error)?)),
    }
}

impl Asked {
    fn parse(&self) -> Result<(ClientName, CreateEnrolment), Errors> {
        let mut errors = Errors::default();
        let complaint = "Lower-case letters, digits, dots, hyphens and underscores; a letter or digit first";
        let name = errors.need("client_id", ClientName::parse(self.client_id.trim()), complaint);
        let role = errors.need("role", Role::parse(&self.role), "Choose a role");
        let domain = Some(self.domain.trim()).filter(|domain| !domain.is_empty());
        let domain = domain.and_then(|domain| errors.need("domain", DomainName::parse(domain), complaint));
        let mut whole = |text: &str, name: &str| {
            number(text, name).unwrap_or_else(|_| {
                errors.add(name, "Enter a whole number, or nothing");
                None
            })
        };
        let validity_days = whole(&self.validity_days, "validity_days");
        let token_minutes = whole(&self.token_minutes, "token_minutes");
        match name {
            Some(name) if errors.is_empty() => {
                Ok((name, CreateEnrolment { domain, role, validity_days, token_minutes }))
            }
            _ => Err(errors),
        }
    }
}

fn form(person: &Person, asked: &Asked, errors: &Errors) -> FormPage {
    let roles = ROLES.map(|role| Choice::new(role.as_str(), spoken(role.as_str()))).to_vec();
    let lifetimes = LIFETIMES.map(|(minutes, words)| Choice::new(minutes, words)).to_vec();
    FormPage {
        shell: person.shell(Section::Clients),
        title: "Enrol a client".into(),
        up: Some(("/admin/clients".into(), "Clients")),
        action: "/admin/enrolments/new".into(),
        above: errors
            .above(&["client_id", "role", "domain", "validity_days", "token_minutes"])
            .map(str::to_owned),
        intro: Some(
            "The client makes its own key and gets a certificate for a one-time token. The key never leaves its machine; \
             the token is shown once, on the next page."
                .into(),
        ),
        fields: vec![
            Field::line("client_id", "Name", &asked.client_id, errors)
                .hint("For instance branch-7. A new client is added as it enrols."),
            Field::new("role", "Role", Input::Choice(roles), &asked.role, errors)
                .hint("Client: submits messages. Consumer: fetches them. The others are components."),
            Field::line("domain", "Domain", &asked.domain, errors)
                .optional()
                .hint("Its tenant, added if it is new. Empty: its own, or the default one."),
            Field::new("validity_days", "Days", Input::Line("number"), &asked.validity_days, errors)
                .optional()
                .hint("Until the certificate expires. Empty: one year."),
            Field::new("token_minutes", "The token is good for", Input::Choice(lifetimes), &asked.token_minutes, errors)
                .hint("One before it that was not used is good no more."),
        ],
        button: "Make the token",
        grave: false,
    }
}
