//! Messages as people see them.

use mb_core::MessageId;

use super::{Client, ClientError, with_query};
use crate::dto::{MessageDetail, MessageDetailQuery, MessageQuery, MessageRow};
use crate::page::Page;
use crate::paths;

impl Client {
    /// One page of messages, the newest first.
    pub async fn messages(&self, query: &MessageQuery) -> Result<Page<MessageRow>, ClientError> {
        self.list(paths::PORTAL_MESSAGES, query).await
    }

    /// One message. Unless `query` leaves the body closed, this opens it, which is audited.
    pub async fn message(&self, id: &MessageId, query: &MessageDetailQuery) -> Result<MessageDetail, ClientError> {
        self.get(&with_query(&paths::with_id(paths::PORTAL_MESSAGE, id), query)?).await
    }
}
