//! What the main server counts.

use mb_api::dto::RegisterResult;
use mb_runtime::metrics::{Counter, CounterFamily, Gauge, Metrics};

#[derive(Debug)]
pub(crate) struct ServerMetrics {
    registered: Counter,
    results: CounterFamily,
    sign_ins: CounterFamily,
    unopened: CounterFamily,
    pub(crate) dead_letters: Gauge,
}

impl ServerMetrics {
    pub(crate) fn register(metrics: &mut Metrics) -> Self {
        metrics
            .gauge(
                "mb_backup_last_success_timestamp_seconds",
                "When the last backup succeeded, seconds since 1970; 0 = never.",
            )
            .set(0.0);
        Self {
            dead_letters: metrics.gauge("mb_dead_letters", "Dead letters in the store."),
            registered: metrics.counter("mb_server_registered", "Messages stored for the first time."),
            results: metrics.counter_family(
                "mb_server_register_results",
                "Envelopes answered by register, by result: stored, duplicate, quarantined, refused.",
                "result",
            ),
            unopened: metrics.counter_family(
                "mb_server_unopened",
                "Messages that somebody asked for and that did not open: no_master_key, no_data_key, bad_data_key, damaged.",
                "reason",
            ),
            sign_ins: metrics.counter_family(
                "mb_server_sign_ins",
                "Sign-ins by result: ok, or the code of the refusal.",
                "result",
            ),
        }
    }

    /// Counts a sign-in; `result` is `ok` or a problem's code.
    pub(crate) fn sign_in(&self, result: &'static str) {
        self.sign_ins.inc_by(result, 1);
    }

    /// Counts a message that does not open.
    pub(crate) fn unopened(&self, reason: &'static str) {
        self.unopened.inc_by(reason, 1);
    }

    pub(crate) fn registered(&self, results: &[RegisterResult]) {
        let mut counts = [0_u64; 4];
        for result in results {
            let index = match result {
                RegisterResult::Stored => 0,
                RegisterResult::Duplicate => 1,
                RegisterResult::Quarantined(_) => 2,
                RegisterResult::Refused(_) => 3,
            };
            counts[index] += 1;
        }
        self.registered.inc_by(counts[0]);
        for (label, count) in ["stored", "duplicate", "quarantined", "refused"].into_iter().zip(counts) {
            if count > 0 {
                self.results.inc_by(label, count);
            }
        }
    }
}
