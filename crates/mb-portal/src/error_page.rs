//! Errors as pages: what happened, what to do, and the id under which the log has it.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Extensions, HeaderValue, StatusCode};
use mb_api::RequestId;
use mb_api::problem::{ApiError, ProblemCode};

use crate::errors::sentence;
use crate::shell::Shell;
use crate::visit::guard;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    shell: Option<&'a Shell>,
    status: u16,
    title: &'static str,
    text: String,
    request_id: &'a str,
    /// Whether asking again may help.
    again: bool,
}

/// The page for an error. `extensions` are those of the response, in which pages leave the frame for whom they are.
pub fn error_page(error: &ApiError, id: &RequestId, extensions: &Extensions) -> Response {
    let status = error.code().status();
    let (title, text) = words(error);
    let page = ErrorPage {
        shell: extensions.get::<Shell>(),
        status: status.as_u16(),
        title,
        text,
        request_id: id.as_str(),
        again: status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS,
    };
    let Ok(html) = page.render() else { return error.render(id) };
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let mut response = (status, [(CONTENT_TYPE, kind)], html).into_response();
    guard(response.headers_mut());
    if let Some(seconds) = error.code().retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn words(error: &ApiError) -> (&'static str, String) {
    let told = || sentence(error.detail());
    match error.code() {
        ProblemCode::Overloaded => return ("The main server is busy", told()),
        ProblemCode::AccountLocked => return ("The account is locked from here", told()),
        ProblemCode::TooManyAttempts => return ("Too many attempts", told()),
        _ => {}
    }
    match error.code().status().as_u16() {
        403 => ("You may not do this", told()),
        404 => (
            "There is nothing here",
            "The address is wrong, or what was here is gone, or it is not yours to see.".into(),
        ),
        405 => ("This cannot be done here", told()),
        429 => ("Too many requests", told()),
        503 => (
            "The main server cannot be reached",
            "Messages are still accepted: the proxies keep them until it is back. Try again in a moment.".into(),
        ),
        500.. => {
            ("Something went wrong", "This is our fault, not yours. The id below finds the cause in the log.".into())
        }
        _ => ("This request cannot be read", told()),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn shown(error: ApiError) -> (StatusCode, String) {
        let response = error_page(&error, &RequestId::fresh(), &Extensions::new());
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("whole").to_bytes();
        assert!(parts.headers.contains_key("content-security-policy"));
        (parts.status, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn an_error_shows_its_id_and_never_its_source() {
        let (status, page) = shown(ApiError::internal("secret place")).await;
        assert_eq!(status, 500);
        assert!(page.contains("-00000") && !page.contains("secret place"), "{page}");
        let (status, page) = shown(ApiError::unavailable("connection refused at 10.1.1.1")).await;
        assert_eq!(status, 503);
        assert!(page.contains("main server") && !page.contains("10.1.1.1"), "{page}");
    }

    #[tokio::test]
    async fn a_busy_main_server_is_not_said_to_be_down() {
        let (status, page) = shown(ApiError::new(ProblemCode::Overloaded, "too many sign-ins at once")).await;
        assert_eq!(status, 503);
        assert!(page.contains("busy") && !page.contains("cannot be reached"), "{page}");
    }

    #[tokio::test]
    async fn what_is_told_is_escaped() {
        let (_, page) = shown(ApiError::new(ProblemCode::Forbidden, "<script>alert(1)</script>")).await;
        assert!(!page.contains("<script>"), "{page}");
    }
}
