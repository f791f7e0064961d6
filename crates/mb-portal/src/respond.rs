//! The three answers that pages give: a page, a page with something to mend, a way to another page.

use askama::Template;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use mb_api::problem::ApiError;

use crate::cookies;
use crate::flash::Flash;
use crate::stop::Answer;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// A page.
pub(crate) fn page(template: &impl Template) -> Answer {
    html(StatusCode::OK, template)
}

/// A form again, with what is wrong about it.
pub(crate) fn mend(template: &impl Template) -> Answer {
    html(StatusCode::UNPROCESSABLE_ENTITY, template)
}

fn html(status: StatusCode, template: &impl Template) -> Answer {
    let text = template.render().map_err(ApiError::internal)?;
    Ok((status, [(CONTENT_TYPE, HTML)], text).into_response())
}

/// 303: the browser asks for `path` next. A path that is no header's value leads to the overview.
pub(crate) fn see_other(path: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, location);
    response
}

/// 303 to a page that tells `flash`.
pub(crate) fn done(path: &str, flash: Flash) -> Response {
    telling(see_other(path), flash)
}

/// The same answer, and the next page tells `flash`.
pub(crate) fn telling(mut response: Response, flash: Flash) -> Response {
    let cookie = cookies::set(cookies::FLASH, flash.word(), Some(60));
    response.headers_mut().extend(cookie.map(|value| (SET_COOKIE, value)));
    response
}
