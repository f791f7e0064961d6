//! From a hand-over batch to rows: which envelopes are genuine, and what the store keeps of each.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use mb_api::dto::SecretText;
use mb_core::delivery::message_state;
use mb_core::envelope::{Envelope, SignedKey};
use mb_core::handover::Batch;
use mb_core::policy::HORIZON;
use mb_core::{Content, DeliveryState, DestinationState, Header, KeyId, MessageState, Timestamp};
use mb_store::{DataKeyRow, NewDeadLetter, NewMessage, StoreError};

use crate::app::App;
use crate::delivering::{Known, Served, payload};
use crate::keyring::{BadKey, OpenedKey};

/// What became of one envelope before the store is asked.
#[derive(Debug)]
pub(crate) enum Examined {
    Message(Box<Admitted>),
    DeadLetter(Box<NewDeadLetter>),
    Refused(&'static str),
}

/// A message that can be stored, and where it goes.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) message: NewMessage,
    /// The destinations that it is for; empty for most.
    pub(crate) to: Vec<Arc<Served>>,
    /// What webhooks are sent, if one can be served at once.
    pub(crate) payload: Option<SecretText>,
}

/// One batch, examined; `items` in the order of the envelopes.
#[derive(Debug)]
pub(crate) struct Examination {
    pub(crate) items: Vec<Examined>,
    /// Keys that the envelopes use and the store may lack.
    pub(crate) new_keys: Vec<(KeyId, Arc<OpenedKey>)>,
    /// The version of the destinations that it was routed by.
    pub(crate) version: u64,
}

impl Examination {
    pub(crate) fn key_rows(&self) -> Vec<DataKeyRow> {
        self.new_keys
            .iter()
            .map(|(key_id, opened)| DataKeyRow {
                key_id: *key_id,
                master_key_id: opened.master_key_id,
                record: opened.record.clone(),
                proxy_name: opened.signer.name.clone(),
                proxy_serial: opened.signer.serial.clone(),
                created_at: opened.created_at,
                rewrapped: None,
            })
            .collect()
    }
}

/// Opens every envelope of the batch once.
pub(crate) async fn examine(app: &App, batch: &Batch<'_>, whole: &Bytes) -> Result<Examination, StoreError> {
    let known = app.delivering.known();
    let mut keys = Keys::new(app, batch);
    let mut items = Vec::with_capacity(batch.envelopes.len());
    for bytes in &batch.envelopes {
        let item = match Envelope::parse(bytes) {
            Err(_) => Examined::Refused("envelope_malformed"),
            Ok(envelope) => match keys.resolve(envelope.header.key_id).await? {
                Err(code) => Examined::Refused(code),
                Ok(key) => examine_one(app, &known, &key, envelope, &whole.slice_ref(bytes)),
            },
        };
        items.push(item);
    }
    let new_keys = keys.resolved.into_iter().filter_map(|(id, key)| key.ok().map(|key| (id, key)));
    let new_keys = new_keys.filter(|(_, key)| !key.is_stored()).collect();
    Ok(Examination { items, new_keys, version: known.version })
}

fn examine_one(app: &App, known: &Known, key: &OpenedKey, envelope: Envelope<'_>, raw: &Bytes) -> Examined {
    let now = app.clock.now();
    let Ok(plain) = key.key.open(&envelope) else { return Examined::Refused("seal_invalid") };
    let Some(content) = Content::parse(&plain) else { return Examined::Refused("content_malformed") };
    let sealed = raw.slice_ref(envelope.sealed);
    let header = envelope.header;
    let dead_letter = |reason: &str| {
        Examined::DeadLetter(Box::new(NewDeadLetter {
            message_id: header.message_id,
            reason: reason.to_owned(),
            envelope: raw.clone(),
            header: Some(header.clone()),
            created_at: now,
        }))
    };
    if app.policy.is_revoked_proxy(&key.signer) {
        return dead_letter("proxy_revoked");
    }
    if header.queued_at < now.minus(HORIZON) {
        return dead_letter("stale");
    }
    Examined::Message(Box::new(admit(app, known, header, sealed, &content)))
}

