//! Opening what the store keeps sealed, for those who may see it.

use std::sync::Arc;

use mb_core::{Content, KeyId};
use mb_store::{ExistingMessage, StoreError};
use zeroize::Zeroizing;

use crate::app::App;
use crate::keyring::OpenedKey;

/// A message's content in the clear, wiped when dropped.
pub(crate) struct Plain(Zeroizing<Vec<u8>>);

impl Plain {
    /// Number, body and metadata; `None` if what was sealed is no content of this version.
    pub(crate) fn content(&self) -> Option<Content<'_>> {
        Content::parse(&self.0)
    }
}

/// Opens a message; `None` if its key is not there, or the seal does not belong to this header.
pub(crate) async fn open(app: &App, message: &ExistingMessage) -> Result<Option<Plain>, StoreError> {
    let Some(opened) = key(app, message.header.key_id).await? else { return Ok(None) };
    let mut header = Vec::with_capacity(256);
    message.header.encode(&mut header);
    Ok(opened.key.open_parts(&header, &message.sealed).ok().map(Plain))
}

/// A data key that was proven before, from memory or from the store.
pub(crate) async fn key(app: &App, id: KeyId) -> Result<Option<Arc<OpenedKey>>, StoreError> {
    if let Some(opened) = app.keys.find(id) {
        return Ok(Some(opened));
    }
    let row = app.store.data_key(id).await?;
    Ok(row.and_then(|row| app.keys.open(&row.record, true).ok()))
}
