//! Messages as people see them.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use mb_core::MessageId;

use super::{Client, ClientError, DEADLINE, JSON, build, encode, with_query};
use crate::dto::{
    MessageDetail, MessageDetailQuery, MessageQuery, MessageRow, Overview, OverviewQuery, SubmitMessage,
    SubmittedMessage,
};
use crate::page::Page;
use crate::paths;

/// Names a submission, so that repeating it does nothing more.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

impl Client {
    /// Submits a message to a proxy as the client whose certificate this one calls with. `body` is what a client would send.
    pub async fn submit(&self, body: Bytes, key: HeaderValue) -> Result<SubmittedMessage, ClientError> {
        let mut request = build(Method::POST, paths::MESSAGES, Some(JSON), body, None)?;
        request.headers_mut().insert(IDEMPOTENCY_KEY, key);
        self.json(request, DEADLINE).await
    }

    /// Has the main server submit a message as the client of the person of this client's credentials.
    pub async fn send_message(&self, message: &SubmitMessage, key: &str) -> Result<SubmittedMessage, ClientError> {
        let mut request = build(Method::POST, paths::PORTAL_MESSAGES, Some(JSON), encode(message)?, None)?;
        let key = HeaderValue::from_str(key).map_err(|error| ClientError::BadRequest(error.to_string()))?;
        request.headers_mut().insert(IDEMPOTENCY_KEY, key);
        self.json(request, DEADLINE + DEADLINE).await
    }

    /// One page of messages, the newest first.
    pub async fn messages(&self, query: &MessageQuery) -> Result<Page<MessageRow>, ClientError> {
        self.list(paths::PORTAL_MESSAGES, query).await
    }

    /// How things are.
    pub async fn overview(&self, query: &OverviewQuery) -> Result<Overview, ClientError> {
        self.list(paths::PORTAL_OVERVIEW, query).await
    }

    /// One message. Unless `query` leaves the body closed, this opens it, which is audited.
    pub async fn message(&self, id: &MessageId, query: &MessageDetailQuery) -> Result<MessageDetail, ClientError> {
        self.get(&with_query(&paths::with_id(paths::PORTAL_MESSAGE, id), query)?).await
    }
}
