//! Errors at HTTP: one type, always an RFC 9457 problem, never a source to a user.
//!
//! A handler returns an [`ApiError`]. As a response it is only status and a marker; the runtime's middleware, which knows
//! the request's id, logs the private source once and renders the [`Problem`]. So no answer lacks its id, and no handler
//! has to carry it.

mod code;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use mb_core::FieldError;
use utoipa::ToSchema;

use crate::request_id::{self, RequestId};
use crate::schema;

pub use code::{ProblemCode, markdown};

/// The media type of a problem (RFC 9457, section 3).
pub const MEDIA_TYPE: &str = "application/problem+json";

/// An error's body.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, ToSchema)]
pub struct Problem {
    /// [`ProblemCode::type_uri`].
    #[serde(rename = "type")]
    pub type_uri: String,
    /// [`ProblemCode::title`].
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: Cow<'static, str>,
    /// The stable word.
    #[serde(serialize_with = "code_as_word")]
    #[schema(value_type = schema::ProblemCode)]
    pub code: ProblemCode,
    /// The request's id; absent only on the items of a batch, whose answer carries it once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<schema::FieldError>)]
    pub errors: Vec<FieldError>,
    /// `Retry-After` in seconds, which stands in the answer's head.
    #[serde(skip)]
    #[schema(ignore)]
    pub retry_after: Option<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn code_as_word<S: serde::Serializer>(code: &ProblemCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.as_str())
}

/// A code that this build does not know reads as its status's general one, so that a newer main server can be understood.
impl<'de> serde::Deserialize<'de> for Problem {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Raw {
            #[serde(rename = "type")]
            type_uri: String,
            title: String,
            status: u16,
            detail: String,
            code: String,
            #[serde(default)]
            request_id: Option<String>,
            #[serde(default)]
            errors: Vec<FieldError>,
        }
        let raw = Raw::deserialize(deserializer)?;
        let status = http::StatusCode::from_u16(raw.status).map_err(serde::de::Error::custom)?;
        Ok(Self {
            type_uri: raw.type_uri,
            title: raw.title.into(),
            status: raw.status,
            detail: raw.detail.into(),
            code: ProblemCode::parse(&raw.code).unwrap_or_else(|| ProblemCode::for_status(status)),
            request_id: raw.request_id,
            errors: raw.errors,
            retry_after: None,
        })
    }
}

/// What a handler answers instead of a result.
pub struct ApiError {
    code: ProblemCode,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<u32>,
    challenge: Option<&'static str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// An error with what the caller may know.
    pub fn new(code: ProblemCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let (retry_after, challenge) = (code.retry_after(), code.challenge());
        Self { code, detail: detail.into(), errors: Vec::new(), retry_after, challenge, source: None }
    }

    /// 422 with every broken rule.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(ProblemCode::ValidationFailed, "some fields break rules") }
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::new(ProblemCode::NotFound, "there is nothing at this address that you may see")
    }

    /// 500: a fault that the caller can do nothing about; `source` goes to the log alone.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ProblemCode::Internal, "the request failed; its id finds the cause in the log").caused_by(source)
    }

    /// 503 `unavailable`: something behind us is away; `source` goes to the log alone.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ProblemCode::Unavailable, "a part that this needs is away; try again").caused_by(source)
    }

    /// Keeps the private cause for the log.
    #[must_use]
    pub fn caused_by(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// Says after how many seconds a repeat makes sense.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The same without its cause and the fields that are wrong.
    #[must_use]
    pub fn in_short(self) -> Self {
        Self { errors: Vec::new(), source: None, ..self }
    }

    /// Where nobody has said who he is, signing in would do, too.
    #[must_use]
    pub fn or_sign_in(self) -> Self {
        match self.code {
            ProblemCode::NoIdentity => Self {
                detail: "sign in and send the access token, or bring a certificate of an administrator".into(),
                challenge: Some("Bearer realm=\"message-broker\", ClientCertificate realm=\"message-broker\""),
                ..self
            },
            _ => self,
        }
    }

    /// The code.
    pub const fn code(&self) -> ProblemCode {
        self.code
    }

    /// What the caller is told.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The body, also as an item of a batch's answer (then without an id).
    pub fn problem(&self, request_id: Option<&RequestId>) -> Problem {
        Problem {
            type_uri: self.code.type_uri(),
            title: self.code.title().into(),
            status: self.code.status().as_u16(),
            detail: self.detail.clone(),
            code: self.code,
            request_id: request_id.map(|id| id.as_str().to_owned()),
            errors: self.errors.clone(),
            retry_after: self.retry_after,
        }
    }

    /// The whole answer.
    pub fn render(&self, request_id: &RequestId) -> Response {
        let body = serde_json::to_vec(&self.problem(Some(request_id))).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(request_id::HEADER, request_id.as_header().clone());
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, " ({source})"))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

/// The marker on a response that stands for an error still to be rendered.
#[derive(Clone, Debug)]
pub struct Unrendered(pub Arc<ApiError>);

/// Status and marker only: the middleware renders.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.code.status();
        response.extensions_mut().insert(Unrendered(Arc::new(self)));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_contracts_members_and_reads_back() {
        let errors = vec![FieldError::new("/message_body", "blank", "message_body must not be blank")];
        let problem = ApiError::invalid(errors).problem(Some(&RequestId::fresh()));
        let json = serde_json::to_value(&problem).expect("serialises");
        assert_eq!(json["type"], "urn:message-broker:problem:validation_failed");
        assert_eq!(json["status"], 422);
        assert_eq!(json["code"], "validation_failed");
        assert_eq!(json["errors"][0]["pointer"], "/message_body");
        assert_eq!(serde_json::from_value::<Problem>(json).expect("reads back"), problem);
    }

    #[test]
    fn an_unknown_code_reads_as_its_statuss_general_one() {
        let json = r#"{"type":"x","title":"t","status":409,"detail":"d","code":"from_the_future"}"#;
        let problem: Problem = serde_json::from_str(json).expect("reads");
        assert_eq!(problem.code, ProblemCode::Conflict);
    }

    #[test]
    fn the_source_stays_private() {
        let error = ApiError::internal("SELECT secret FROM place");
        let rendered = serde_json::to_string(&error.problem(None)).expect("serialises");
        assert!(!rendered.contains("SELECT"));
        assert_eq!(error.source().expect("kept for the log").to_string(), "SELECT secret FROM place");
    }

    #[test]
    fn every_401_names_what_would_do_and_nothing_else_does() {
        for code in ProblemCode::ALL {
            let answer = ApiError::new(code, "no").render(&RequestId::fresh());
            let challenged = answer.headers().contains_key(header::WWW_AUTHENTICATE);
            assert_eq!(challenged, answer.status() == http::StatusCode::UNAUTHORIZED, "{code}");
        }
    }

    #[test]
    fn retry_after_is_rendered_where_it_makes_sense() {
        let after = |error: ApiError| {
            error.render(&RequestId::fresh()).headers().get(header::RETRY_AFTER).map(|v| v.as_bytes().to_vec())
        };
        assert_eq!(after(ApiError::new(ProblemCode::Overloaded, "busy")).as_deref(), Some(&b"1"[..]));
        assert_eq!(after(ApiError::new(ProblemCode::RateLimited, "slow").retry_after(7)).as_deref(), Some(&b"7"[..]));
        assert_eq!(after(ApiError::not_found()), None);
    }
}