fn admit(app: &App, known: &Known, header: Header, sealed: Bytes, content: &Content<'_>) -> Admitted {
    let now = app.clock.now();
    let expired = header.expires_at.is_some_and(|at| at <= now);
    let to = if expired { Vec::new() } else { known.matching(&header) };
    let status = if expired { MessageState::Expired } else { first_state(&header, &to, now) };
    let ready = header.deliver_at.is_none_or(|at| at <= now) && to.iter().any(|served| served.is_ready());
    let payload = if ready { payload::compose(&header, content) } else { None };
    // Where nothing waits for it, delivered means stored; a scheduled one is shown as queued until its time.
    let delivered_at = header.deliver_at.map_or(now, |at| at.max(now));
    let message = NewMessage {
        sender_number_hashed: content.sender_number.map(|number| app.search.hash(number)),
        sealed,
        status,
        registered_at: now,
        delivered_at: (status == MessageState::Delivered).then_some(delivered_at),
        header,
    };
    Admitted { message, to, payload }
}

/// A message of an envelope that was kept as a dead letter, which somebody releases: what was held against it counts no
/// more, but it must be genuine. `None` if it is not.
pub(crate) async fn release(app: &App, known: &Known, raw: &Bytes) -> Result<Option<Admitted>, StoreError> {
    let Ok(envelope) = Envelope::parse(raw) else { return Ok(None) };
    let Ok(key) = crate::opening::key(app, envelope.header.key_id).await? else { return Ok(None) };
    let Ok(plain) = key.key.open(&envelope) else { return Ok(None) };
    let Some(content) = Content::parse(&plain) else { return Ok(None) };
    Ok(Some(admit(app, known, envelope.header, raw.slice_ref(envelope.sealed), &content)))
}

/// Where a message stands as it comes in.
fn first_state(header: &Header, to: &[Arc<Served>], now: Timestamp) -> MessageState {
    let begins = |served: &Arc<Served>| match served.row.route.state {
        DestinationState::Disabled => DeliveryState::Dead,
        DestinationState::Enabled | DestinationState::Paused => DeliveryState::Open,
    };
    match message_state(to.iter().map(begins)) {
        MessageState::Processing if header.deliver_at.is_some_and(|at| at > now) => MessageState::Queued,
        state => state,
    }
}

/// The keys of one batch: each record is looked at once, and only if an envelope asks for it.
struct Keys<'a> {
    app: &'a App,
    records: HashMap<KeyId, Vec<&'a [u8]>>,
    resolved: HashMap<KeyId, Result<Arc<OpenedKey>, &'static str>>,
}

impl<'a> Keys<'a> {
    fn new(app: &'a App, batch: &Batch<'a>) -> Self {
        let mut records: HashMap<KeyId, Vec<&[u8]>> = HashMap::new();
        for record in &batch.keys {
            if let Some(id) = SignedKey::peek_id(record) {
                records.entry(id).or_default().push(record);
            }
        }
        Self { app, records, resolved: HashMap::new() }
    }

    async fn resolve(&mut self, id: KeyId) -> Result<Result<Arc<OpenedKey>, &'static str>, StoreError> {
        if let Some(known) = self.resolved.get(&id) {
            return Ok(known.clone());
        }
        let key = self.look_up(id).await?;
        self.resolved.insert(id, key.clone());
        Ok(key)
    }

    async fn look_up(&self, id: KeyId) -> Result<Result<Arc<OpenedKey>, &'static str>, StoreError> {
        if let Some(opened) = self.app.keys.find(id) {
            return Ok(Ok(opened));
        }
        // A record that was stored was proven before; one that a forger put beside it under the same id changes nothing.
        if let Some(row) = self.app.store.data_key(id).await? {
            return Ok(self.app.keys.open_stored(&row).map_err(BadKey::code));
        }
        let mut code = "key_unknown";
        for record in self.records.get(&id).into_iter().flatten() {
            match self.app.keys.open(record) {
                Ok(opened) => return Ok(Ok(opened)),
                Err(bad) => code = bad.code(),
            }
        }
        Ok(Err(code))
    }
}
