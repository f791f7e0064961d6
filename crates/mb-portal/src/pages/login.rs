//! Signing in, first step: address and password.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::State;
use axum::response::Response;
use http::header::{SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use mb_api::client::SignIn;
use mb_api::dto::{NewSession, OpenedSession, SecretText};
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::{ClientError, Peer, Query, RequestId};

use crate::Portal;
use crate::cookies;
use crate::csrf::CsrfToken;
use crate::door::DoorPage;
use crate::errors::Errors;
use crate::field::{Field, Input};
use crate::form::Form;
use crate::next::{LocalPath, NextQuery};
use crate::person::{PATIENCE, client_of};
use crate::respond::{mend, page, see_other};
use crate::stop::{Answer, Stop};
use crate::visit::Visit;

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Credentials {
    email: String,
    password: SecretText,
}

/// Somebody who is signed in already goes on.
pub(crate) async fn get(
    State(portal): State<Portal>,
    visit: Visit,
    Query(query): Query<NextQuery>,
    parts: Parts,
) -> Answer {
    if let Some(client) = client_of(&parts, &portal) {
        match client.with_patience(PATIENCE).session().await.map_err(Stop::from) {
            Ok(_) => return Ok(see_other(query.path().as_str())),
            Err(Stop::SignIn { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    page(&form(&visit, &query.path(), "", &Errors::default()))
}

pub(crate) async fn post(
    State(portal): State<Portal>,
    visit: Visit,
    Query(query): Query<NextQuery>,
    origin: Origin,
    Form(credentials): Form<Credentials>,
) -> Answer {
    let next = query.path();
    let email = credentials.email.trim().to_owned();
    let ask = NewSession {
        email: email.clone(),
        password: credentials.password,
        otp: None,
        peer_address: origin.address,
        user_agent: origin.user_agent,
    };
    match portal.client.with_request_id(origin.request_id).open_session(&ask).await {
        Ok(SignIn::Opened(opened)) => Ok(welcome(&opened, &next)?),
        Ok(SignIn::OtpNeeded(needed)) => {
            let cookie = cookies::set(cookies::OTP, needed.otp_token.secret().expose(), Some(needed.expires_in));
            let mut response = see_other(&next.behind("/login/code"));
            response.headers_mut().insert(SET_COOKIE, cookie.ok_or_else(unusable)?);
            Ok(response)
        }
        Err(error) => mend(&form(&visit, &next, &email, &refused(error)?)),
    }
}

fn refused(error: ClientError) -> Result<Errors, Stop> {
    match error.code() {
        Some(ProblemCode::WrongCredentials | ProblemCode::ValidationFailed) => {
            Ok(Errors::general("The address or the password is wrong."))
        }
        _ => Errors::from_refusal(error),
    }
}

fn form(visit: &Visit, next: &LocalPath, email: &str, errors: &Errors) -> DoorPage {
    let address = Field {
        autocomplete: "username",
        ..Field::new("email", "E-mail address", Input::Line("email"), email, errors)
    };
    DoorPage {
        above: errors.above(&[]).map(str::to_owned),
        action: next.behind("/login"),
        fields: vec![address, Field::password("password", "Password", "current-password", errors)],
        button: Some("Sign in"),
        link: Some(("/forgot-password".into(), "Forgot your password?")),
        ..DoorPage::new(visit, "Sign in")
    }
}

/// The way in: the session's cookie, and a new token for forms, so that nobody knows the one of a signed-in browser.
pub(crate) fn welcome(opened: &OpenedSession, next: &LocalPath) -> Result<Response, ApiError> {
    let csrf = CsrfToken::fresh().map_err(ApiError::internal)?;
    let cookies = [
        cookies::set(cookies::SESSION, opened.token.secret().expose(), None),
        cookies::set(cookies::CSRF, csrf.as_str(), None),
        cookies::clear(cookies::OTP),
    ];
    let cookies: Option<Vec<HeaderValue>> = cookies.into_iter().collect();
    let mut response = see_other(next.as_str());
    for cookie in cookies.ok_or_else(unusable)? {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

fn unusable() -> ApiError {
    ApiError::internal("the main server gave out a token that no cookie takes")
}

/// From where and with what somebody calls, as the list of sessions will show it.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) address: IpAddr,
    pub(crate) user_agent: String,
    pub(crate) request_id: RequestId,
}

impl axum::extract::FromRequestParts<Portal> for Origin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, ApiError> {
        let peer = Peer::from_request_parts(parts, portal).await?;
        let request_id = RequestId::from_request_parts(parts, portal).await?;
        let address = peer.addr.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |addr| addr.ip().to_canonical());
        Ok(Self { address, user_agent: user_agent(&parts.headers), request_id })
    }
}

fn user_agent(headers: &HeaderMap) -> String {
    let text = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.chars().take(256).collect()
}
