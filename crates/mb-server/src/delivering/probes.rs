//! Trials of destinations: each waits for a worker to take it, and whoever asked for it waits for the worker's report.
//!
//! They are kept in memory alone: if this main server ends, so does the request that waits.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use mb_api::dto::delivery::{Probe, ProbeReport};
use mb_core::AttemptId;
use tokio::sync::oneshot;

/// The most trials at once.
const MOST: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Probes {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Probe>,
    asked: HashMap<AttemptId, oneshot::Sender<ProbeReport>>,
}

impl Probes {
    /// Asks for a trial; `None` if there are too many. Whoever drops the receiver has given up.
    pub(crate) fn ask(&self, probe: Probe) -> Option<oneshot::Receiver<ProbeReport>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.asked.retain(|_, sender| !sender.is_closed());
        if inner.asked.len() >= MOST {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        inner.asked.insert(probe.id, sender);
        inner.waiting.push_back(probe);
        Some(receiver)
    }

    /// What a worker is to try: all that somebody still waits for.
    pub(crate) fn take(&self) -> Vec<Probe> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.waiting.is_empty() {
            return Vec::new();
        }
        let Inner { waiting, asked } = &mut *inner;
        asked.retain(|_, sender| !sender.is_closed());
        waiting.drain(..).filter(|probe| asked.contains_key(&probe.id)).collect()
    }

    /// Hands a report to who asked for it.
    pub(crate) fn report(&self, report: ProbeReport) {
        let sender = self.inner.lock().unwrap_or_else(PoisonError::into_inner).asked.remove(&report.id);
        if let Some(sender) = sender {
            // Whoever has given up meanwhile needs no answer.
            let _ = sender.send(report);
        }
    }
}
