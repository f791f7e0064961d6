//! One of the connections that submit while the broker dies and comes back.
//!
//! Singles and batches, with and without an Idempotency-Key. A request with a key that was cut off is repeated until it is
//! answered; after every new connection, and now and then otherwise, a key that was answered before is sent again.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mb_core::{Clock, MessageId, Timestamp};
use rustls::ClientConfig;

use super::ledger::Ledger;
use super::plan::Random;
use crate::bench::{Fault, Http1, Target, problem_code};

const ANSWER: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);
/// Messages of a batch.
const MAX_BATCH: u64 = 50;
/// Bytes of filler in a message.
const MAX_FILLER: u64 = 300;
/// Answered requests with a key that may be sent again.
const REMEMBERED: usize = 16;

/// What all lanes share.
#[derive(Debug)]
pub(super) struct Shared {
    target: Target,
    tls: Arc<ClientConfig>,
    seed: u64,
    acked: AtomicU64,
    stop: AtomicBool,
    ledger: Mutex<Ledger>,
    fault: Mutex<Option<String>>,
}

impl Shared {
    pub(super) fn new(target: Target, tls: Arc<ClientConfig>, seed: u64) -> Self {
        Self {
            target,
            tls,
            seed,
            acked: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            ledger: Mutex::default(),
            fault: Mutex::default(),
        }
    }

    /// Messages answered with 202, each once.
    pub(super) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    /// Lets the lanes end after their present request.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn take_ledger(&self) -> Ledger {
        std::mem::take(&mut *self.ledger())
    }

    pub(super) fn last_fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, fault: &Fault) {
        self.ledger().error(fault.code.to_owned());
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault.to_string());
    }

    fn has_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Submits until it is stopped.
