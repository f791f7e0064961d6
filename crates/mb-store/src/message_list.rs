//! Messages as people list and search them: newest first, by cursor, at a bounded cost.
//!
//! A list is the union of streams that an index yields in order (`candidates.rs`): one for a client or for a domain,
//! one for each domain where all are asked for. What is only a dead letter, and whose sender is known, stands in the list
//! as a failed message, in its place by time. Client, domain and time are found by an index, and so are an exact sender and
//! an id's beginning as long as they name at most [`candidates::EXACT_ROWS`] messages. Everything else is looked at row by
//! row: at most about [`SCAN_ROWS`] rows for one page, so that no question, however little it finds, costs more. A page
//! may therefore have fewer rows than asked for, even none, and still name a next one.

pub(crate) mod candidates;

use bytes::Bytes;
use mb_core::{ClientName, DomainName, Envelope, MessageId, MessageIdPrefix, MessageState, Timestamp, Topic};

use crate::Store;
use crate::error::StoreError;
use crate::messages::{self, ExistingMessage, MessageStatus, by_ids, id_values};
use crate::statement::Dialects;
use crate::value::Row;
use candidates::{Candidate, Source};

/// Which messages to list; `None` matches all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MessageFilter {
    /// Who sent it.
    pub client: Option<ClientName>,
    /// Its tenant.
    pub domain: Option<DomainName>,
    /// How it stands.
    pub status: Option<MessageState>,
    /// Beside those of the status, those that are stored as delivered later than this: not yet, for a scheduled message
    /// that nothing waits for.
    pub or_delivered_after: Option<Timestamp>,
    /// Delivered by then.
    pub delivered_by: Option<Timestamp>,
    /// Accepted not before.
    pub from: Option<Timestamp>,
    /// Accepted before.
    pub to: Option<Timestamp>,
    /// What it is about, exactly.
    pub topic: Option<Topic>,
    /// The sender's number under the search key. Dead letters were never opened, so none is found by it.
    pub sender: Option<[u8; 32]>,
    /// What its id begins with.
    pub id: Option<MessageIdPrefix>,
}

/// A place in the list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MessagePlace {
    /// When the proxy accepted the message.
    pub queued_at: Timestamp,
    /// The message.
    pub message_id: MessageId,
}

/// A message, or a dead letter in its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedMessage {
    /// Its tenant.
    pub domain: DomainName,
    /// How it stands.
    pub status: MessageStatus,
    /// Its header and what it holds, sealed; `None` for a dead letter whose envelope cannot be read.
    pub content: Option<ExistingMessage>,
    /// The dead letter's id, if it is one.
    pub dead_letter: Option<i64>,
}

/// A page of the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessagePage {
    /// The messages, newest first.
    pub messages: Vec<ListedMessage>,
    /// Where the next page begins, if there may be one.
    pub next: Option<MessagePlace>,
}

/// Rows that are looked at for one page; the last step may pass it. A row costs some 20 us where the store is much larger than
/// memory.
const SCAN_ROWS: usize = 2_000;

/// What the sealed bodies of one page may weigh together, unless one alone is heavier.
const PAGE_BYTES: u64 = 8 * 1024 * 1024;

pub(crate) const FULL: Dialects = by_ids!(
    "SELECT message_id, client_id, topic, queued_at, registered_at, deliver_at, expires_at, last_error, status, \
     delivered_at, failed_at, attempt_count, domain, key_id, encrypted_body",
    "messages"
);

/// Several letters may bear one message's id.
pub(crate) const DEAD: Dialects = by_ids!(
    "SELECT message_id, client_id, topic, queued_at, created_at, deliver_at, expires_at, reason, domain, envelope, id",
    "dead_letters",
    "AND client_id IS NOT NULL ORDER BY id"
);

fn read_message(row: &Row) -> Result<ListedMessage, StoreError> {
    let status = messages::read_status(row)?;
    let domain = row.domain(12)?;
    let header = mb_core::Header {
        message_id: status.message_id,
        key_id: row.key_id(13)?,
        queued_at: status.queued_at,
        deliver_at: status.deliver_at,
        expires_at: status.expires_at,
        client: status.client.clone(),
        domain: domain.clone(),
        topic: status.topic.clone(),
    };
    let content = ExistingMessage { header, sealed: Bytes::copy_from_slice(row.blob(14)?) };
    Ok(ListedMessage { domain, status, content: Some(content), dead_letter: None })
}

