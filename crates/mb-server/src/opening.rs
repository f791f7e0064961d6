//! Opening what the store keeps sealed, for those who may see it.
//!
//! What does not open is said for that message alone: which key is missing, or that it is not what was accepted. Nothing of
//! it is ever served.

use std::sync::Arc;

use mb_core::{ClientName, Content, DomainName, Header, KeyId, MessageId};
use mb_store::{ExistingMessage, StoreError};
use zeroize::Zeroizing;

use crate::app::App;
use crate::keyring::{BadKey, OpenedKey};
use crate::notices;

/// A message's content in the clear, wiped when dropped.
pub(crate) struct Plain(Zeroizing<Vec<u8>>);

/// Why a message does not open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unopened {
    /// The master key that its data key needs is not here.
    NoMasterKey(KeyId),
    /// Its data key is not stored.
    NoDataKey(KeyId),
    /// Its data key is not as its proxy made it.
    BadDataKey(KeyId),
    /// Its content was removed for good.
    Expunged,
    /// The seal does not belong to these bytes and this header: they were swapped, cut or changed.
    Damaged,
}

impl Unopened {
    /// The word for metrics and notices.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::NoMasterKey(_) => "no_master_key",
            Self::NoDataKey(_) => "no_data_key",
            Self::BadDataKey(_) => "bad_data_key",
            Self::Expunged => "expunged",
            Self::Damaged => "damaged",
        }
    }

    /// In words for people.
    pub(crate) fn detail(self) -> String {
        match self {
            Self::NoMasterKey(id) => {
                format!("it is sealed under master key {id}, which this main server does not have")
            }
            Self::NoDataKey(id) => format!("its data key {id} is not in the store"),
            Self::BadDataKey(id) => format!("its data key {id} is not as a proxy of this installation made it"),
            Self::Expunged => "it was expunged: its content is gone for good".to_owned(),
            Self::Damaged => "its seal is broken: it is not what was accepted".to_owned(),
        }
    }
}

impl Plain {
    /// Number, body and metadata; `None` if what was sealed is no content of this version.
    pub(crate) fn content(&self) -> Option<Content<'_>> {
        Content::parse(&self.0)
    }
}

/// Opens a message, if that can be done.
pub(crate) async fn open(app: &App, message: &ExistingMessage) -> Result<Result<Plain, Unopened>, StoreError> {
    // Nothing that was sealed is empty.
    if message.sealed.is_empty() {
        return Ok(Err(Unopened::Expunged));
    }
    let opened = match key(app, message.header.key_id).await? {
        Ok(opened) => opened,
        Err(unopened) => return Ok(Err(unopened)),
    };
    let mut header = Vec::with_capacity(256);
    message.header.encode(&mut header);
    let plain = opened.key.open_parts(&header, &message.sealed).map(Plain).map_err(|_| Unopened::Damaged);
    Ok(plain.and_then(|plain| if plain.content().is_some() { Ok(plain) } else { Err(Unopened::Damaged) }))
}

/// Which message does not open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) id: MessageId,
    pub(crate) client: &'a ClientName,
    pub(crate) domain: &'a DomainName,
}

impl<'a> From<&'a Header> for About<'a> {
    fn from(header: &'a Header) -> Self {
        Self { id: header.message_id, client: &header.client, domain: &header.domain }
    }
}

/// Tells everybody concerned that a message does not open: the log, the metrics, a notice. Nothing is wrong with one that
/// was expunged.
pub(crate) async fn report(app: &App, about: impl Into<About<'_>>, unopened: Unopened) {
    if unopened != Unopened::Expunged {
        tell(app, about.into(), unopened.word(), &unopened.detail()).await;
    }
}

/// The same for what a receiver answered to a message.
pub(crate) async fn report_answer(app: &App, about: About<'_>) {
    tell(app, about, "answer", "what a receiver answered does not open: it is not what was kept").await;
}

async fn tell(app: &App, about: About<'_>, word: &'static str, reason: &str) {
    let id = about.id;
    mb_runtime::logging::limited("open", || tracing::error!(message.id = %id, reason, "message cannot be opened"));
    app.metrics.unopened(word);
    if let Err(error) = notices::unreadable(app, about, reason).await {
        tracing::warn!(%error, "notice of an unreadable message not stored");
    }
}

/// A data key that was proven before, from memory or from the store.
pub(crate) async fn key(app: &App, id: KeyId) -> Result<Result<Arc<OpenedKey>, Unopened>, StoreError> {
    if let Some(opened) = app.keys.find(id) {
        return Ok(Ok(opened));
    }
    let Some(row) = app.store.data_key(id).await? else { return Ok(Err(Unopened::NoDataKey(id))) };
    Ok(app.keys.open_stored(&row).map_err(|bad| match bad {
        BadKey::UnknownMaster(master) => Unopened::NoMasterKey(master),
        BadKey::Malformed | BadKey::Signer | BadKey::Wrapping => Unopened::BadDataKey(id),
    }))
}
