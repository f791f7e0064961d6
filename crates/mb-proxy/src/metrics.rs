//! What the proxy counts and measures.

use std::time::Duration;

use mb_api::problem::ProblemCode;
use mb_core::Clock;
use mb_queue::{FSYNC_BOUNDS_MICROS, Journal};
use mb_runtime::metrics::{Counter, CounterFamily, Distribution, Metrics};

use crate::policy::PolicyKeeper;

#[derive(Debug)]
pub(crate) struct ProxyMetrics {
    pub(crate) accepted: Counter,
    rejected: CounterFamily,
}

impl ProxyMetrics {
    pub(crate) fn register(metrics: &mut Metrics, journal: &Journal, policy: &PolicyKeeper, clock: &Clock) -> Self {
        journal_metrics(metrics, journal, clock);
        let age = policy.age().clone();
        metrics.gauge_of(
            "mb_proxy_policy_age_seconds",
            "Time since the policy in effect was last known to be current; NaN before the first.",
            move || age.seconds(),
        );
        Self {
            accepted: metrics.counter("mb_proxy_accepted", "Messages answered with 202, batch items included."),
            rejected: metrics.counter_family(
                "mb_proxy_rejected",
                "Submits and batch items that were refused, by problem code.",
                "code",
            ),
        }
    }

    pub(crate) fn reject(&self, code: ProblemCode) {
        self.rejected.inc(code.as_str());
    }
}

fn journal_metrics(metrics: &mut Metrics, journal: &Journal, clock: &Clock) {
    let held = journal.clone();
    metrics.gauge_of("mb_journal_depth", "Accepted messages that the main server has not confirmed.", move || {
        as_f64(held.status().depth)
    });
    let (held, now) = (journal.clone(), clock.clone());
    metrics.gauge_of("mb_journal_oldest_seconds", "Age of the oldest of them; 0 if there is none.", move || {
        held.status().oldest.map_or(0.0, |oldest| now.now().since(oldest).as_secs_f64())
    });
    let held = journal.clone();
    metrics
        .gauge_of("mb_journal_size_bytes", "Disk space that the journal takes.", move || as_f64(held.status().bytes));
    let held = journal.clone();
    metrics.gauge_of("mb_journal_stale", "Entries set aside because they are older than the horizon.", move || {
        as_f64(held.status().stale)
    });
    let held = journal.clone();
    metrics.gauge_of("mb_journal_refused", "Entries set aside because the main server refuses them.", move || {
        as_f64(held.status().refused)
    });
    let held = journal.clone();
    metrics.gauge_of("mb_journal_damaged", "Entries that were found damaged.", move || {
        as_f64(held.status().damaged_entries)
    });
    let held = journal.clone();
    metrics.histogram_of("mb_journal_fsync_seconds", "Time that the journal's syncs took.", move || {
        let times = held.fsync_times();
        let bounds = FSYNC_BOUNDS_MICROS.map(|micros| Duration::from_micros(micros).as_secs_f64());
        Distribution { sum: times.total.as_secs_f64(), bounds: bounds.to_vec(), counts: times.buckets.to_vec() }
    });
}

/// Counts are far below 2^52, where a double stops being exact.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
