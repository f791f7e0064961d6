//! Ending one's own sessions.

use axum::extract::Path;
use http::header::SET_COOKIE;
use mb_core::SessionId;

use crate::cookies;
use crate::flash::Flash;
use crate::form::{Empty, Form};
use crate::person::Person;
use crate::respond::{done, see_other, telling};
use crate::stop::{Answer, Stop};

/// Ends them all, this one included.
pub(crate) async fn end_all(person: Person, Form(Empty {}): Form<Empty>) -> Answer {
    person.client.end_profile_sessions().await?;
    let mut response = telling(see_other("/login"), Flash::SessionsEnded);
    response.headers_mut().extend(cookies::clear(cookies::SESSION).map(|value| (SET_COOKIE, value)));
    Ok(response)
}

pub(crate) async fn end_one(person: Person, Path(id): Path<String>, Form(Empty {}): Form<Empty>) -> Answer {
    let id = SessionId::parse(&id).ok_or_else(Stop::not_found)?;
    person.client.end_profile_session(&id).await?;
    Ok(done("/profile", Flash::SessionEnded))
}
