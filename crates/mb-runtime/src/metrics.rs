//! Metrics: one registry per role, counted without locks, shown as Prometheus text.
//!
//! Names are `mb_<part>_<thing>_<unit>`, in base units; counters end in `_total` (given here without it, as the encoder
//! adds it). Labels are small closed sets, never ids, numbers or addresses. The text is the classic Prometheus format
//! 0.0.4, which every scraper reads without negotiation.

mod description;
mod instrument;
mod process;
mod text;

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use mb_api::problem::ApiError;
use mb_api::{Peer, paths};
use mb_core::{Clock, Role};
use prometheus_client::registry::Registry;

use crate::policy_watch::PolicyWatch;

pub use description::{Description, Kind};
pub use instrument::{Counter, CounterFamily, Distribution, Gauge, GaugeFamily, Histogram, LATENCY_SECONDS};

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of one role. Clones are the same metrics.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    registry: Registry,
    known: Vec<Description>,
}

impl Metrics {
    /// No metrics yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A counter. `name` without `_total`.
    pub fn counter(&mut self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.add(Kind::Counter, name, help, &[], counter.0.clone());
        counter
    }

    /// A counter per value of one label. `name` without `_total`.
    pub fn counter_family(&mut self, name: &str, help: &str, label: &'static str) -> CounterFamily {
        let family = CounterFamily::new(label);
        self.add(Kind::Counter, name, help, &[label], family.family.clone());
        family
    }

    /// A value that is set.
    pub fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.add(Kind::Gauge, name, help, &[], gauge.0.clone());
        gauge
    }

    /// A value per value of one label.
    pub fn gauge_family(&mut self, name: &str, help: &str, label: &'static str) -> GaugeFamily {
        let family = GaugeFamily::new(label);
        self.add(Kind::Gauge, name, help, &[label], family.family.clone());
        family
    }

    /// A value that is read when it is asked for; `read` must be quick.
    pub fn gauge_of<F>(&mut self, name: &str, help: &str, read: F)
    where
        F: Fn() -> f64 + Send + Sync + 'static,
    {
        self.add(Kind::Gauge, name, help, &[], instrument::Read(read));
    }

    /// A counter that someone else counts, read when it is asked for; `read` must be quick. `name` without `_total`.
    pub fn counter_of<F>(&mut self, name: &str, help: &str, read: F)
    where
        F: Fn() -> f64 + Send + Sync + 'static,
    {
        self.add(Kind::Counter, name, help, &[], instrument::ReadCounter(read));
    }

    /// A distribution that someone else counts, read when it is asked for; `read` must be quick.
    pub fn histogram_of<F>(&mut self, name: &str, help: &str, read: F)
    where
        F: Fn() -> Distribution + Send + Sync + 'static,
    {
        self.add(Kind::Histogram, name, help, &[], instrument::ReadDistribution(read));
    }

    /// A distribution over `buckets`' upper bounds.
    pub fn histogram(&mut self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let histogram = Histogram::new(buckets);
        self.add(Kind::Histogram, name, help, &[], histogram.0.clone());
        histogram
    }

    /// A distribution of durations in seconds, from 100 microseconds to 10 seconds.
    pub fn seconds(&mut self, name: &str, help: &str) -> Histogram {
        self.histogram(name, help, &LATENCY_SECONDS)
    }

    pub(crate) fn add(
        &self,
        kind: Kind,
        name: &str,
        help: &str,
        labels: &[&'static str],
        metric: impl prometheus_client::registry::Metric,
    ) {
        debug_assert_eq!(description::fault(kind, name), None, "{name}");
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let description = Description::new(kind, name, help, labels);
        debug_assert!(!inner.known.iter().any(|known| known.name == description.name), "{name} is registered twice");
        inner.known.push(description);
        // The encoder ends the help text with a full stop of its own.
        inner.registry.register(name, help.trim_end_matches('.'), metric);
    }

    /// Every metric, in the order of registration.
    pub fn descriptions(&self) -> Vec<Description> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).known.clone()
    }

    /// The text of several roles' metrics; families that more than one has are merged.
    pub fn encode(sources: &[Self]) -> String {
        let mut merged = text::Merged::default();
        for source in sources {
            let mut open_metrics = String::new();
            let inner = source.inner.lock().unwrap_or_else(PoisonError::into_inner);
            if prometheus_client::encoding::text::encode_registry(&mut open_metrics, &inner.registry).is_ok() {
                merged.add(&open_metrics);
            }
        }
        merged.finish()
    }
}

/// Who may read metrics.
#[derive(Clone, Debug)]
pub enum Access {
    /// Anyone who reaches the port.
    Open,
    /// A certificate of role monitoring or admin, or this machine if `loopback` says so.
    Restricted {
        /// Whether a loopback peer needs no certificate.
        loopback: Loopback,
        /// Whom to refuse.
        policy: PolicyWatch,
        /// The time, for expiry.
        clock: Clock,
    },
}

/// Whether a loopback peer may read metrics. Off behind a balancer, where everyone seems to be local.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loopback {
    /// It may.
    Allowed,
    /// It needs a certificate like everyone.
    Refused,
}

/// `GET /metrics` over `sources`.
pub fn router(sources: Vec<Metrics>, access: Access) -> Router {
    let shared = Arc::new((sources, access));
    Router::new().route(
        paths::METRICS,
        get(move |peer: Peer| {
            let shared = Arc::clone(&shared);
            async move { answer(&shared.0, &shared.1, &peer) }
        }),
    )
}

fn answer(sources: &[Metrics], access: &Access, peer: &Peer) -> Result<Response, ApiError> {
    admit(access, peer)?;
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    Ok(([content_type], Metrics::encode(sources)).into_response())
}

fn admit(access: &Access, peer: &Peer) -> Result<(), ApiError> {
    match access {
        Access::Open => Ok(()),
        Access::Restricted { loopback: Loopback::Allowed, .. } if peer.is_local() => Ok(()),
        Access::Restricted { policy, clock, .. } => {
            let no_policy = || ApiError::new(mb_api::ProblemCode::NoPolicy, "no policy to check the certificate by");
            let policy = policy.current().ok_or_else(no_policy)?;
            peer.authorize(&policy, &[Role::Monitoring, Role::Admin], clock.now()).map(|_| ())
        }
    }
}

#[cfg(test)]
mod tests;
