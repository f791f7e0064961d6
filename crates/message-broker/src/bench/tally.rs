//! What one stream of requests saw; merged when the load is over, so that counting needs no lock.

use std::time::Duration;

use hdrhistogram::Histogram;
use mb_core::{MessageId, Timestamp};
use tokio::time::Instant;

use super::answer::{Errors, batch_entries, message_ids, problem_code};
use super::connection::{Answer, Fault};
use super::payload::Form;

/// Latencies in microseconds, three digits, up to an hour.
pub(super) type Latencies = Histogram<u32>;

/// An empty histogram.
pub(super) fn latencies() -> Latencies {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("the bounds are constants that it takes")
}

/// Adds one duration.
pub(super) fn record(into: &mut Latencies, duration: Duration) {
    into.saturating_record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
}

/// A message that was answered with 202.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Accepted {
    pub(crate) id: MessageId,
    /// When its request began.
    pub(crate) at: Timestamp,
}

/// Accepted messages of one client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sent {
    /// The client's place in the list of clients.
    pub(crate) client: usize,
    pub(crate) messages: Vec<Accepted>,
}

/// Counts of one stream of requests, or of all.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) accepted: u64,
    pub(super) handshakes: u64,
    pub(super) latency: Latencies,
    pub(super) errors: Errors,
    pub(super) sent: Vec<Sent>,
    pub(super) first_request: Option<Instant>,
    pub(super) last_answer: Option<Instant>,
    /// One fault in full, for people.
    pub(super) fault: Option<String>,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            requests: 0,
            accepted: 0,
            handshakes: 0,
            latency: latencies(),
            errors: Errors::new(),
            sent: Vec::new(),
            first_request: None,
            last_answer: None,
            fault: None,
        }
    }

    /// Notes a request that begins now.
    pub(super) fn request(&mut self, now: Instant) {
        self.requests += 1;
        self.first_request.get_or_insert(now);
    }

    /// Notes an answer and returns how many messages it accepted. `sent` takes their ids; `None` keeps none.
    pub(super) fn answer(
        &mut self,
        answer: &Answer<'_>,
        form: Form,
        items: usize,
        at: Timestamp,
        keep_for: Option<usize>,
    ) -> u64 {
        if answer.status != 202 {
            *self.errors.entry(problem_code(answer.status, answer.body)).or_default() += 1;
            return 0;
        }
        let sent = keep_for.map(|client| sent_by(&mut self.sent, client));
        let accepted = match form {
            Form::Single => keep(message_ids(answer.body).take(1), sent, at),
            Form::Json | Form::Ndjson if message_ids(answer.body).count() == items => {
                keep(message_ids(answer.body), sent, at)
            }
            Form::Json | Form::Ndjson => keep(batch_entries(answer.body, &mut self.errors).into_iter(), sent, at),
        };
        if accepted == 0 && form == Form::Single {
            *self.errors.entry("bad_answer".to_owned()).or_default() += 1;
        }
        self.accepted += accepted;
        accepted
    }

    /// Notes that there was no answer.
    pub(super) fn fault(&mut self, fault: &Fault) {
        *self.errors.entry(fault.code.to_owned()).or_default() += 1;
        self.fault.get_or_insert_with(|| fault.to_string());
    }

    /// Takes over what another counted.
    pub(super) fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.accepted += other.accepted;
        self.handshakes += other.handshakes;
        self.latency.add(&other.latency).expect("all have the same bounds");
        for (code, count) in other.errors {
            *self.errors.entry(code).or_default() += count;
        }
        self.sent.extend(other.sent);
        self.first_request = [self.first_request, other.first_request].into_iter().flatten().min();
        self.last_answer = self.last_answer.max(other.last_answer);
        self.fault = self.fault.take().or(other.fault);
    }
}

fn sent_by(sent: &mut Vec<Sent>, client: usize) -> &mut Vec<Accepted> {
    if sent.last().is_none_or(|last| last.client != client) {
        sent.push(Sent { client, messages: Vec::new() });
    }
    &mut sent.last_mut().expect("pushed above if there was none").messages
}

fn keep(ids: impl Iterator<Item = MessageId>, sent: Option<&mut Vec<Accepted>>, at: Timestamp) -> u64 {
    match sent {
        Some(sent) => {
            let before = sent.len();
            sent.extend(ids.map(|id| Accepted { id, at }));
            (sent.len() - before) as u64
        }
        None => ids.count() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn answer(status: u16, body: &str) -> Answer<'_> {
        Answer { status, body: body.as_bytes(), keep_open: true }
    }

    #[test]
    fn ids_are_kept_by_client() {
        let mut tally = Tally::new();
        let one = format!(r#"{{"message_id":"{A}"}}"#);
        for client in [4, 4, 5] {
            assert_eq!(tally.answer(&answer(202, &one), Form::Single, 1, Timestamp::default(), Some(client)), 1);
        }
        assert_eq!(tally.answer(&answer(202, &one), Form::Single, 1, Timestamp::default(), None), 1);
        let kept: Vec<_> = tally.sent.iter().map(|sent| (sent.client, sent.messages.len())).collect();
        assert_eq!(kept, [(4, 2), (5, 1)]);
        assert_eq!(tally.accepted, 4);
    }

    #[test]
    fn a_batch_that_is_refused_in_part_counts_both_parts() {
        let mut tally = Tally::new();
        let body = format!(r#"{{"results":[{{"message_id":"{A}"}},{{"code":"validation_failed"}}]}}"#);
        assert_eq!(tally.answer(&answer(202, &body), Form::Json, 2, Timestamp::default(), Some(0)), 1);
        assert_eq!(tally.errors["validation_failed"], 1);
    }

    #[test]
    fn what_is_not_202_is_never_accepted() {
        let mut tally = Tally::new();
        let body = format!(r#"{{"message_id":"{A}"}}"#);
        assert_eq!(tally.answer(&answer(200, &body), Form::Single, 1, Timestamp::default(), Some(0)), 0);
        assert_eq!(tally.answer(&answer(202, "{}"), Form::Single, 1, Timestamp::default(), Some(0)), 0);
        assert_eq!((tally.errors["http_200"], tally.errors["bad_answer"], tally.accepted), (1, 1, 0));
    }
}
