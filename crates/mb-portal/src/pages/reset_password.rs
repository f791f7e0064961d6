//! Setting a new password by the link of a mail.

use axum::extract::State;
use mb_api::Query;
use mb_api::dto::{ResetPassword, SecretText};
use mb_api::problem::ProblemCode;

use super::login::Origin;
use crate::Portal;
use crate::door::DoorPage;
use crate::errors::Errors;
use crate::field::Field;
use crate::flash::Flash;
use crate::form::Form;
use crate::respond::{done, mend, page};
use crate::stop::Answer;
use crate::visit::Visit;

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Link {
    #[serde(default = "no_token")]
    token: SecretText,
}

fn no_token() -> SecretText {
    SecretText::new(String::new())
}

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct NewPassword {
    token: SecretText,
    new_password: SecretText,
}

pub(crate) async fn get(visit: Visit, Query(link): Query<Link>) -> Answer {
    if link.token.secret().expose().is_empty() {
        return page(&spent(&visit));
    }
    page(&form(&visit, &link.token, &Errors::default()))
}

pub(crate) async fn post(
    State(portal): State<Portal>,
    visit: Visit,
    origin: Origin,
    Form(form_): Form<NewPassword>,
) -> Answer {
    let NewPassword { token, new_password } = form_;
    let ask = ResetPassword { token: token.clone(), new_password, peer_address: Some(origin.address) };
    match portal.client.with_request_id(origin.request_id).reset_password(&ask).await {
        Ok(()) => Ok(done("/login", Flash::PasswordReset)),
        Err(error) => match error.code() {
            Some(ProblemCode::InvalidToken | ProblemCode::TokenExpired) => mend(&spent(&visit)),
            _ => mend(&form(&visit, &token, &Errors::from_refusal(error)?)),
        },
    }
}

fn form(visit: &Visit, token: &SecretText, errors: &Errors) -> DoorPage {
    let password = Field::password("new_password", "New password", "new-password", errors).hint(Field::PASSWORD_HINT);
    DoorPage {
        above: errors.above(&["new_password"]).map(str::to_owned),
        intro: Some("Setting it ends all your sessions."),
        action: "/reset-password".into(),
        hidden: vec![("token", token.secret().expose().clone())],
        fields: vec![password],
        button: Some("Set the password"),
        link: Some(("/login".into(), "Back to sign in")),
        ..DoorPage::new(visit, "Set a new password")
    }
}

fn spent(visit: &Visit) -> DoorPage {
    DoorPage {
        intro: Some("Links work once and for a short time. Ask for a new mail."),
        link: Some(("/forgot-password".into(), "Ask for a new mail")),
        ..DoorPage::new(visit, "This link is no longer good")
    }
}
