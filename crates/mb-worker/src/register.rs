//! Claim, register, ack.
//!
//! Failures are of two kinds. If the main server is away, says 503 or does not let this worker in, nothing is wrong with
//! the batch: it is tried again, slower each time, for as long as the lease lasts. If the main server answers but cannot
//! take the batch, or again and again does not answer in time, one envelope in it may be the cause: the batch is split, and
//! its halves go their own ways, until the culprit stands alone and holds up nobody else. Halves of a half wait behind
//! the other parts, so that what can be stored is stored first.

pub(crate) mod patience;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use mb_api::RequestId;
use mb_api::client::ClientError;
use mb_api::dto::{RegisterAnswer, RegisterResult};
use mb_core::envelope::Envelope;
use mb_core::handover::Batch;
use mb_queue::{Claimed, Entry, Tag};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::patience::Patience;
use crate::Shared;

/// The longest pause between tries, in first pauses.
const LONGEST_PAUSE: u32 = 100;
/// Claims are given back after this part of their lease, so that no other worker holds them at the same time, even if they
/// were on their way for as long as is left.
const HOLD: f64 = 0.75;

pub(crate) async fn run(shared: Arc<Shared>, soft: CancellationToken) {
    loop {
        let Some(claimed) = soft.run_until_cancelled(shared.pace.claim(&shared)).await else { return };
        if claimed.entries.is_empty() {
            // The queue is shut down, which only the end of the process does.
            return;
        }
        let deadline = Instant::now() + shared.config.lease.mul_f64(HOLD);
        let count = claimed.entries.len() as u64;
        shared.claimed.fetch_add(count, Ordering::Relaxed);
        hand_over(&shared, claimed, deadline, &soft).await;
        shared.claimed.fetch_sub(count, Ordering::Relaxed);
    }
}

/// One batch, whole or in parts, until every entry is acked or given back.
async fn hand_over(shared: &Shared, claimed: Claimed, deadline: Instant, soft: &CancellationToken) {
    let Claimed { entries, keys } = claimed;
    let mut parts = VecDeque::from([(entries, Patience::with_batch())]);
    while let Some((entries, patience)) = parts.pop_front() {
        match register(shared, &entries, &keys, patience, deadline, soft).await {
            Outcome::Answered(mut answer) => {
                shared.deliverer.accept(std::mem::take(&mut answer.leased));
                shared.metrics.answered(&answer.results);
                shared.registered.fetch_add(entries.len() as u64, Ordering::Relaxed);
                log_results(&answer.results);
                let (refused, present): (Vec<_>, Vec<_>) = entries
                    .iter()
                    .zip(&answer.results)
                    .partition(|(_, result)| matches!(result, RegisterResult::Refused(_)));
                let tags = |part: Vec<(&Entry, _)>| part.into_iter().map(|(entry, _)| entry.tag).collect::<Vec<_>>();
                shared.queue.ack_present(*answer.epoch.as_bytes(), &tags(present)).await;
                shared.queue.ack(&tags(refused)).await;
            }
            Outcome::GiveBack => {
                shared.queue.nack(&tags(&entries)).await;
                for (rest, _) in parts.drain(..) {
                    shared.queue.nack(&tags(&rest)).await;
                }
            }
            Outcome::Split if entries.len() > 1 => {
                let mut first = entries;
                let second = first.split_off(first.len() / 2);
                parts.extend([first, second].map(|part| (part, Patience::with_part())));
            }
            Outcome::Split => {
                // Alone, and the main server still does not answer: its lease runs out, and it is claimed again a minute
                // later, so that a fault of the main server that is mended in time loses nothing.
                note_culprit(&entries[0]);
            }
            Outcome::Culprit => {
                // The same, but the main server says that it cannot take it. Who holds the journal asks what became of it,
                // brings it again, and in the end sets it aside.
                note_culprit(&entries[0]);
                shared.queue.ack(&tags(&entries)).await;
            }
        }
    }
}

fn note_culprit(entry: &Entry) {
    mb_runtime::logging::limited("culprit", || {
        tracing::error!(entry = ?entry.tag, "the main server fails on this envelope alone");
    });
}

enum Outcome {
    Answered(RegisterAnswer),
    GiveBack,
    Split,
    /// One envelope alone that the main server answers it cannot take.
    Culprit,
}

async fn register(
    shared: &Shared,
    entries: &[Entry],
    keys: &[Bytes],
    mut patience: Patience,
    deadline: Instant,
    soft: &CancellationToken,
) -> Outcome {
    let body = encode(entries, keys);
    let request_id = RequestId::fresh();
    let mut pause = shared.config.retry;
    loop {
        let begun = Instant::now();
        let answer = shared.server.register(body.clone(), &shared.deliverer.takes(), Some(&request_id)).await;
        shared.metrics.register_seconds.observe_duration(begun.elapsed());
        let error = match answer {
            Ok(answer) if answer.results.len() == entries.len() => {
                shared.note(true);
                trace(entries, &answer, &request_id);
                return Outcome::Answered(answer);
            }
            Ok(_) => ClientError::BadAnswer("one result per envelope expected".to_owned()),
            Err(error) => error,
        };
        shared.note(false);
        shared.metrics.failures.inc(if patience::is_passing(&error) { "unavailable" } else { "failed" });
        mb_runtime::logging::limited("register", || {
            tracing::warn!(error = %error, request.id = %request_id, entries = entries.len(), "batch not registered, will try again");
        });
        // Near the lease's end there is no time for more parts; one envelope alone waits for that end instead.
        if patience.ends_with(&error) && (entries.len() == 1 || Instant::now() < deadline) {
            let is_culprit = entries.len() == 1 && !patience::is_passing(&error);
            return if is_culprit { Outcome::Culprit } else { Outcome::Split };
        }
        let stopped = soft.run_until_cancelled(tokio::time::sleep(pause)).await.is_none();
        if stopped || Instant::now() >= deadline {
            return Outcome::GiveBack;
        }
        pause = (pause * 2).min(shared.config.retry * LONGEST_PAUSE);
    }
}

fn encode(entries: &[Entry], keys: &[Bytes]) -> Bytes {
    let batch = Batch {
        keys: keys.iter().map(AsRef::as_ref).collect(),
        envelopes: entries.iter().map(|entry| entry.envelope.as_ref()).collect(),
    };
    let mut body = Vec::new();
    batch.encode(&mut body);
    body.into()
}

fn tags(entries: &[Entry]) -> Vec<Tag> {
    entries.iter().map(|entry| entry.tag).collect()
}

/// Ties each message to the call by which the main server's log knows its batch.
fn trace(entries: &[Entry], answer: &RegisterAnswer, request: &RequestId) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    for (entry, result) in entries.iter().zip(&answer.results) {
        if let Ok(envelope) = Envelope::parse(&entry.envelope) {
            tracing::debug!(
                request.id = %request,
                message.id = %envelope.header.message_id,
                result = ?result,
                "message registered"
            );
        }
    }
}

fn log_results(results: &[RegisterResult]) {
    for result in results {
        match result {
            RegisterResult::Stored | RegisterResult::Duplicate => {}
            RegisterResult::Quarantined(code) => mb_runtime::logging::limited("quarantined", || {
                tracing::warn!(code = code.as_ref(), "envelope became a dead letter");
            }),
            RegisterResult::Refused(code) => mb_runtime::logging::limited("refused", || {
                tracing::error!(code = code.as_ref(), "envelope refused as not genuine");
            }),
        }
    }
}
