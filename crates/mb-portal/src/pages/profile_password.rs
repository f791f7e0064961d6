//! Changing one's own password.

use mb_api::client::ClientError;
use mb_api::dto::{ChangePassword, SecretText};
use mb_api::problem::ProblemCode;

use crate::errors::Errors;
use crate::field::Field;
use crate::flash::Flash;
use crate::form::Form;
use crate::form_page::FormPage;
use crate::person::Person;
use crate::respond::{done, mend, page};
use crate::shell::Section;
use crate::stop::{Answer, Stop};

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Passwords {
    current_password: SecretText,
    new_password: SecretText,
}

pub(crate) async fn get(person: Person) -> Answer {
    page(&form(&person, &Errors::default()))
}

pub(crate) async fn post(person: Person, Form(passwords): Form<Passwords>) -> Answer {
    let Passwords { current_password, new_password } = passwords;
    match person.client.change_password(&ChangePassword { current_password, new_password }).await {
        Ok(()) => Ok(done("/profile", Flash::PasswordChanged)),
        Err(error) => mend(&form(&person, &refused(error)?)),
    }
}

/// A refusal of the password alone is of the one that was asked for.
fn refused(error: ClientError) -> Result<Errors, Stop> {
    if error.code() != Some(ProblemCode::WrongCredentials) {
        return Errors::from_refusal(error);
    }
    let mut errors = Errors::default();
    errors.add("current_password", "This is not your current password.");
    Ok(errors)
}

fn form(person: &Person, errors: &Errors) -> FormPage {
    FormPage {
        shell: person.shell(Section::Profile),
        title: "Change the password".into(),
        up: Some(("/profile".into(), "Profile")),
        action: "/profile/password".into(),
        above: errors.above(&["current_password", "new_password"]).map(str::to_owned),
        intro: Some("It ends all your sessions, this one too: sign in again with the new password.".into()),
        fields: vec![
            Field::password("current_password", "Current password", "current-password", errors),
            Field::password("new_password", "New password", "new-password", errors).hint(Field::PASSWORD_HINT),
        ],
        button: "Change the password",
        grave: false,
    }
}
