//! After the load: is everything that was answered with 202 really stored?
//!
//! Asks the bulk status route for every accepted id, as the client that sent it, until all are final or nothing has moved
//! for a minute. While the broker works off a backlog only a sample is asked for, so that the questions cost it little.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mb_core::{MessageState, Timestamp};
use rustls::ClientConfig;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::output;

use super::connection::{Fault, Http1};
use super::tally::{Accepted, Latencies, Sent, latencies, record};
use super::target::Target;

/// Ids per question (contract, section 3).
const CHUNK: usize = 1000;
/// Connections that ask at a time.
const ASKERS: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(30);
/// Give up when nothing has become final for this long.
const STALL: Duration = Duration::from_mins(1);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// A sample has at most this many clients, and ids of each.
const SAMPLE: usize = 32;

/// Whom to ask, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) target: Target,
    /// By [`Sent::client`]; for HTTP/1.1.
    pub(crate) clients: Arc<Vec<Arc<ClientConfig>>>,
}

/// What became of the accepted messages.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) delivered: u64,
    /// Final, but not delivered.
    pub(crate) not_delivered: u64,
    /// Known, but not final when the waiting ended.
    pub(crate) pending: u64,
    /// Never found.
    pub(crate) lost: Vec<Accepted>,
    /// Rows beyond the first for one id.
    pub(crate) repeated: u64,
    pub(crate) last_delivered: Option<Timestamp>,
    /// From the begin of the request to `delivered_at`.
    pub(crate) submit_to_delivered: Latencies,
    /// The last thing that went wrong while asking.
    pub(crate) fault: Option<String>,
}

impl Verdict {
    pub(crate) fn new() -> Self {
        Self {
            delivered: 0,
            not_delivered: 0,
            pending: 0,
            lost: Vec::new(),
            repeated: 0,
            last_delivered: None,
            submit_to_delivered: latencies(),
            fault: None,
        }
    }

    fn merge(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.not_delivered += other.not_delivered;
        self.repeated += other.repeated;
        self.last_delivered = self.last_delivered.max(other.last_delivered);
        self.submit_to_delivered.add(&other.submit_to_delivered).expect("all have the same bounds");
        self.fault = other.fault.or(self.fault.take());
    }
}

/// Waits until everything sent is final, and counts.
pub(crate) async fn verify(asker: &Asker, sent: Vec<Sent>) -> Verdict {
    let sample = sample(&sent);
    let started = Instant::now();
    let (_, rest) = settle(asker, sample).await;
    if started.elapsed() > Duration::from_secs(2) {
        output::note(&format!("{:4} s  waited until a sample was stored", started.elapsed().as_secs()));
    }
    if !rest.is_empty() {
        output::note("a sample of the accepted messages is not final; looking at all of them");
    }
    let (mut verdict, rest) = settle(asker, sent).await;
    for Open { state, message, .. } in rest {
        match state {
            Found::Pending => verdict.pending += 1,
            Found::Never => verdict.lost.push(message),
        }
    }
    verdict
}

/// A few ids of some of the clients, spread evenly, the last ones among them.
fn sample(sent: &[Sent]) -> Vec<Sent> {
    fn spread<T>(all: &[T]) -> impl Iterator<Item = &T> {
        all.iter().rev().step_by(all.len().div_ceil(SAMPLE).max(1))
    }
    spread(sent).map(|sent| Sent { client: sent.client, messages: spread(&sent.messages).copied().collect() }).collect()
}

/// Whether a message that is not final was seen at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Found {
    Pending,
    Never,
}

/// A message that was not final when it was asked for.
#[derive(Clone, Copy, Debug)]
struct Open {
    client: usize,
    message: Accepted,
    state: Found,
}

