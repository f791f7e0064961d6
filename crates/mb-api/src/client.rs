//! The typed client of the main server's API.
//!
//! Whether a call crosses the network or stays within the process is decided once, when the client is made; callers see
//! the same answers, errors and deadlines either way. Every call has a deadline; repeating is the caller's business,
//! because only the caller knows what a repeat costs.

mod error;
mod transport;

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use mb_core::{ClientName, MessageId, Policy, handover};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::dto::{
    CertificateRow, ConfirmAnswer, ConfirmRequest, GenerateCertificate, GeneratedCertificate, HealthReport,
    InternalStatusRequest, PolicyQuery, RegisterAnswer, RevokeCertificate, Revoked, StatusAnswer,
};
use crate::page::{Page, PageQuery};
use crate::paths;
use crate::problem::Problem;
use crate::request_id::{self, RequestId};

pub use error::ClientError;
pub use transport::{InProcess, Mtls, NewIdentity, Transport};

/// How long an ordinary call may take. Shorter than the time after which an unfinished queue entry is claimed by another
/// worker (60 s), so that a slow register call ends before its batch is registered a second time.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How long the main server holds a policy poll.
pub const POLL: Duration = Duration::from_secs(30);

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PEM: HeaderValue = HeaderValue::from_static("application/x-pem-file");
const HANDOVER: HeaderValue = HeaderValue::from_static(handover::MEDIA_TYPE);

/// A client of one main server. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
}

impl Client {
    /// A client over `transport`.
    pub const fn new(transport: Transport) -> Self {
        Self { transport }
    }

    /// Makes all later calls with another certificate, of clones too; calls under way finish as they began.
    pub fn adopt(&self, identity: NewIdentity) {
        self.transport.adopt(identity);
    }

    /// Asks for a certificate for the key of `request`, a signing request in PEM, over the one that calls are made with;
    /// PEM.
    pub async fn renew_certificate(&self, request: String) -> Result<String, ClientError> {
        let request = build(Method::POST, paths::PKI_RENEW, Some(PEM), request.into(), None)?;
        let response = self.send(request, DEADLINE).await?;
        String::from_utf8(response.into_body().into())
            .map_err(|_| ClientError::BadAnswer("the certificate is no text".to_owned()))
    }

    /// Hands over an encoded [`handover::Batch`].
    pub async fn register(&self, batch: Bytes, id: Option<&RequestId>) -> Result<RegisterAnswer, ClientError> {
        let request = build(Method::POST, paths::REGISTER, Some(HANDOVER), batch, id)?;
        self.json(request, DEADLINE).await
    }

    /// Asks which of `ids` the store lacks.
    pub async fn confirm(&self, ids: Vec<MessageId>) -> Result<ConfirmAnswer, ClientError> {
        self.post(paths::CONFIRM, &ConfirmRequest { ids }, None).await
    }

    /// Asks where messages of `client_id` stand.
    pub async fn status(
        &self,
        client_id: ClientName,
        ids: Vec<MessageId>,
        id: Option<&RequestId>,
    ) -> Result<StatusAnswer, ClientError> {
        self.post(paths::STATUS, &InternalStatusRequest { client_id, ids }, id).await
    }

    /// Waits up to [`POLL`] for a policy other than version `since`; at once if that is `None`. `None` if there is no
    /// newer one.
    pub async fn policy(&self, since: Option<u64>) -> Result<Option<Policy>, ClientError> {
        let path = with_query(paths::POLICY, &PolicyQuery { since })?;
        let response = self.send(build(Method::GET, &path, None, Bytes::new(), None)?, POLL + DEADLINE).await?;
        if response.status() == StatusCode::NO_CONTENT { Ok(None) } else { decode(&response).map(Some) }
    }

    /// Makes a certificate.
    pub async fn generate_certificate(&self, ask: &GenerateCertificate) -> Result<GeneratedCertificate, ClientError> {
        self.post(paths::CERTIFICATES_GENERATE, ask, None).await
    }

    /// Revokes certificates.
    pub async fn revoke_certificate(&self, ask: &RevokeCertificate) -> Result<Revoked, ClientError> {
        self.post(paths::CERTIFICATES_REVOKE, ask, None).await
    }

    /// One page of certificates.
    pub async fn certificates(&self, page: &PageQuery) -> Result<Page<CertificateRow>, ClientError> {
        let path = with_query(paths::CERTIFICATES_LIST, page)?;
        self.json(build(Method::GET, &path, None, Bytes::new(), None)?, DEADLINE).await
    }

    /// The main server's health, also if it is unhealthy.
    pub async fn health(&self) -> Result<HealthReport, ClientError> {
        let request = build(Method::GET, paths::HEALTH, None, Bytes::new(), None)?;
        let response = self.transport.call(request, DEADLINE).await?;
        match response.status() {
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => decode(&response),
            _ => Err(refusal(&response)),
        }
    }

    async fn post<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        path: &str,
        body: &Q,
        id: Option<&RequestId>,
    ) -> Result<A, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::BadRequest(error.to_string()))?;
        self.json(build(Method::POST, path, Some(JSON), body.into(), id)?, DEADLINE).await
    }

    async fn json<A: DeserializeOwned>(&self, request: Request<Bytes>, deadline: Duration) -> Result<A, ClientError> {
        decode(&self.send(request, deadline).await?)
    }

    async fn send(&self, request: Request<Bytes>, deadline: Duration) -> Result<Response<Bytes>, ClientError> {
        let response = self.transport.call(request, deadline).await?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(&response)) }
    }
}

fn build(
    method: Method,
    path: &str,
    content_type: Option<HeaderValue>,
    body: Bytes,
    id: Option<&RequestId>,
) -> Result<Request<Bytes>, ClientError> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().map_err(|error| ClientError::BadRequest(format!("{path}: {error}")))?;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, JSON);
    if let Some(value) = content_type {
        headers.insert(CONTENT_TYPE, value);
    }
    if let Some(id) = id {
        headers.insert(request_id::HEADER, id.as_header().clone());
    }
    Ok(request)
}

/// Queries hold numbers and cursors, none of which needs escaping; anything else is refused rather than sent wrongly.
fn with_query<Q: Serialize>(path: &str, query: &Q) -> Result<String, ClientError> {
    let value = serde_json::to_value(query).map_err(|error| ClientError::BadRequest(error.to_string()))?;
    let mut out = path.to_owned();
    for (name, value) in value.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
            return Err(ClientError::BadRequest(format!("{name} has characters that a query does not take")));
        }
        out.push(if out.contains('?') { '&' } else { '?' });
        out.push_str(name);
        out.push('=');
        out.push_str(&text);
    }
    Ok(out)
}

fn decode<A: DeserializeOwned>(response: &Response<Bytes>) -> Result<A, ClientError> {
    serde_json::from_slice(response.body()).map_err(|error| ClientError::BadAnswer(error.to_string()))
}

fn refusal(response: &Response<Bytes>) -> ClientError {
    match serde_json::from_slice::<Problem>(response.body()) {
        Ok(problem) => ClientError::Problem(Box::new(problem)),
        Err(_) => ClientError::BadAnswer(format!("status {} without a problem", response.status())),
    }
}

#[cfg(test)]
mod tests;
