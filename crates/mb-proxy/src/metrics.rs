//! What the proxy counts and measures.

use std::time::Duration;

use mb_api::problem::ProblemCode;
use mb_core::Clock;
use mb_queue::{Degraded, FSYNC_BOUNDS_MICROS, Journal, JournalStatus};
use mb_runtime::metrics::{Counter, CounterFamily, Distribution, Metrics};

use crate::policy::PolicyKeeper;

/// What submits are refused with.
const REFUSALS: [ProblemCode; 19] = [
    ProblemCode::MalformedRequest,
    ProblemCode::MalformedJson,
    ProblemCode::NoIdentity,
    ProblemCode::CertificateExpired,
    ProblemCode::WrongRole,
    ProblemCode::CertificateRevoked,
    ProblemCode::ClientSuspended,
    ProblemCode::RequestTimeout,
    ProblemCode::BodyTooLarge,
    ProblemCode::TooManyItems,
    ProblemCode::UnsupportedMediaType,
    ProblemCode::ValidationFailed,
    ProblemCode::IdempotencyConflict,
    ProblemCode::RateLimited,
    ProblemCode::Overloaded,
    ProblemCode::JournalFull,
    ProblemCode::PolicyStale,
    ProblemCode::NoPolicy,
    ProblemCode::ProxyUntrusted,
];

#[derive(Debug)]
pub(crate) struct ProxyMetrics {
    pub(crate) accepted: Counter,
    rejected: CounterFamily,
}

impl ProxyMetrics {
    pub(crate) fn register(metrics: &mut Metrics, journal: &Journal, policy: &PolicyKeeper, clock: &Clock) -> Self {
        journal_metrics(metrics, journal, clock);
        policy_metrics(metrics, policy);
        Self {
            accepted: metrics.counter("mb_proxy_accepted", "Messages answered with 202, batch items included."),
            rejected: metrics
                .counter_family(
                    "mb_proxy_rejected",
                    "Submits and batch items that were refused, by problem code.",
                    "code",
                )
                .starting_with(REFUSALS.map(ProblemCode::as_str)),
        }
    }

    pub(crate) fn reject(&self, code: ProblemCode) {
        self.rejected.inc(code.as_str());
    }
}

fn policy_metrics(metrics: &mut Metrics, policy: &PolicyKeeper) {
    let age = policy.age().clone();
    metrics.gauge_of(
        "mb_proxy_policy_age_seconds",
        "Time since the policy in effect was last known to be current; NaN before the first.",
        move || age.seconds(),
    );
    let held = policy.subscribe();
    metrics.gauge_of("mb_proxy_policy_version", "Version of the policy in effect; 0 before the first.", move || {
        held.borrow().as_ref().map_or(0.0, |policy| as_f64(policy.version))
    });
}

fn journal_metrics(metrics: &mut Metrics, journal: &Journal, clock: &Clock) {
    let mut gauge = |name: &str, help: &str, read: fn(&JournalStatus) -> u64| {
        let held = journal.clone();
        metrics.gauge_of(name, help, move || as_f64(read(&held.status())));
    };
    gauge("mb_journal_depth", "Accepted messages that the main server has not confirmed.", |status| status.depth);
    gauge(
        "mb_journal_window",
        "Those of them that are handed over or at hand; the rest waits on the disk.",
        |status| status.open,
    );
    gauge("mb_journal_window_limit", "The most that may be handed over and not confirmed.", |status| status.open_bound);
    gauge("mb_journal_size_bytes", "Disk space that the journal takes.", |status| status.bytes);
    gauge("mb_journal_limit_bytes", "The most disk space that the journal may take.", |status| status.bytes_bound);
    gauge("mb_journal_kept_bytes", "The part of it that is confirmed and kept for a restore.", |status| {
        status.kept_bytes
    });
    gauge("mb_journal_full", "1 while nothing can be accepted for lack of room, else 0.", |status| {
        u64::from(status.full)
    });
    gauge("mb_journal_failing", "1 while the journal's files cannot be written or read, else 0.", |status| {
        let failing = [Degraded::WriteFailed, Degraded::ReadFailed, Degraded::UpkeepFailed];
        u64::from(status.degraded.iter().any(|reason| failing.contains(reason)))
    });
    gauge("mb_journal_stale", "Entries set aside because they are older than the horizon.", |status| status.stale);
    gauge("mb_journal_refused", "Entries set aside because the main server refuses them.", |status| status.refused);
    gauge("mb_journal_damaged", "Entries that were found damaged.", |status| status.damaged_entries);
    let (held, now) = (journal.clone(), clock.clone());
    metrics.gauge_of(
        "mb_journal_oldest_seconds",
        "Age of the oldest unconfirmed message; 0 if there is none.",
        move || held.status().oldest.map_or(0.0, |oldest| now.now().since(oldest).as_secs_f64()),
    );
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
