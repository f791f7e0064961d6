//! The query of a request as a type, with every refusal a problem that names the parameter.

use std::collections::HashSet;

use axum::extract::FromRequestParts;
use http::request::Parts;
use mb_core::FieldError;
use mb_core::submission::public_text;
use serde::de::DeserializeOwned;

use crate::problem::ApiError;

/// Extracts a request's query. A filter that is misspelt must not read as no filter: types refuse unknown parameters.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<S: Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Reads a query.
///
/// # Errors
/// 422 with the first parameter that is unknown, given twice or has no such value.
pub fn parse<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    once_each(query)?;
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let path = error.path().to_string();
        let pointer = if path == "." { String::new() } else { format!("/{path}") };
        ApiError::invalid(vec![FieldError::new(pointer, "invalid", public_text(error.inner()))])
    })
}

/// Refuses a parameter that comes twice: whichever of the two was used, the other one would be left out without a word.
fn once_each(query: &str) -> Result<(), ApiError> {
    let mut seen = HashSet::new();
    let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    // A name that no parameter has is not repeated to its sender.
    let known = |name: &str| name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match names.find(|name| !seen.insert(name.clone())) {
        None => Ok(()),
        Some(name) => {
            let (pointer, whose) = if known(&name) {
                (format!("/{name}"), format!("'{name}'"))
            } else {
                (String::new(), "one".to_owned())
            };
            let detail = format!("a parameter may be given once, and {whose} is given more than once");
            Err(ApiError::invalid(vec![FieldError::new(pointer, "duplicate_parameter", detail)]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dto::MessageQuery;

    #[test]
    fn a_refusal_names_the_parameter_and_nothing_unknown_is_let_through() {
        let pointer = |query: &str| {
            let error = parse::<MessageQuery>(query).expect_err("refused");
            error.problem(None).errors[0].pointer.clone()
        };
        assert_eq!(pointer("topic=a&status=lost"), "/status");
        assert_eq!(pointer("limit=ten"), "/limit");
        assert_eq!(pointer("from=yesterday"), "/from");
        assert!(pointer("stauts=failed").contains("stauts"));
        let query = parse::<MessageQuery>("from=2026-11-23T10%3A00%3A00%2B01%3A00&q=01AB").expect("fine");
        assert_eq!(query.from.expect("read").to_string(), "2026-11-23T09:00:00.000000Z");
        assert_eq!(query.q.expect("read").as_str(), "01ab");
    }

    #[test]
    fn a_parameter_given_twice_is_one_refusal_that_names_it() {
        for (query, pointer) in [
            ("status=failed&status=failed", "/status"),
            ("limit=1&topic=a&limit=x", "/limit"),
            ("li%6Dit=1&limit=2", "/limit"),
            ("a%20b=1&a+b=2", ""),
        ] {
            let error = parse::<MessageQuery>(query).expect_err("refused");
            assert_eq!(error.code().as_str(), "validation_failed");
            let errors = error.problem(None).errors;
            let told: Vec<_> = errors.iter().map(|error| (error.pointer.as_str(), error.code.as_str())).collect();
            assert_eq!(told, [(pointer, "duplicate_parameter")], "{query}");
        }
    }
}
