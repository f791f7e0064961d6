//! The answers of one request with many messages, in order, and the messages among them that still wait for the journal.
//!
//! Everything here is paid for out of the request's share of the memory, the answer until it has gone out.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mb_api::problem::ApiError;
use mb_api::request_id::RequestId;
use mb_core::{MessageId, Timestamp};
use mb_queue::{Append, AppendError};

use super::accept;
use crate::Shared;
use crate::budget::Share;
use crate::meter::{Charge, Quota};

/// Sealed bytes that are journalled together...
const CHUNK: usize = 256 << 10;
/// ...and the most items, for refused ones weigh nothing in the journal.
const CHUNK_ITEMS: usize = 1024;
/// What an item takes beside its envelope until its answer is written, about.
const ITEM: usize = 512;
/// About the most bytes of an answer; 10,000 refusals in short fit.
pub(crate) const MAX_ANSWER: usize = 4 << 20;
/// So many refused items are told which fields are wrong, later ones only that some are.
const EXPLAINED: usize = 100;

/// See the module.
pub(crate) struct Results<'a> {
    shared: &'a Shared,
    quota: Quota<'a>,
    key: Option<&'a str>,
    request_id: RequestId,
    share: Share,
    json: String,
    /// Items seen, refused ones included: the index that idempotency keys count by.
    seen: usize,
    refused: usize,
    accepted: u64,
    pending: Vec<Append>,
    pending_bytes: usize,
    slots: Vec<Slot>,
}

enum Slot {
    Pending(MessageId, Timestamp, Charge),
    Refused(ApiError),
}

impl<'a> Results<'a> {
    /// None yet.
    pub(crate) fn new(
        shared: &'a Shared,
        quota: Quota<'a>,
        key: Option<&'a str>,
        request_id: RequestId,
        share: Share,
    ) -> Self {
        Self {
            shared,
            quota,
            key,
            request_id,
            share,
            json: String::from(r#"{"results":["#),
            seen: 0,
            refused: 0,
            accepted: 0,
            pending: Vec::new(),
            pending_bytes: 0,
            slots: Vec::new(),
        }
    }

    /// How many items were seen.
    pub(crate) fn seen(&self) -> usize {
        self.seen
    }

    /// How many items were accepted for good.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Whether the answer takes no more items.
    pub(crate) fn is_full(&self) -> bool {
        self.json.len() >= MAX_ANSWER
    }

    /// Whether so much waits for the journal that it should be given to it.
    pub(crate) fn is_due(&self) -> bool {
        self.pending_bytes >= CHUNK || self.slots.len() >= CHUNK_ITEMS
    }

    /// Makes the share cover what is here and `beside` bytes more.
    ///
    /// # Errors
    /// `overloaded`.
    pub(crate) fn cover(&mut self, beside: usize) -> Result<(), ApiError> {
        self.share.cover(beside + self.json.len() + self.pending_bytes + self.slots.len() * ITEM)
    }

    /// Seals one message, or notes why not.
    pub(crate) fn add(&mut self, json: &[u8]) {
        let key = self.key.map(|key| format!("{key}#{}", self.seen));
        match self.take(json, key.as_deref()) {
            Ok(slot) => {
                self.seen += 1;
                self.slots.push(slot);
            }
            Err(error) => self.refuse(error),
        }
    }

    fn take(&mut self, json: &[u8], key: Option<&str>) -> Result<Slot, ApiError> {
        let charge = self.quota.charge()?;
        let sealed =
            accept::seal(self.shared, self.quota.admitted, json, key).inspect_err(|_| self.quota.give_back(&charge))?;
        let slot = Slot::Pending(sealed.append.id, sealed.queued_at, charge);
        self.pending_bytes += sealed.append.envelope.len();
        self.pending.push(sealed.append);
        Ok(slot)
    }

    /// Notes an item that is not accepted.
    pub(crate) fn refuse(&mut self, error: ApiError) {
        self.seen += 1;
        self.refused += 1;
        self.slots.push(Slot::Refused(if self.refused > EXPLAINED { error.in_short() } else { error }));
    }

    /// Journals what is pending and writes its answers.
    ///
    /// # Errors
    /// The journal took nothing and nothing was accepted before: the whole request is to be repeated.
    pub(crate) async fn flush(&mut self) -> Result<(), ApiError> {
        self.pending_bytes = 0;
        let pending = std::mem::take(&mut self.pending);
        let appended = if pending.is_empty() { Ok(Vec::new()) } else { self.shared.journal.append(pending).await };
        let (done, rest) = match appended {
            Ok(done) => (done, AppendError::Failed),
            Err(failed) if failed.done.is_empty() && self.accepted == 0 => {
                self.give_back();
                return Err(accept::not_taken(failed.error));
            }
            Err(failed) => (failed.done, failed.error),
        };
        let mut done = done.into_iter();
        for slot in std::mem::take(&mut self.slots) {
            let result = match slot {
                Slot::Refused(error) => Err(error),
                Slot::Pending(id, queued_at, charge) => {
                    let result = match done.next() {
                        Some(appended) => accept::accepted(id, queued_at, &appended),
                        None => Err(accept::not_taken(rest)),
                    };
                    result.inspect_err(|_| self.quota.give_back(&charge))
                }
            };
            if let Ok(accepted) = &result {
                accept::note(Some(&self.request_id), accepted);
            }
            self.write(result);
        }
        Ok(())
    }

    /// Forgets what waits: its sender may not go on.
    pub(crate) fn abandon(&mut self) {
        self.pending.clear();
        self.pending_bytes = 0;
        self.give_back();
    }

    /// Undoes the charges of what waits and will not be accepted.
    pub(crate) fn give_back(&mut self) {
        for slot in std::mem::take(&mut self.slots) {
            if let Slot::Pending(_, _, charge) = slot {
                self.quota.give_back(&charge);
            }
        }
    }

    fn write(&mut self, result: Result<accept::Accepted, ApiError>) {
        if !self.json.ends_with('[') {
            self.json.push(',');
        }
        match result {
            Ok(accepted) => {
                self.accepted += 1;
                self.shared.metrics.accepted.inc();
                accepted.write_item(&mut self.json);
            }
            Err(error) => {
                self.shared.metrics.reject(error.code());
                let problem = error.problem(Some(&self.request_id));
                self.json.push_str(&serde_json::to_string(&problem).unwrap_or_else(|_| "null".to_owned()));
            }
        }
    }

    /// The whole answer.
    pub(crate) fn into_response(mut self) -> Response {
        self.json.push_str("]}");
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        (StatusCode::ACCEPTED, content_type, self.share.answer(self.json)).into_response()
    }
}
