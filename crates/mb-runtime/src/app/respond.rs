//! The last touch to every answer: its request id, its error rendered as a problem, a few fixed headers.

use std::any::Any;
use std::error::Error;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use mb_api::problem::{ApiError, ProblemCode, Unrendered};
use mb_api::request_id::{self, RequestId};

use super::ErrorPage;
use crate::logging;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");

pub(super) fn unrendered(error: ApiError) -> Response {
    error.into_response()
}

pub(super) fn finish(
    outcome: Result<Response, Box<dyn Any + Send>>,
    id: &RequestId,
    page: Option<ErrorPage>,
) -> Response {
    let mut response = match outcome {
        Ok(response) => response,
        // The panic hook has logged where and why.
        Err(_) => ApiError::internal("the handler panicked").into_response(),
    };
    if response.status().is_client_error() || response.status().is_server_error() {
        response = rendered(response, id, page);
    }
    let headers = response.headers_mut();
    headers.insert(request_id::HEADER, id.as_header().clone());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    response
}

fn rendered(mut response: Response, id: &RequestId, page: Option<ErrorPage>) -> Response {
    let error = match response.extensions_mut().remove::<Unrendered>() {
        Some(Unrendered(error)) => error,
        None if is_framework_text(&response) => Arc::new(general(&response)),
        None => return response,
    };
    log(&error, id);
    let mut problem = match page {
        Some(page) => page(&error, id, response.extensions()),
        None => error.render(id),
    };
    for (name, value) in response.headers() {
        // What the error says itself is not said twice; cookies come one by one.
        let said = name != header::SET_COOKIE && problem.headers().contains_key(name);
        if !said && name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            problem.headers_mut().append(name, value.clone());
        }
    }
    problem
}

/// Extractors of the framework refuse with a line of text or nothing. Pages, problems and health reports have a type.
fn is_framework_text(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    content_type.is_none_or(|value| value.as_bytes().starts_with(b"text/plain"))
}

fn general(response: &Response) -> ApiError {
    let code = ProblemCode::for_status(response.status());
    ApiError::new(code, "the request does not have the form that this address takes")
}

/// Only errors with a private cause are worth a line: what the caller did wrong, the caller is told.
fn log(error: &ApiError, id: &RequestId) {
    let Some(cause) = error.source() else { return };
    let (code, cause) = (error.code(), chain(cause));
    if code == ProblemCode::Internal {
        logging::limited("internal", || tracing::error!(request.id = %id, error = cause, "request failed"));
    } else if code.status().is_server_error() {
        logging::limited(
            code.as_str(),
            || tracing::warn!(request.id = %id, code = %code, error = cause, "request refused"),
        );
    } else {
        tracing::debug!(request.id = %id, code = %code, error = cause, "request refused");
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
