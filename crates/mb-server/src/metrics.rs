//! What the main server counts.

use std::sync::Arc;
use std::time::Duration;

use mb_api::dto::RegisterResult;
use mb_core::retention::Retired;
use mb_core::{DestinationKind, DestinationState, Policy, Timestamp};
use mb_runtime::metrics::{Counter, CounterFamily, Gauge, GaugeFamily, Histogram, Metrics};
use mb_store::DestinationFigures;
use tokio::sync::watch;

use crate::expiry::Expiring;

#[derive(Debug)]
pub(crate) struct ServerMetrics {
    registered: Counter,
    results: CounterFamily,
    sign_ins: CounterFamily,
    unopened: CounterFamily,
    pub(crate) destinations: DestinationGauges,
    pub(crate) leader: Gauge,
    pub(crate) register_seconds: Histogram,
    pub(crate) store: StoreGauges,
    pub(crate) backup: BackupGauges,
    pub(crate) expiring: Expiring,
    pub(crate) retention: RetentionMetrics,
}

/// How removing goes of what was kept for long enough.
#[derive(Debug)]
pub(crate) struct RetentionMetrics {
    removed: CounterFamily,
    overdue: GaugeFamily,
}

/// What is read from the store from time to time.
#[derive(Debug)]
pub(crate) struct StoreGauges {
    pub(crate) size: Gauge,
    pub(crate) mail_waiting: Gauge,
    pub(crate) mail_oldest: Gauge,
}

/// How the destinations fare, as it is looked up from time to time.
#[derive(Debug)]
pub(crate) struct DestinationGauges {
    dead_letters: Gauge,
    by_state: GaugeFamily,
    breakers_open: Gauge,
    overdue: GaugeFamily,
}

impl ServerMetrics {
    pub(crate) fn register(metrics: &mut Metrics, policy: watch::Receiver<Arc<Policy>>) -> Self {
        metrics.gauge_of("mb_server_policy_version", "Version of the policy that proxies follow.", move || {
            as_f64(policy.borrow().version)
        });
        Self {
            destinations: DestinationGauges::register(metrics),
            expiring: Expiring::register(metrics),
            retention: RetentionMetrics::register(metrics),
            leader: metrics.gauge(
                "mb_server_leader",
                "1 while this main server does the work that only one of several does, else 0.",
            ),
            register_seconds: metrics.seconds(
                "mb_store_register_seconds",
                "Time from handing a batch to the store to the end of its transaction, the wait for others included.",
            ),
            store: StoreGauges {
                size: metrics.gauge("mb_store_size_bytes", "Size of the database on its disk."),
                mail_waiting: metrics.gauge("mb_mail_waiting", "Mails that wait to be sent."),
                mail_oldest: metrics.gauge(
                    "mb_mail_oldest_timestamp_seconds",
                    "When the oldest of them was given, seconds since 1970; 0 if none waits.",
                ),
            },
            backup: BackupGauges {
                made: metrics.gauge(
                    "mb_backup_last_success_timestamp_seconds",
                    "When the last backup succeeded, seconds since 1970; 0 = never.",
                ),
                verified: metrics.gauge(
                    "mb_backup_last_verified_timestamp_seconds",
                    "When a backup was last proven by a restore into a scratch place, seconds since 1970; 0 = never.",
                ),
            },
            registered: metrics.counter("mb_server_registered", "Messages stored for the first time."),
            results: metrics.counter_family(
                "mb_server_register_results",
                "Envelopes answered by register, by result: stored, duplicate, quarantined, refused.",
                "result",
            ),
            unopened: metrics.counter_family(
                "mb_server_unopened",
                "Messages that somebody asked for and that did not open: no_master_key, no_data_key, bad_data_key, damaged; \
                 or what was answered to them: answer.",
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

/// What is read from the folder of backups, so that it outlives the process.
#[derive(Debug)]
pub(crate) struct BackupGauges {
    made: Gauge,
    verified: Gauge,
}

impl BackupGauges {
    /// When the newest one was made, and when one was last verified.
    pub(crate) fn set(&self, made: Option<Timestamp>, verified: Option<Timestamp>) {
        self.made.set(seconds(made));
        self.verified.set(seconds(verified));
    }
}

impl StoreGauges {
    /// `oldest` is when the oldest mail that waits was given.
    pub(crate) fn mail(&self, waiting: u64, oldest: Option<Timestamp>) {
        self.mail_waiting.set(as_f64(waiting));
        self.mail_oldest.set(seconds(oldest));
    }
}

impl RetentionMetrics {
    fn register(metrics: &mut Metrics) -> Self {
        Self {
            removed: metrics.counter_family(
                "mb_server_retired",
                "What was removed because it was kept for long enough: bodies, messages, dead_letters, audit_rows.",
                "what",
            ),
            overdue: metrics.gauge_family(
                "mb_server_retention_overdue_seconds",
                "For how long the oldest that should be removed has been due, where this main server leads: bodies, messages.",
                "what",
            ),
        }
    }

    /// Counts what was removed.
    pub(crate) fn removed(&self, what: &'static str, count: u64) {
        if count > 0 {
            self.removed.inc_by(what, count);
        }
    }

    pub(crate) fn overdue(&self, what: Retired, overdue: Duration) {
        self.overdue.of(what.as_str()).set(overdue.as_secs_f64());
    }
}

impl DestinationGauges {
    fn register(metrics: &mut Metrics) -> Self {
        Self {
            dead_letters: metrics
                .gauge("mb_dead_letters", "Dead letters that wait for somebody's decision, up to a million."),
            by_state: metrics.gauge_family(
                "mb_server_destinations",
                "Destinations by state: enabled, paused, disabled.",
                "state",
            ),
            breakers_open: metrics
                .gauge("mb_server_breakers_open", "Enabled destinations whose circuit breaker is open or half open."),
            overdue: metrics.gauge_family(
                "mb_server_delivery_overdue_seconds",
                "For how long the delivery that has waited longest for an enabled destination has been due, by kind: \
                 webhook, pull; 0 if none is.",
                "kind",
            ),
        }
    }

    pub(crate) fn set(&self, dead_letters: u64, figures: &DestinationFigures) {
        self.dead_letters.set(as_f64(dead_letters));
        self.breakers_open.set(as_f64(figures.breakers_open));
        for state in DestinationState::ALL {
            self.by_state.of(state.as_str()).set(as_f64(figures.of(state)));
        }
        for kind in DestinationKind::ALL {
            self.overdue.of(kind.as_str()).set(figures.overdue(kind).as_secs_f64());
        }
    }
}

/// Since 1970; 0 for never.
fn seconds(at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, |at| as_f64(u64::try_from(at.seconds()).unwrap_or(0)))
}

/// Counts are far below 2^52, where a double stops being exact.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}
