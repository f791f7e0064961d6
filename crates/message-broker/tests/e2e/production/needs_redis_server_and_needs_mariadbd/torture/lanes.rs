//! Those who submit, and what they were promised.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::super::super::load::{submit_batch, submit_one};
use crate::http::Connection;

/// Every so-manieth request is a batch.
const BATCH_EVERY: usize = 10;

/// What was answered with 202, and when to stop.
pub(super) struct Load {
    acked: Mutex<Vec<String>>,
    /// Messages of one batch: more in a long run.
    batch: usize,
    stopped: AtomicBool,
    settled: AtomicBool,
}

impl Load {
    pub(super) fn new(count: usize) -> Self {
        let batch = (count / 1000).clamp(10, 500);
        Self { acked: Mutex::default(), batch, stopped: AtomicBool::new(false), settled: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.acked.lock().expect("no panic while held")
    }

    pub(super) fn acked(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// Some of the ids, spread over the run, and the newest.
    pub(super) fn sample(&self, most: usize) -> Vec<String> {
        let acked = self.lock();
        let step = acked.len().div_ceil(most).next_power_of_two();
        let newest = acked.len().saturating_sub(most / 4);
        acked.iter().step_by(step).chain(acked[newest..].iter().step_by(5)).cloned().collect()
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Everything is final; what watches may end.
    pub(super) fn settled(&self) {
        self.settled.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Relaxed)
    }
}

/// Submits until told to stop; connects again after every failure.
pub(super) fn start(dir: PathBuf, port: u16, load: Arc<Load>, number: usize) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut sent = 0_usize;
        while !load.is_stopped() {
            let Ok(mut connection) = Connection::client(&dir, port, "demo") else {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            while !load.is_stopped() {
                sent += 1;
                let text = format!("{number}-{sent}");
                let accepted = if sent.is_multiple_of(BATCH_EVERY) {
                    submit_batch(&mut connection, &text, load.batch)
                } else {
                    submit_one(&mut connection, &text)
                };
                let Some(ids) = accepted else { break };
                load.lock().extend(ids);
            }
        }
    })
}