pub(super) async fn run(shared: Arc<Shared>, number: u16) {
    let mut random = Random::new(shared.seed, u64::from(number));
    let mut connection: Option<Http1> = None;
    let mut unanswered: Option<Request> = None;
    let mut answered: VecDeque<Request> = VecDeque::new();
    let mut serial = 0;
    while !shared.has_stopped() {
        let is_fresh = connection.is_none();
        let mut open = match connection.take() {
            Some(open) => open,
            None => match Http1::connect(&shared.target, &shared.tls, ANSWER).await {
                Ok(open) => open,
                Err(fault) => {
                    shared.note(&fault);
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let request = match unanswered.take() {
            Some(request) => request,
            None if !answered.is_empty() && (is_fresh || random.once_in(20)) => {
                let index = usize::try_from(random.below(answered.len() as u64)).unwrap_or(0);
                answered[index].clone()
            }
            None => {
                serial += 1;
                Request::new(&mut random, &shared, number, serial)
            }
        };
        match submit(&shared, &mut open, &request).await {
            Outcome::Answered { keep_open } => {
                connection = keep_open.then_some(open);
                if request.key.is_some() {
                    answered.push_front(request);
                    answered.truncate(REMEMBERED);
                }
            }
            Outcome::Refused { keep_open } => {
                connection = keep_open.then_some(open);
                tokio::time::sleep(PAUSE).await;
            }
            Outcome::CutOff if request.key.is_some() => unanswered = Some(request),
            Outcome::CutOff => shared.ledger().unanswered += request.items as u64,
        }
    }
}

enum Outcome {
    Answered { keep_open: bool },
    Refused { keep_open: bool },
    CutOff,
}

async fn submit(shared: &Shared, connection: &mut Http1, request: &Request) -> Outcome {
    let at = Clock::System.now();
    match connection.exchange(&request.bytes).await {
        Ok(answer) if answer.status == 202 => {
            note_ids(shared, request, answer.body, at);
            Outcome::Answered { keep_open: answer.keep_open }
        }
        Ok(answer) => {
            shared.ledger().error(problem_code(answer.status, answer.body));
            Outcome::Refused { keep_open: answer.keep_open }
        }
        Err(fault) => {
            shared.note(&fault);
            Outcome::CutOff
        }
    }
}

/// Writes down which message was given which id.
fn note_ids(shared: &Shared, request: &Request, body: &[u8], at: Timestamp) {
    let mut ledger = shared.ledger();
    let entries = request.entries(body);
    if entries.len() != request.items {
        ledger.error("bad_answer".to_owned());
    }
    for (index, entry) in entries.into_iter().enumerate() {
        match entry {
            Entry { message_id: Some(id), code: None } => ledger.ack(request.key_of(index), id, at),
            Entry { code, .. } => ledger.error(code.unwrap_or_else(|| "bad_answer".to_owned())),
        }
    }
    shared.acked.store(ledger.acked.len() as u64, Ordering::Relaxed);
}

/// What an answer says of one message.
#[derive(serde::Deserialize)]
struct Entry {
    message_id: Option<MessageId>,
    code: Option<String>,
}

/// A request, ready to be sent as often as it takes.
#[derive(Clone, Debug)]
struct Request {
    bytes: Vec<u8>,
    items: usize,
    is_batch: bool,
    key: Option<String>,
}

impl Request {
    fn new(random: &mut Random, shared: &Shared, lane: u16, serial: u64) -> Self {
        let key = random.once_in(3).then(|| format!("torture-{}-{lane}-{serial}", shared.seed));
        let is_batch = random.once_in(4);
        let items = if is_batch { 1 + random.below(MAX_BATCH) } else { 1 };
        let mut body = String::new();
        for item in 0..items {
            let separator = if item == 0 { "" } else { "," };
            let filler = "x".repeat(usize::try_from(random.below(MAX_FILLER)).unwrap_or(0));
            let number = random.below(1000);
            write!(
                body,
                "{separator}{{\"sender_number\":\"+4915{lane:05}{number:03}\",\
                 \"message_body\":\"torture {lane} {serial} {item} {filler}\"}}"
            )
            .expect("a string takes everything");
        }
        let path = if is_batch { "/api/v1/messages/batch" } else { "/api/v1/messages" };
        if is_batch {
            body = format!("{{\"messages\":[{body}]}}");
        }
        let header = key.as_ref().map_or_else(String::new, |key| format!("idempotency-key: {key}\r\n"));
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n{header}content-length: {}\r\n\r\n",
            shared.target.authority,
            body.len()
        );
        let items = usize::try_from(items).unwrap_or(1);
        Self { bytes: (head + &body).into_bytes(), items, is_batch, key }
    }

    /// The key of one of its messages (contract, section 3).
    fn key_of(&self, index: usize) -> Option<String> {
        self.key.as_ref().map(|key| if self.is_batch { format!("{key}#{index}") } else { key.clone() })
    }

    /// The entries of its answer, in order; none if it cannot be read.
    fn entries(&self, body: &[u8]) -> Vec<Entry> {
        #[derive(serde::Deserialize)]
        struct Batch {
            results: Vec<Entry>,
        }
        if self.is_batch {
            serde_json::from_slice::<Batch>(body).map(|batch| batch.results).unwrap_or_default()
        } else {
            serde_json::from_slice(body).map(|entry| vec![entry]).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use mb_core::Submission;
    use mb_core::submission::BodyRules;
    use serde_json::value::RawValue;

    use super::*;

    fn shared() -> Shared {
        let ca = mb_crypto::ca::Ca::create("test", Clock::System.now()).unwrap();
        let tls = mb_crypto::tls::client_config(None, ca.certificate_pem(), &[]).unwrap();
        Shared::new(Target::local(1), Arc::new(tls), 7)
    }

    fn requests(shared: &Shared) -> Vec<Request> {
        let mut random = Random::new(shared.seed, 3);
        (0..200).map(|serial| Request::new(&mut random, shared, 3, serial)).collect()
    }

    fn body(request: &Request) -> &str {
        std::str::from_utf8(&request.bytes).unwrap().split_once("\r\n\r\n").unwrap().1
    }

    #[test]
    fn all_kinds_of_requests_are_made_and_all_obey_the_rules() {
        #[derive(serde::Deserialize)]
        struct Batch<'a> {
            #[serde(borrow)]
            messages: Vec<&'a RawValue>,
        }
        let shared = shared();
        let mut kinds = std::collections::BTreeSet::new();
        for request in requests(&shared) {
            kinds.insert((request.is_batch, request.key.is_some()));
            let messages: Vec<&str> = if request.is_batch {
                serde_json::from_str::<Batch<'_>>(body(&request))
                    .unwrap()
                    .messages
                    .iter()
                    .map(|raw| raw.get())
                    .collect()
            } else {
                vec![body(&request)]
            };
            assert_eq!(messages.len(), request.items);
            for message in messages {
                Submission::from_json(message.as_bytes(), BodyRules::default(), Timestamp::default()).unwrap();
            }
        }
        assert_eq!(kinds.len(), 4);
    }

    #[test]
    fn a_seed_sends_the_same_again() {
        let shared = shared();
        let bytes = |requests: Vec<Request>| requests.into_iter().map(|request| request.bytes).collect::<Vec<_>>();
        assert_eq!(bytes(requests(&shared)), bytes(requests(&shared)));
    }

    #[test]
    fn each_message_of_a_batch_has_its_own_key() {
        let shared = shared();
        let batch = requests(&shared).into_iter().find(|request| request.is_batch && request.key.is_some()).unwrap();
        let id = |number: u8| MessageId::from_bytes([number; 16]);
        let answer = |items: &[String]| format!(r#"{{"results":[{}]}}"#, items.join(","));
        let accepted = |number| format!(r#"{{"message_id":"{}","status":"queued"}}"#, id(number));
        let refused = r#"{"code":"overloaded","status":503}"#.to_owned();
        note_ids(&shared, &batch, answer(&[accepted(1), refused, accepted(3)]).as_bytes(), Timestamp::default());
        note_ids(&shared, &batch, answer(&[accepted(1), accepted(2), accepted(4)]).as_bytes(), Timestamp::default());
        let ledger = shared.take_ledger();
        assert_eq!((ledger.repeats, ledger.duplicates), (1, 1), "the third message was given two ids");
        assert_eq!(ledger.errors["overloaded"], 1);
        assert_eq!(shared.acked(), 4);
    }
}
