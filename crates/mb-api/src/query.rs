//! The query of a request as a type, with every refusal a problem that names the parameter.

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
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let path = error.path().to_string();
        let pointer = if path == "." { String::new() } else { format!("/{path}") };
        ApiError::invalid(vec![FieldError::new(pointer, "invalid", public_text(error.inner()))])
    })
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
        assert_eq!(
            parse::<MessageQuery>("status=failed&status=failed").expect_err("twice").code().as_str(),
            "validation_failed"
        );
        let query = parse::<MessageQuery>("from=2026-11-23T10%3A00%3A00%2B01%3A00&q=01AB").expect("fine");
        assert_eq!(query.from.expect("read").to_string(), "2026-11-23T09:00:00.000000Z");
        assert_eq!(query.q.expect("read").as_str(), "01ab");
    }
}
