//! Group commit: one task takes the register calls that wait and writes them in one transaction, so one sync of the disk
//! serves all of them. A lone call waits for nobody: there is no timer. On a server a second transaction runs beside the
//! first when much waits, for a connection that waits for the disk does nothing else.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mb_core::Clock;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::backend::Backend;
use crate::error::StoreError;
use crate::register::{self, RegisterBatch, Registration};

/// Calls that may wait; the next one waits outside.
pub(crate) const QUEUE: usize = 64;

/// A transaction takes no further call once it has this many rows. Neighbours in an index share its pages, so the more
/// rows a transaction has, the fewer pages it writes for each: 8,000 are a third faster than 2,000, and take 0.1 s.
const GROUP_ROWS: usize = 8000;

/// A transaction takes no further call once it has this many bytes.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// What waits beside a transaction that is being written begins another one once it has this many rows.
const BESIDE_ROWS: usize = 2000;

type Answer = Result<Registration, StoreError>;

/// Why the last transaction failed, if it did for more than a lock that another held.
#[derive(Debug, Default)]
pub(crate) struct LastFault(Mutex<Option<StoreError>>);

impl LastFault {
    pub(crate) fn get(&self) -> Option<StoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note<T>(&self, outcome: &Result<T, StoreError>) {
        let fault = match outcome {
            Ok(_) => None,
            Err(StoreError::Busy(_) | StoreError::Superseded) => return,
            Err(error) => Some(error.clone()),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

/// A register call that waits.
pub(crate) struct Job {
    pub(crate) batch: RegisterBatch,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// The calls that go into the next transaction.
#[derive(Default)]
struct Group {
    jobs: Vec<Job>,
    rows: usize,
    bytes: usize,
    /// The call that would have passed a bound; it begins the group after this one.
    next: Option<Job>,
}

impl Group {
    fn add(&mut self, job: Job) {
        let (rows, bytes) = (self.rows + job.batch.rows(), self.bytes + job.batch.bytes());
        if !self.jobs.is_empty() && (rows > GROUP_ROWS || bytes > GROUP_BYTES) {
            self.next = Some(job);
            return;
        }
        (self.rows, self.bytes) = (rows, bytes);
        self.jobs.push(job);
    }

    fn is_full(&self) -> bool {
        self.next.is_some()
    }

    /// Whether to write it now, beside `others` that are being written. The first waits for nobody. A further one has to
    /// be large: what it gains is that its rows go in while another's commit waits for the disk, and what it costs is
    /// a commit.
    fn is_due(&self, others: usize, lanes: u32) -> bool {
        !self.jobs.is_empty()
            && (others == 0 || (others < lanes as usize && (self.is_full() || self.rows >= BESIDE_ROWS)))
    }

    fn take(&mut self) -> Vec<Job> {
        let mut group = std::mem::take(self);
        if let Some(job) = group.next.take() {
            self.add(job);
        }
        group.jobs
    }
}

/// Writes until `closing` is notified or every sender is gone, then what still waits.
pub(crate) async fn run(
    backend: Backend,
    clock: Clock,
    mut jobs: mpsc::Receiver<Job>,
    closing: Arc<Notify>,
    last_fault: Arc<LastFault>,
) {
    let (mut group, mut writing, mut is_open) = (Group::default(), FuturesUnordered::new(), true);
    loop {
        while let Some(job) = (!group.is_full()).then(|| jobs.try_recv().ok()).flatten() {
            group.add(job);
        }
        if group.is_due(writing.len(), backend.lanes()) {
            writing.push(commit(&backend, &clock, group.take(), &last_fault));
        } else if !is_open && writing.is_empty() {
            return;
        }
        tokio::select! {
            Some(()) = writing.next() => {}
            job = jobs.recv(), if is_open && !group.is_full() => match job {
                Some(job) => group.add(job),
                None => is_open = false,
            },
            () = closing.notified() => jobs.close(),
        }
    }
}

/// Writes a group and answers each of its calls. A fault that lies in what is written is found by writing each call
/// alone, so that no call fails for another's sake.
async fn commit(backend: &Backend, clock: &Clock, group: Vec<Job>, last_fault: &LastFault) {
    let (batches, answers): (Vec<_>, Vec<_>) = group.into_iter().map(|job| (job.batch, job.answer)).unzip();
    let outcome = register::register(backend, clock, &batches.iter().collect::<Vec<_>>()).await;
    last_fault.note(&outcome);
    match outcome {
        Ok(results) => {
            for (answer, result) in answers.into_iter().zip(results) {
                tell(answer, Ok(result));
            }
        }
        Err(error) if error.is_passing() || batches.len() == 1 => {
            for answer in answers {
                tell(answer, Err(error.clone()));
            }
        }
        Err(_) => {
            for (answer, batch) in answers.into_iter().zip(&batches) {
                let result = register::register(backend, clock, &[batch]).await;
                last_fault.note(&result);
                tell(answer, result.and_then(|mut results| results.pop().ok_or(StoreError::Closed)));
            }
        }
    }
}

fn tell(answer: oneshot::Sender<Answer>, result: Answer) {
    // A caller that has gone away will ask again; what it asked for is done or not done, never half.
    let _ = answer.send(result);
}

#[cfg(test)]
mod tests {
    use mb_core::{ClientName, DomainName, Header, KeyId, MessageId, MessageState, Timestamp, Topic};

    use super::*;
    use crate::register::{NewMessage, Routed};

    fn job(rows: usize, bytes: usize) -> Job {
        let header = Header {
            message_id: MessageId::from_bytes([1; 16]),
            key_id: KeyId::from_bytes([2; 16]),
            queued_at: Timestamp::default(),
            deliver_at: None,
            expires_at: None,
            client: ClientName::parse("demo").expect("valid"),
            domain: DomainName::default(),
            topic: Topic::default(),
        };
        let message = NewMessage {
            header,
            sender_number_hashed: None,
            sealed: vec![0; bytes / rows].into(),
            status: MessageState::Delivered,
            registered_at: Timestamp::default(),
            delivered_at: None,
        };
        let batch = RegisterBatch {
            keys: Vec::new(),
            messages: vec![message; rows],
            dead_letters: Vec::new(),
            routed: Routed::default(),
            instance: "one".into(),
        };
        Job { batch, answer: oneshot::channel().0 }
    }

    fn group(jobs: impl IntoIterator<Item = Job>) -> Group {
        let mut group = Group::default();
        jobs.into_iter().for_each(|job| group.add(job));
        group
    }

    #[test]
    fn a_lone_call_waits_for_nobody() {
        assert!(group([job(1, 10)]).is_due(0, 1));
        assert!(!group([]).is_due(0, 2), "nothing to write");
    }

    #[test]
    fn beside_another_transaction_a_large_one_begins_where_there_is_a_lane() {
        assert!(!group([job(BESIDE_ROWS - 1, 10_000)]).is_due(1, 2));
        assert!(group([job(BESIDE_ROWS, 10_000)]).is_due(1, 2));
        assert!(group([job(1, GROUP_BYTES), job(1, 1)]).is_due(1, 2), "heavy is large");
        assert!(!group([job(BESIDE_ROWS, 10_000)]).is_due(1, 1));
        assert!(!group([job(GROUP_ROWS, 10_000), job(1, 1)]).is_due(2, 2));
    }

    #[test]
    fn what_passes_a_bound_begins_the_next_group() {
        let mut group = group([job(GROUP_ROWS - 1, 10_000), job(2, 20)]);
        assert!(group.is_full());
        assert_eq!(group.take().len(), 1);
        assert_eq!((group.rows, group.jobs.len(), group.is_full()), (2, 1, false));
    }
}