/// Asks again and again, each time for what was not final yet.
async fn settle(asker: &Asker, sent: Vec<Sent>) -> (Verdict, Vec<Open>) {
    let mut verdict = Verdict::new();
    let mut pending = sent;
    let mut pause = FIRST_PAUSE;
    let mut moved = Instant::now();
    let mut left = usize::MAX;
    loop {
        let (counted, open) = pass(asker, pending).await;
        verdict.merge(counted);
        if open.len() < left {
            (left, moved) = (open.len(), Instant::now());
        }
        if open.is_empty() || moved.elapsed() > STALL {
            return (verdict, open);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        pending = regroup(&open);
    }
}

fn regroup(open: &[Open]) -> Vec<Sent> {
    let mut groups: Vec<Sent> = Vec::new();
    for Open { client, message, .. } in open {
        match groups.last_mut() {
            Some(last) if last.client == *client => last.messages.push(*message),
            _ => groups.push(Sent { client: *client, messages: vec![*message] }),
        }
    }
    groups
}

/// Asks once for everything.
async fn pass(asker: &Asker, sent: Vec<Sent>) -> (Verdict, Vec<Open>) {
    let work = Arc::new(Mutex::new(VecDeque::from(sent)));
    let mut askers = JoinSet::new();
    for _ in 0..ASKERS {
        let (asker, work) = (asker.clone(), Arc::clone(&work));
        askers.spawn(async move {
            let (mut verdict, mut open) = (Verdict::new(), Vec::new());
            loop {
                let Some(sent) = work.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else { break };
                ask_for(&asker, sent, &mut verdict, &mut open).await;
            }
            (verdict, open)
        });
    }
    let (mut verdict, mut open) = (Verdict::new(), Vec::new());
    while let Some(joined) = askers.join_next().await {
        match joined {
            Ok((counted, still_open)) => {
                verdict.merge(counted);
                open.extend(still_open);
            }
            Err(error) => verdict.fault = Some(error.to_string()),
        }
    }
    (verdict, open)
}

/// Asks for all messages of one client. What could not be asked for stays open.
async fn ask_for(asker: &Asker, mut sent: Sent, verdict: &mut Verdict, open: &mut Vec<Open>) {
    let client = sent.client;
    sent.messages.sort_unstable_by_key(|message| message.id);
    let mut connection = Http1::connect(&asker.target, &asker.clients[client], TIMEOUT).await;
    for chunk in sent.messages.chunks(CHUNK) {
        let answered = match &mut connection {
            Ok(connection) => ask(connection, &asker.target.authority, chunk, verdict).await,
            Err(fault) => Err(fault.to_string()),
        };
        let states = answered.unwrap_or_else(|fault| {
            verdict.fault = Some(fault);
            vec![Some(Found::Never); chunk.len()]
        });
        let still_open = chunk.iter().zip(states);
        open.extend(still_open.filter_map(|(message, state)| Some(Open { client, message: *message, state: state? })));
    }
}

/// One question: for each message of the chunk `None` if it is final, else what is known of it.
async fn ask(
    connection: &mut Http1,
    authority: &str,
    chunk: &[Accepted],
    verdict: &mut Verdict,
) -> Result<Vec<Option<Found>>, String> {
    let answer = connection.exchange(&question(authority, chunk)).await.map_err(|fault: Fault| fault.to_string())?;
    if answer.status != 200 {
        return Err(super::answer::problem_detail(answer.status, answer.body));
    }
    read_states(answer.body, chunk, verdict)
}

fn question(authority: &str, chunk: &[Accepted]) -> Vec<u8> {
    use std::fmt::Write as _;
    let mut body = String::with_capacity(chunk.len() * 39 + 16);
    body.push_str("{\"ids\":[");
    for (index, message) in chunk.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(body, "{comma}\"{}\"", message.id).expect("a string takes everything");
    }
    body.push_str("]}");
    let head = format!(
        "POST /api/v1/messages/status HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

/// Counts the answer's rows. The chunk is sorted by id.
fn read_states(body: &[u8], chunk: &[Accepted], verdict: &mut Verdict) -> Result<Vec<Option<Found>>, String> {
    #[derive(serde::Deserialize)]
    struct Row {
        message_id: mb_core::MessageId,
        status: MessageState,
        delivered_at: Option<Timestamp>,
    }
    #[derive(serde::Deserialize)]
    struct Rows {
        data: Vec<Row>,
    }
    let rows: Rows = serde_json::from_slice(body).map_err(|error| format!("read status answer: {error}"))?;
    let mut states = vec![Some(Found::Never); chunk.len()];
    for row in rows.data {
        let Ok(index) = chunk.binary_search_by_key(&row.message_id, |message| message.id) else { continue };
        if states[index] != Some(Found::Never) {
            verdict.repeated += 1;
            continue;
        }
        states[index] = (!row.status.is_final()).then_some(Found::Pending);
        match row.status {
            MessageState::Delivered => {
                verdict.delivered += 1;
                if let Some(at) = row.delivered_at {
                    verdict.last_delivered = verdict.last_delivered.max(Some(at));
                    record(&mut verdict.submit_to_delivered, at.since(chunk[index].at));
                }
            }
            state if state.is_final() => verdict.not_delivered += 1,
            _ => {}
        }
    }
    Ok(states)
}

#[cfg(test)]
mod tests {
    use mb_core::MessageId;

    use super::*;

    fn message(number: u8) -> Accepted {
        Accepted { id: MessageId::from_bytes([number; 16]), at: Timestamp::from_micros(1_000_000) }
    }

    #[test]
    fn rows_are_counted_by_state_and_what_has_no_row_stays_open() {
        let chunk: Vec<Accepted> = (1..=5).map(message).collect();
        let row = |number: u8, rest: &str| format!(r#"{{"message_id":"{}","topic":"t",{rest}}}"#, message(number).id);
        let rows = [
            row(4, r#""status":"failed""#),
            row(1, r#""status":"delivered","delivered_at":"1970-01-01T00:00:03.000000Z""#),
            row(1, r#""status":"delivered","delivered_at":"1970-01-01T00:00:03.000000Z""#),
            row(2, r#""status":"queued""#),
            row(9, r#""status":"delivered""#),
        ];
        let body = format!(r#"{{"data":[{}]}}"#, rows.join(","));
        let mut verdict = Verdict::new();
        let states = read_states(body.as_bytes(), &chunk, &mut verdict).unwrap();
        assert_eq!(states, [None, Some(Found::Pending), Some(Found::Never), None, Some(Found::Never)]);
        assert_eq!((verdict.delivered, verdict.not_delivered, verdict.repeated), (1, 1, 1));
        assert_eq!(verdict.last_delivered, Some(Timestamp::from_micros(3_000_000)));
        let two_seconds = verdict.submit_to_delivered.max();
        assert!((1_999_000..=2_001_000).contains(&two_seconds), "{two_seconds}");
    }

    #[test]
    fn a_question_is_json_with_its_length() {
        let asked = String::from_utf8(question("h:1", &[message(1), message(2)])).unwrap();
        let (head, body) = asked.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())));
        let parsed: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(parsed["ids"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_sample_is_small_and_holds_the_last() {
        let messages: Vec<Accepted> = (0..=255).map(message).collect();
        let sent: Vec<Sent> = (0..100).map(|client| Sent { client, messages: messages.clone() }).collect();
        let sample = sample(&sent);
        assert!(sample.len() <= SAMPLE && sample.iter().all(|sent| sent.messages.len() <= SAMPLE));
        assert_eq!((sample[0].client, sample[0].messages[0]), (99, message(255)));
        assert!(super::sample(&[]).is_empty());
    }
}
