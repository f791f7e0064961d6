//! One domain: its rules.

use axum::extract::Path;
use mb_api::dto::DomainSettings;
use mb_core::{DomainName, SenderRule};

use super::client::number;
use crate::errors::Errors;
use crate::field::{Choice, Field, Input, spoken};
use crate::flash::Flash;
use crate::form::Form;
use crate::form_page::FormPage;
use crate::person::{Admin, Person};
use crate::respond::{done, mend, page};
use crate::shell::Section;
use crate::stop::{Answer, Stop};

/// The rules as they are typed.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Rules {
    sender_number: String,
    body_limit: String,
    rate_limit: String,
    retention_days: String,
    body_retention_days: String,
}

pub(crate) async fn get(Admin(person): Admin, Path(id): Path<String>) -> Answer {
    let domain = person.client.domain(&name_of(&id)?).await?;
    page(&form(&person, &domain.id, &Rules::of(domain.settings), &Errors::default()))
}

pub(crate) async fn post(Admin(person): Admin, Path(id): Path<String>, Form(rules): Form<Rules>) -> Answer {
    let name = name_of(&id)?;
    let errors = match rules.parse() {
        Ok(settings) => match person.client.set_domain(&name, &settings).await {
            Ok(()) => return Ok(done("/admin/domains", Flash::DomainChanged)),
            Err(error) => Errors::from_refusal(error)?,
        },
        Err(errors) => errors,
    };
    mend(&form(&person, &name, &rules, &errors))
}

fn name_of(text: &str) -> Result<DomainName, Stop> {
    DomainName::parse(text).ok_or_else(Stop::not_found)
}

impl Rules {
    /// The names of its fields.
    pub(super) const NAMES: [&'static str; 5] =
        ["sender_number", "body_limit", "rate_limit", "retention_days", "body_retention_days"];

    /// As a form shows them.
    pub(super) fn of(settings: DomainSettings) -> Self {
        let shown = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
        Self {
            sender_number: settings.sender_number.as_str().into(),
            body_limit: settings.body_limit.to_string(),
            rate_limit: shown(settings.rate_limit),
            retention_days: shown(settings.retention_days),
            body_retention_days: shown(settings.body_retention_days),
        }
    }

    /// As the main server takes them; their bounds it holds itself.
    pub(super) fn parse(&self) -> Result<DomainSettings, Errors> {
        let mut errors = Errors::default();
        let sender_number = errors.need("sender_number", SenderRule::parse(&self.sender_number), "Choose one");
        let body_limit = errors.need("body_limit", self.body_limit.trim().parse().ok(), "Enter a whole number");
        let mut whole = |text: &str, name: &str| {
            number(text, name).unwrap_or_else(|_| {
                errors.add(name, "Enter a whole number, or nothing");
                None
            })
        };
        let (rate_limit, retention_days) =
            (whole(&self.rate_limit, "rate_limit"), whole(&self.retention_days, "retention_days"));
        let body_retention_days = whole(&self.body_retention_days, "body_retention_days");
        match (sender_number, body_limit) {
            (Some(sender_number), Some(body_limit)) if errors.is_empty() => {
                Ok(DomainSettings { sender_number, body_limit, rate_limit, retention_days, body_retention_days })
            }
            _ => Err(errors),
        }
    }

    /// The form's fields.
    pub(super) fn fields(&self, errors: &Errors) -> Vec<Field> {
        let senders = SenderRule::ALL.iter().map(|rule| Choice::new(rule.as_str(), spoken(rule.as_str()))).collect();
        let number = || Input::Line("number");
        vec![
            Field::new("sender_number", "Sender's number", Input::Choice(senders), &self.sender_number, errors),
            Field::new("body_limit", "Characters in a body, at most", number(), &self.body_limit, errors),
            Field::new("rate_limit", "Messages per minute and client", number(), &self.rate_limit, errors)
                .optional()
                .hint("Empty: as the proxies have it. 0: no limit."),
            Field::new("retention_days", "Days that messages are kept", number(), &self.retention_days, errors)
                .optional()
                .hint("30 or more. Empty: as set for all."),
            Field::new(
                "body_retention_days",
                "Days that their contents are kept",
                number(),
                &self.body_retention_days,
                errors,
            )
            .optional()
            .hint("Empty: as set for all."),
        ]
    }
}

fn form(person: &Person, name: &DomainName, rules: &Rules, errors: &Errors) -> FormPage {
    FormPage {
        shell: person.shell(Section::Domains),
        title: format!("Domain {name}"),
        up: Some(("/admin/domains".into(), "Domains")),
        action: format!("/admin/domains/{name}"),
        above: errors.above(&Rules::NAMES).map(str::to_owned),
        intro: Some("What holds for the messages of its clients.".into()),
        fields: rules.fields(errors),
        button: "Save the rules",
        grave: false,
    }
}
