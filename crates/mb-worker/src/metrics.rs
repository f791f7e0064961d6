//! What the worker counts.

use mb_api::dto::RegisterResult;
use mb_core::AttemptClass;
use mb_runtime::metrics::{Counter, CounterFamily, Histogram, Metrics};

#[derive(Debug)]
pub(crate) struct WorkerMetrics {
    pub(crate) batches: Counter,
    pub(crate) register_seconds: Histogram,
    pub(crate) failures: CounterFamily,
    attempts: CounterFamily,
    pub(crate) delivery_seconds: Histogram,
    refused: Counter,
}

impl WorkerMetrics {
    pub(crate) fn register(metrics: &mut Metrics) -> Self {
        let own = Self {
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
                "Delivery attempts by outcome: taken, or what went wrong.",
                "outcome",
            ),
            delivery_seconds: metrics.seconds(
                "mb_worker_delivery_seconds",
                "Time of an attempt to deliver, from the connection to the end of the answer.",
            ),
            refused: metrics.counter("mb_worker_refused", "Envelopes that the main server refused as not genuine."),
        };
        // Each is there from the start, so that its first increase is seen as one.
        for class in AttemptClass::ALL {
            own.attempts.inc_by(class.as_str(), 0);
        }
        own
    }

    /// Counts an attempt to deliver.
    pub(crate) fn attempted(&self, class: AttemptClass) {
        self.attempts.inc_by(class.as_str(), 1);
    }

    pub(crate) fn answered(&self, results: &[RegisterResult]) {
        self.batches.inc();
        let refused = results.iter().filter(|r| matches!(r, RegisterResult::Refused(_))).count();
        self.refused.inc_by(refused as u64);
    }
}
