//! Signing in, second step: the code of the second factor, or a recovery code.

use axum::extract::State;
use http::HeaderMap;
use http::header::SET_COOKIE;
use mb_api::Query;
use mb_api::dto::{NewSessionOtp, SecretText};
use mb_api::problem::ProblemCode;

use super::login::{Origin, welcome};
use crate::Portal;
use crate::cookies;
use crate::door::DoorPage;
use crate::errors::Errors;
use crate::field::Field;
use crate::flash::Flash;
use crate::form::Form;
use crate::next::{LocalPath, NextQuery};
use crate::respond::{mend, page, see_other, telling};
use crate::stop::Answer;
use crate::visit::Visit;

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Code {
    otp: SecretText,
}

/// Without the first step there is no second.
pub(crate) async fn get(visit: Visit, Query(query): Query<NextQuery>, headers: HeaderMap) -> Answer {
    if cookies::read(&headers, cookies::OTP).is_none_or(str::is_empty) {
        return Ok(see_other(&query.path().behind("/login")));
    }
    page(&form(&visit, &query.path(), &Errors::default()))
}

pub(crate) async fn post(
    State(portal): State<Portal>,
    visit: Visit,
    Query(query): Query<NextQuery>,
    headers: HeaderMap,
    origin: Origin,
    Form(code): Form<Code>,
) -> Answer {
    let next = query.path();
    let Some(token) = cookies::read(&headers, cookies::OTP) else { return Ok(again(&next)) };
    let otp: String = code.otp.secret().expose().split_whitespace().collect();
    let ask = NewSessionOtp {
        otp_token: SecretText::new(token.to_owned()),
        otp: SecretText::new(otp),
        peer_address: origin.address,
        user_agent: origin.user_agent,
    };
    match portal.client.with_request_id(origin.request_id).open_session_with_otp(&ask).await {
        Ok(opened) => Ok(welcome(&opened, &next)?),
        Err(error) => match error.code() {
            Some(ProblemCode::InvalidToken | ProblemCode::TokenExpired) => Ok(again(&next)),
            Some(ProblemCode::WrongCredentials | ProblemCode::OtpRequired | ProblemCode::ValidationFailed) => {
                let mut errors = Errors::default();
                errors.add("otp", "This code is wrong, or was used already. Enter the next one that your app shows.");
                mend(&form(&visit, &next, &errors))
            }
            _ => mend(&form(&visit, &next, &Errors::from_refusal(error)?)),
        },
    }
}

/// Back to the password: the first step is too long ago.
fn again(next: &LocalPath) -> axum::response::Response {
    let mut response = telling(see_other(&next.behind("/login")), Flash::CodeTooLate);
    response.headers_mut().extend(cookies::clear(cookies::OTP).map(|value| (SET_COOKIE, value)));
    response
}

fn form(visit: &Visit, next: &LocalPath, errors: &Errors) -> DoorPage {
    let code = Field { autocomplete: "one-time-code", ..Field::line("otp", "Code", "", errors) };
    DoorPage {
        above: errors.above(&["otp"]).map(str::to_owned),
        intro: Some("Enter the six digits that your authenticator app shows, or one of your recovery codes."),
        action: next.behind("/login/code"),
        fields: vec![code],
        button: Some("Sign in"),
        link: Some((next.behind("/login"), "Start again")),
        ..DoorPage::new(visit, "Two-factor sign-in")
    }
}
