//! The typed client of the main server's API.
//!
//! Whether a call crosses the network or stays within the process is decided once, when the client is made; callers see
//! the same answers, errors and deadlines either way. Every call has a deadline; repeating is the caller's business,
//! because only the caller knows what a repeat costs.
//!
//! The calls of the hand-over stand here; the others in one file per kind of caller. What changes something answers with
//! nothing: whoever shows the state afterwards reads it, as it may have changed again.

mod administration;
mod backups;
mod deliveries;
mod enrolment;
mod error;
mod installation;
mod keys;
mod messages;
mod people;
mod streaming;
mod transport;
mod users;

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use mb_core::{ClientName, MessageId, Policy, handover};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::credentials::{Credentials, WATCHING};
use crate::dto::delivery::RegisterQuery;
use crate::dto::{
    ConfirmAnswer, ConfirmRequest, HealthReport, InternalStatusAnswer, InternalStatusRequest, KnownForGood,
    OpenForGood, PolicyQuery, RegisterAnswer,
};
use crate::paths;
use crate::problem::Problem;
use crate::request_id::{self, RequestId};

pub use error::ClientError;
pub use messages::IDEMPOTENCY_KEY;
pub use people::SignIn;
pub use streaming::{Event, Events};
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
    credentials: Option<Credentials>,
    request_id: Option<RequestId>,
    /// The longest that a call waits, if that is shorter than its deadline.
    patience: Option<Duration>,
    watches: bool,
}

impl Client {
    /// A client over `transport`.
    pub const fn new(transport: Transport) -> Self {
        Self { transport, credentials: None, request_id: None, patience: None, watches: false }
    }

