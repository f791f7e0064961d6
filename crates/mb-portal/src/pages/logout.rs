//! Signing out.

use axum::extract::State;
use http::header::SET_COOKIE;
use http::request::Parts;

use crate::Portal;
use crate::cookies;
use crate::flash::Flash;
use crate::form::{Empty, Form};
use crate::person::{PATIENCE, client_of};
use crate::respond::{see_other, telling};
use crate::stop::{Answer, Stop};

/// The session ends at the main server. If that is away the answer says so: a cookie that is gone would only look like a
/// session that has ended.
pub(crate) async fn post(State(portal): State<Portal>, parts: Parts, Form(Empty {}): Form<Empty>) -> Answer {
    if let Some(client) = client_of(&parts, &portal) {
        match client.with_patience(PATIENCE).close_session().await.map_err(Stop::from) {
            Ok(()) | Err(Stop::SignIn { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let mut response = telling(see_other("/login"), Flash::SignedOut);
    response.headers_mut().extend(cookies::clear(cookies::SESSION).map(|value| (SET_COOKIE, value)));
    Ok(response)
}
