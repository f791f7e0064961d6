//! Group commit: one task takes the register calls that wait and writes them in one transaction, so one sync of the disk
//! serves all of them. A lone call waits for nobody: there is no timer.

use std::sync::{Arc, Mutex, PoisonError};

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

/// Writes until `closing` is notified or every sender is gone, then what still waits.
pub(crate) async fn run(
    backend: Backend,
    clock: Clock,
    mut jobs: mpsc::Receiver<Job>,
    closing: Arc<Notify>,
    last_fault: Arc<LastFault>,
) {
    let mut next = None;
    loop {
        if next.is_none() {
            next = tokio::select! {
                job = jobs.recv() => job,
                () = closing.notified() => {
                    jobs.close();
                    continue;
                }
            };
        }
        let Some(first) = next.take() else { return };
        let mut group = vec![first];
        next = fill(&mut group, &mut jobs);
        commit(&backend, &clock, group, &last_fault).await;
    }
}

/// Adds the calls that wait to `group` up to its bounds; a call that would pass them is returned.
fn fill(group: &mut Vec<Job>, jobs: &mut mpsc::Receiver<Job>) -> Option<Job> {
    let mut rows = group.iter().map(|job| job.batch.rows()).sum::<usize>();
    let mut bytes = group.iter().map(|job| job.batch.bytes()).sum::<usize>();
    while let Ok(job) = jobs.try_recv() {
        rows += job.batch.rows();
        bytes += job.batch.bytes();
        if rows > GROUP_ROWS || bytes > GROUP_BYTES {
            return Some(job);
        }
        group.push(job);
    }
    None
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
