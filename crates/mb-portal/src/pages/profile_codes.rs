//! New recovery codes in place of the old ones.

use askama::Template;
use mb_api::dto::{BothFactors, RecoveryCodes, SecretText};

use super::profile_two_factor::{any_code, digits};
use crate::errors::Errors;
use crate::field::Field;
use crate::form::Form;
use crate::form_page::FormPage;
use crate::person::Person;
use crate::respond::{mend, page};
use crate::shell::{Section, Shell};
use crate::stop::Answer;

/// The codes, this once.
#[derive(Template)]
#[template(path = "recovery_codes.html")]
pub(super) struct CodesPage {
    shell: Shell,
    codes: RecoveryCodes,
}

impl CodesPage {
    pub(super) fn new(person: &Person, codes: RecoveryCodes) -> Self {
        Self { shell: person.shell(Section::Profile), codes }
    }
}

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Proof {
    current_password: SecretText,
    otp: SecretText,
}

pub(crate) async fn get(person: Person) -> Answer {
    page(&form(&person, &Errors::default()))
}

pub(crate) async fn post(person: Person, Form(Proof { current_password, otp }): Form<Proof>) -> Answer {
    match person.client.recovery_codes(&BothFactors { current_password, otp: digits(&otp) }).await {
        Ok(codes) => page(&CodesPage::new(&person, codes)),
        Err(error) => mend(&form(&person, &Errors::from_refusal(error)?)),
    }
}

fn form(person: &Person, errors: &Errors) -> FormPage {
    FormPage {
        shell: person.shell(Section::Profile),
        title: "New recovery codes".into(),
        up: Some(("/profile".into(), "Profile")),
        action: "/profile/recovery-codes".into(),
        above: errors.above(&["current_password", "otp"]).map(str::to_owned),
        intro: Some("The old codes are void from then on.".into()),
        fields: vec![
            Field::password("current_password", "Current password", "current-password", errors),
            any_code(errors),
        ],
        button: "Make new codes",
        grave: false,
    }
}