fn read_dead_letter(row: &Row) -> Result<ListedMessage, StoreError> {
    let content = Envelope::parse(row.blob(9)?).ok();
    Ok(ListedMessage {
        domain: row.domain(8)?,
        status: messages::read_dead_status(row)?,
        content: content.map(|envelope| ExistingMessage {
            header: envelope.header,
            sealed: Bytes::copy_from_slice(envelope.sealed),
        }),
        dead_letter: Some(row.int(10)?),
    })
}

impl ListedMessage {
    fn place(&self) -> MessagePlace {
        MessagePlace { queued_at: self.status.queued_at, message_id: self.status.message_id }
    }
}

impl Store {
    /// At most `limit` messages that match, newest first, behind the place `after` if given.
    pub async fn message_page(
        &self,
        filter: &MessageFilter,
        after: Option<MessagePlace>,
        limit: u32,
    ) -> Result<MessagePage, StoreError> {
        let mut picked = Picked { candidates: Vec::new(), bytes: 0, limit: limit as usize };
        let next = self.pick(filter, after, &mut picked).await?;
        Ok(MessagePage { messages: self.load(&picked.candidates).await?, next })
    }

    /// A message as the list shows it.
    pub async fn listed_message(&self, id: MessageId) -> Result<Option<ListedMessage>, StoreError> {
        if let Some(row) = self.backend().fetch_optional(FULL, id_values(&[id])).await? {
            return read_message(&row).map(Some);
        }
        let row = self.backend().fetch_optional(DEAD, id_values(&[id])).await?;
        row.as_ref().map(read_dead_letter).transpose()
    }

    /// Picks what belongs on the page; where the next one begins.
    async fn pick(
        &self,
        filter: &MessageFilter,
        after: Option<MessagePlace>,
        picked: &mut Picked,
    ) -> Result<Option<MessagePlace>, StoreError> {
        let Some(bounds) = candidates::Bounds::new(filter, after) else { return Ok(None) };
        if let Some(exact) = candidates::exact(self.backend(), filter, &bounds).await? {
            return Ok(exact.into_iter().find_map(|candidate| picked.add(candidate)));
        }
        let mut streams = candidates::Streams::open(self.backend(), filter, bounds).await?;
        let size = streams.window_size(picked.limit + 1);
        let mut looked_at = 0;
        loop {
            let window = streams.window(self.backend(), size).await?;
            looked_at += window.looked_at;
            let last = window.candidates.last().map(|candidate| candidate.place);
            let full = window.candidates.len() >= size;
            let hits = window.candidates.into_iter().filter(|candidate| candidate.hit);
            if let Some(next) = hits.into_iter().find_map(|candidate| picked.add(candidate)) {
                return Ok(Some(next));
            }
            if !full {
                return Ok(None);
            }
            if looked_at >= SCAN_ROWS {
                return Ok(last);
            }
            streams.move_behind(last);
        }
    }

    async fn load(&self, picked: &[Candidate]) -> Result<Vec<ListedMessage>, StoreError> {
        let (stored, dead): (Vec<_>, Vec<_>) = picked.iter().partition(|picked| picked.source == Source::Message);
        let ids = |of: &[&Candidate]| of.iter().map(|candidate| candidate.place.message_id).collect::<Vec<_>>();
        let mut messages = Vec::with_capacity(picked.len());
        if !stored.is_empty() {
            for row in self.backend().fetch(FULL, id_values(&ids(&stored))).await? {
                messages.push(read_message(&row)?);
            }
        }
        if !dead.is_empty() {
            for row in self.backend().fetch(DEAD, id_values(&ids(&dead))).await? {
                let letter = Source::DeadLetter(row.int(10)?);
                if dead.iter().any(|candidate| candidate.source == letter) {
                    messages.push(read_dead_letter(&row)?);
                }
            }
        }
        messages.sort_unstable_by_key(|message| std::cmp::Reverse(message.place()));
        Ok(messages)
    }
}

/// What goes on a page, up to its bounds.
struct Picked {
    candidates: Vec<Candidate>,
    bytes: u64,
    limit: usize,
}

impl Picked {
    /// Adds the next one; if the page is full, where the next page begins.
    fn add(&mut self, candidate: Candidate) -> Option<MessagePlace> {
        self.bytes = self.bytes.saturating_add(candidate.bytes);
        if let Some(last) = self.candidates.last()
            && (self.candidates.len() >= self.limit || self.bytes > PAGE_BYTES)
        {
            return Some(last.place);
        }
        self.candidates.push(candidate);
        None
    }
}
