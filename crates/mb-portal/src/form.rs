//! The fields of a form. A handler cannot get at them unless the form came from one of this portal's pages: the check is
//! part of the type.

use axum::extract::{FromRequest, FromRequestParts, Request};
use http::header::CONTENT_TYPE;
use mb_api::problem::{ApiError, ProblemCode};
use mb_runtime::body::read_body;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as ValueError, MapDeserializer};

use crate::Portal;
use crate::csrf;
use crate::visit::Visit;

/// The largest form.
const MAX: usize = 64 * 1024;

/// The name of the field that repeats the token.
const TOKEN: &str = "csrf";

/// The fields of a form of ours. Fields are text; those that the browser leaves out need a default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Portal> for Form<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, portal: &Portal) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, portal).await?;
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return Err(ApiError::new(ProblemCode::UnsupportedMediaType, "a form is expected here"));
        }
        if !csrf::comes_from_here(&parts.headers, &parts.uri) {
            return Err(foreign());
        }
        let body = read_body(body, MAX).await?;
        let (tokens, fields): (Vec<_>, Vec<_>) =
            form_urlencoded::parse(&body).into_owned().partition(|(name, _)| name == TOKEN);
        let genuine =
            visit.has_token() && tokens.len() == 1 && tokens.iter().all(|(_, sent)| visit.csrf().matches(sent));
        if !genuine {
            return Err(foreign());
        }
        let fields = MapDeserializer::<_, ValueError>::new(fields.into_iter());
        T::deserialize(fields).map(Self).map_err(|error| {
            ApiError::new(ProblemCode::MalformedRequest, "the form does not have the fields of this page")
                .caused_by(error)
        })
    }
}

fn foreign() -> ApiError {
    let detail = "this form is too old, or was not sent from this page; go back, reload the page and try again";
    ApiError::new(ProblemCode::Forbidden, detail)
}

/// A form with nothing but its button.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
pub(crate) struct Empty {}
