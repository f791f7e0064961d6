//! For how long things are kept, and the form that sets it for all.

use askama::Template;
use mb_api::dto::{RetentionSettings, RetentionTerms};

use crate::errors::Errors;
use crate::field::{Field, Input};
use crate::flash::Flash;
use crate::form::Form;
use crate::person::{Admin, Person};
use crate::respond::{done, mend, page};
use crate::shell::{Section, Shell};
use crate::stop::{Answer, Stop};

#[derive(Template)]
#[template(path = "retention.html")]
struct RetentionPage {
    shell: Shell,
    above: Option<String>,
    terms: RetentionTerms,
    fields: Vec<Field>,
}

/// Days as they are typed.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "they are the names of the form's fields")]
pub(crate) struct Days {
    body_days: String,
    metadata_days: String,
    audit_days: String,
}

pub(crate) async fn get(Admin(person): Admin) -> Answer {
    page(&view(&person, None, &Errors::default()).await?)
}

pub(crate) async fn post(Admin(person): Admin, Form(days): Form<Days>) -> Answer {
    let errors = match days.parse() {
        Ok(settings) => match person.client.set_retention(&settings).await {
            Ok(()) => return Ok(done("/admin/retention", Flash::RetentionSet)),
            Err(error) => Errors::from_refusal(error)?,
        },
        Err(errors) => errors,
    };
    mend(&view(&person, Some(days), &errors).await?)
}

impl Days {
    const NAMES: [&'static str; 3] = ["body_days", "metadata_days", "audit_days"];

    fn of(settings: RetentionSettings) -> Self {
        Self {
            body_days: settings.body_days.to_string(),
            metadata_days: settings.metadata_days.to_string(),
            audit_days: settings.audit_days.to_string(),
        }
    }

    /// As the main server takes them; their bounds it holds itself.
    fn parse(&self) -> Result<RetentionSettings, Errors> {
        let mut errors = Errors::default();
        let mut whole =
            |text: &str, name: &str| errors.need(name, text.trim().parse().ok(), "Enter a whole number of days");
        let days = (
            whole(&self.body_days, "body_days"),
            whole(&self.metadata_days, "metadata_days"),
            whole(&self.audit_days, "audit_days"),
        );
        match days {
            (Some(body_days), Some(metadata_days), Some(audit_days)) => {
                Ok(RetentionSettings { body_days, metadata_days, audit_days })
            }
            _ => Err(errors),
        }
    }

    fn fields(&self, errors: &Errors) -> Vec<Field> {
        let days = || Input::Line("number");
        vec![
            Field::new("body_days", "Contents of messages, days", days(), &self.body_days, errors)
                .hint("Text, number and metadata. What is known of a message besides stays."),
            Field::new("metadata_days", "Messages as such, days", days(), &self.metadata_days, errors)
                .hint("30 at least: until then a repeat is recognised."),
            Field::new("audit_days", "The audit log, days", days(), &self.audit_days, errors),
        ]
    }
}

async fn view(person: &Person, typed: Option<Days>, errors: &Errors) -> Result<RetentionPage, Stop> {
    let terms = person.client.retention().await?;
    let days = typed.unwrap_or_else(|| Days::of(terms.settings));
    Ok(RetentionPage {
        shell: person.shell(Section::Retention),
        above: errors.above(&Days::NAMES).map(str::to_owned),
        fields: days.fields(errors),
        terms,
    })
}
