//! Asking for a mail to set a new password. The answer never tells whether there is such an account.

use axum::extract::State;
use mb_api::dto::ForgotPassword;

use super::login::Origin;
use crate::Portal;
use crate::door::DoorPage;
use crate::errors::Errors;
use crate::field::{Field, Input};
use crate::form::Form;
use crate::respond::{mend, page};
use crate::stop::Answer;
use crate::visit::Visit;

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Address {
    email: String,
}

pub(crate) async fn get(visit: Visit) -> Answer {
    page(&form(&visit, "", &Errors::default()))
}

pub(crate) async fn post(
    State(portal): State<Portal>,
    visit: Visit,
    origin: Origin,
    Form(Address { email }): Form<Address>,
) -> Answer {
    let ask = ForgotPassword { email: email.trim().to_owned(), peer_address: Some(origin.address) };
    match portal.client.with_request_id(origin.request_id).forgot_password(&ask).await {
        Ok(()) => page(&DoorPage {
            intro: Some(
                "If there is an account with this address, a mail with a link is on its way. The link works once and for a \
                 short time. Nothing came? Look into the spam folder, or ask your administrator.",
            ),
            link: Some(("/login".into(), "Back to sign in")),
            ..DoorPage::new(&visit, "Check your mail")
        }),
        Err(error) => mend(&form(&visit, &email, &Errors::from_refusal(error)?)),
    }
}

fn form(visit: &Visit, email: &str, errors: &Errors) -> DoorPage {
    let address = Field {
        autocomplete: "username",
        ..Field::new("email", "E-mail address", Input::Line("email"), email, errors)
    };
    DoorPage {
        above: errors.above(&["email"]).map(str::to_owned),
        intro: Some("Enter the address of your account. You get a mail with a link to set a new password."),
        action: "/forgot-password".into(),
        fields: vec![address],
        button: Some("Send the mail"),
        link: Some(("/login".into(), "Back to sign in")),
        ..DoorPage::new(visit, "Forgot your password?")
    }
}
