//! What the worker counts.

use mb_api::dto::RegisterResult;
use mb_runtime::metrics::{Counter, CounterFamily, Histogram, Metrics};

#[derive(Debug)]
pub(crate) struct WorkerMetrics {
    pub(crate) batches: Counter,
    pub(crate) register_seconds: Histogram,
    pub(crate) failures: CounterFamily,
    attempts: CounterFamily,
    refused: Counter,
}

impl WorkerMetrics {
    pub(crate) fn register(metrics: &mut Metrics) -> Self {
        Self {
            batches: metrics.counter("mb_worker_batches", "Batches that the main server answered."),
            register_seconds: metrics.seconds(
                "mb_worker_register_seconds",
                "Time from a register call to its answer, failed calls included.",
            ),
            failures: metrics.counter_family(
                "mb_worker_register_failures",
                "Register calls that failed, by cause: unavailable, failed.",
                "cause",
            ),
            attempts: metrics.counter_family(
                "mb_worker_delivery_attempts",
                "Delivery attempts by outcome; a message without a destination is delivered when it is stored.",
                "outcome",
            ),
            refused: metrics.counter("mb_worker_refused", "Envelopes that the main server refused as not genuine."),
        }
    }

    pub(crate) fn answered(&self, results: &[RegisterResult]) {
        self.batches.inc();
        let stored = results.iter().filter(|r| matches!(r, RegisterResult::Stored)).count();
        let refused = results.iter().filter(|r| matches!(r, RegisterResult::Refused(_))).count();
        self.attempts.inc_by("delivered", stored as u64);
        self.refused.inc_by(refused as u64);
    }
}