    /// This client as it speaks for the person of `credentials`. The certificate stays the transport's.
    #[must_use]
    pub fn with_credentials(&self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self.clone() }
    }

    /// This client as it calls within the request `id`, which then stands in the main server's log as well.
    #[must_use]
    pub fn with_request_id(&self, id: RequestId) -> Self {
        Self { request_id: Some(id), ..self.clone() }
    }

    /// This client as it waits for no answer longer than that.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self.clone() }
    }

    /// This client as it asks without anybody doing anything: the session of its credentials is not used by that.
    #[must_use]
    pub fn watching(&self) -> Self {
        Self { watches: true, ..self.clone() }
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
    /// `take` says what deliveries the answer may bring.
    pub async fn register(
        &self,
        batch: Bytes,
        take: &RegisterQuery,
        id: Option<&RequestId>,
    ) -> Result<RegisterAnswer, ClientError> {
        let request = build(Method::POST, &with_query(paths::REGISTER, take)?, Some(HANDOVER), batch, id)?;
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
    ) -> Result<InternalStatusAnswer, ClientError> {
        self.post(paths::STATUS, &InternalStatusRequest { client_id, ids }, id).await
    }

    /// Waits up to [`POLL`] for a policy other than the one of `held`; at once if that names none. `None` if there is no
    /// newer one.
    pub async fn policy(&self, held: PolicyQuery) -> Result<Option<Policy>, ClientError> {
        let path = with_query(paths::POLICY, &held)?;
        let response = self.send(bare(Method::GET, &path)?, POLL + DEADLINE).await?;
        if response.status() == StatusCode::NO_CONTENT { Ok(None) } else { decode(&response).map(Some) }
    }

    /// Tells what is held here that the policy does not name: revocations, and messages that were expunged; what has to be
    /// told again.
    pub async fn merge_back(&self, known: &KnownForGood) -> Result<OpenForGood, ClientError> {
        self.post(paths::REVOCATIONS, known, None).await
    }

    /// The main server's health, also if it is unhealthy.
    pub async fn health(&self) -> Result<HealthReport, ClientError> {
        let request = bare(Method::GET, paths::HEALTH)?;
        let response = self.exchange(request, DEADLINE).await?;
        match response.status() {
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => decode(&response),
            _ => Err(refusal(&response)),
        }
    }

    async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, ClientError> {
        self.json(bare(Method::GET, path)?, DEADLINE).await
    }

    async fn list<Q: Serialize + Sync, A: DeserializeOwned>(&self, path: &str, query: &Q) -> Result<A, ClientError> {
        self.get(&with_query(path, query)?).await
    }

    async fn post<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        path: &str,
        body: &Q,
        id: Option<&RequestId>,
    ) -> Result<A, ClientError> {
        self.json(build(Method::POST, path, Some(JSON), encode(body)?, id)?, DEADLINE).await
    }

    /// Sends a body for which there is no answer but that it was carried out.
    async fn tell<Q: Serialize + Sync>(&self, method: Method, path: &str, body: &Q) -> Result<(), ClientError> {
        self.send(build(method, path, Some(JSON), encode(body)?, None)?, DEADLINE).await.map(drop)
    }

    async fn put<Q: Serialize + Sync>(&self, path: &str, body: &Q) -> Result<(), ClientError> {
        self.tell(Method::PUT, path, body).await
    }

    async fn delete(&self, path: &str) -> Result<(), ClientError> {
        self.send(bare(Method::DELETE, path)?, DEADLINE).await.map(drop)
    }

    async fn json<A: DeserializeOwned>(&self, request: Request<Bytes>, deadline: Duration) -> Result<A, ClientError> {
        decode(&self.send(request, deadline).await?)
    }

    async fn send(&self, request: Request<Bytes>, deadline: Duration) -> Result<Response<Bytes>, ClientError> {
        let response = self.exchange(request, deadline).await?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(&response)) }
    }

    async fn exchange(&self, mut request: Request<Bytes>, deadline: Duration) -> Result<Response<Bytes>, ClientError> {
        self.introduce(&mut request)?;
        self.transport.call(request, self.patience.map_or(deadline, |patience| patience.min(deadline))).await
    }

    /// Says for whom, and in which request, the call is made.
    fn introduce(&self, request: &mut Request<Bytes>) -> Result<(), ClientError> {
        let headers = request.headers_mut();
        if let Some(credentials) = &self.credentials {
            let no_token = || ClientError::BadRequest("the token has characters that no token has".into());
            headers.insert(AUTHORIZATION, credentials.header_value().ok_or_else(no_token)?);
        }
        if self.watches {
            headers.insert(WATCHING, HeaderValue::from_static("1"));
        }
        if let Some(id) = &self.request_id {
            headers.entry(request_id::HEADER).or_insert_with(|| id.as_header().clone());
        }
        Ok(())
    }
}

fn bare(method: Method, path: &str) -> Result<Request<Bytes>, ClientError> {
    build(method, path, None, Bytes::new(), None)
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
    *request.uri_mut() =
        path.parse().map_err(|error| ClientError::BadRequest(format!("{}: {error}", without_query(path))))?;
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

/// The path without its query, which may hold a person's number.
fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

fn with_query<Q: Serialize>(path: &str, query: &Q) -> Result<String, ClientError> {
    let query = serde_urlencoded::to_string(query).map_err(|error| ClientError::BadRequest(error.to_string()))?;
    Ok(if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") })
}

fn encode<Q: Serialize>(body: &Q) -> Result<Bytes, ClientError> {
    serde_json::to_vec(body).map(Bytes::from).map_err(|error| ClientError::BadRequest(error.to_string()))
}

fn decode<A: DeserializeOwned>(response: &Response<Bytes>) -> Result<A, ClientError> {
    serde_json::from_slice(response.body()).map_err(|error| ClientError::BadAnswer(error.to_string()))
}

fn refusal(response: &Response<Bytes>) -> ClientError {
    match serde_json::from_slice::<Problem>(response.body()) {
        Ok(problem) => {
            let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            ClientError::Problem(Box::new(Problem { retry_after: seconds, ..problem }))
        }
        Err(_) => ClientError::BadAnswer(format!("status {} without a problem", response.status())),
    }
}

#[cfg(test)]
mod tests;
