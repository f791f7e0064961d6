//! The second factor: on by showing a code of it, off by password and code.

use askama::Template;
use mb_api::dto::{BothFactors, ConfirmTwoFactor, CurrentPassword, SecretText, TwoFactorOffer};

use super::profile_codes::CodesPage;
use crate::errors::Errors;
use crate::field::Field;
use crate::flash::Flash;
use crate::form::Form;
use crate::form_page::FormPage;
use crate::person::Person;
use crate::qr::{self, Drawing};
use crate::respond::{done, mend, page};
use crate::shell::{Section, Shell};
use crate::stop::Answer;

/// A secret to take into an app.
#[derive(Template)]
#[template(path = "two_factor.html")]
struct OfferPage {
    shell: Shell,
    above: Option<String>,
    secret: String,
    uri: String,
    drawing: Option<Drawing>,
    field: Field,
}

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Password {
    current_password: SecretText,
}

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Confirmed {
    otp: SecretText,
    /// The offer comes along, so that a mistyped code does not ask for a new one.
    secret: SecretText,
    uri: SecretText,
}

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Disabled {
    current_password: SecretText,
    otp: SecretText,
}

pub(crate) async fn get(person: Person) -> Answer {
    page(&form(&person, &Errors::default()))
}

pub(crate) async fn post(person: Person, Form(Password { current_password }): Form<Password>) -> Answer {
    match person.client.offer_two_factor(&CurrentPassword { current_password }).await {
        Ok(offer) => page(&offered(&person, &offer, &Errors::default())),
        Err(error) => mend(&form(&person, &Errors::from_refusal(error)?)),
    }
}

pub(crate) async fn confirm(person: Person, Form(form): Form<Confirmed>) -> Answer {
    match person.client.confirm_two_factor(&ConfirmTwoFactor { otp: digits(&form.otp) }).await {
        Ok(codes) => page(&CodesPage::new(&person, codes)),
        Err(error) => {
            let offer = TwoFactorOffer { secret: form.secret, otpauth_uri: form.uri };
            mend(&offered(&person, &offer, &Errors::from_refusal(error)?))
        }
    }
}

pub(crate) async fn disable(person: Person, Form(Disabled { current_password, otp }): Form<Disabled>) -> Answer {
    let ask = BothFactors { current_password, otp: digits(&otp) };
    match person.client.disable_two_factor(&ask).await {
        Ok(()) => Ok(done("/profile", Flash::TwoFactorOff)),
        Err(error) => mend(&form(&person, &Errors::from_refusal(error)?)),
    }
}

/// Apps show codes in groups, and people copy the spaces.
pub(super) fn digits(otp: &SecretText) -> SecretText {
    SecretText::new(otp.secret().expose().split_whitespace().collect())
}

/// The code, or one of those that are kept for a lost phone.
pub(super) fn any_code(errors: &Errors) -> Field {
    Field { label: "Code, or a recovery code", ..code(errors) }
}

fn code(errors: &Errors) -> Field {
    Field { autocomplete: "one-time-code", ..Field::line("otp", "Code that the app shows", "", errors) }
}

fn offered(person: &Person, offer: &TwoFactorOffer, errors: &Errors) -> OfferPage {
    let uri = offer.otpauth_uri.secret().expose().clone();
    OfferPage {
        shell: person.shell(Section::Profile),
        above: errors.above(&["otp"]).map(str::to_owned),
        secret: offer.secret.secret().expose().clone(),
        drawing: qr::draw(&uri),
        uri,
        field: code(errors),
    }
}

/// In groups of four, as it is typed most easily.
fn in_groups(secret: &str) -> String {
    let groups: Vec<String> =
        secret.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    groups.join(" ")
}

/// The first step: on asks for the password, off for password and code.
fn form(person: &Person, errors: &Errors) -> FormPage {
    let on = person.profile().two_factor;
    let password = Field::password("current_password", "Current password", "current-password", errors);
    let frame = FormPage {
        shell: person.shell(Section::Profile),
        title: "Switch two-factor sign-in on".into(),
        up: Some(("/profile".into(), "Profile")),
        action: "/profile/two-factor".into(),
        above: errors.above(&["current_password", "otp"]).map(str::to_owned),
        intro: Some("You need an authenticator app on your phone. First, prove that it is you.".into()),
        fields: vec![password.clone()],
        button: "Continue",
        grave: false,
    };
    if !on {
        return frame;
    }
    FormPage {
        title: "Switch two-factor sign-in off".into(),
        action: "/profile/two-factor/disable".into(),
        intro: Some("From then on your password alone opens your account.".into()),
        fields: vec![password, any_code(errors)],
        button: "Switch it off",
        grave: true,
        ..frame
    }
}
