//! What is counted with: thin names over prometheus-client's atomics, so that no role depends on the library.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::{counter, gauge, histogram};

/// Upper bounds for durations in seconds.
pub const LATENCY_SECONDS: [f64; 14] =
    [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Counts up. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Counter(pub(crate) counter::Counter);

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// So many more.
    pub fn inc_by(&self, count: u64) {
        self.0.inc_by(count);
    }

    /// The count.
    pub fn value(&self) -> u64 {
        self.0.get()
    }
}

/// A value that goes up and down. Clones are the same value.
#[derive(Clone, Debug, Default)]
pub struct Gauge(pub(crate) gauge::Gauge<f64, AtomicU64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// One more.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// One less.
    pub fn dec(&self) {
        self.0.dec();
    }

    /// The value.
    pub fn value(&self) -> f64 {
        self.0.get()
    }
}

/// A distribution. Clones observe together.
#[derive(Clone, Debug)]
pub struct Histogram(pub(crate) histogram::Histogram);

impl Histogram {
    pub(super) fn new(buckets: &[f64]) -> Self {
        Self(histogram::Histogram::new(buckets.iter().copied()))
    }

    /// One more value.
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }

    /// One more duration, in seconds.
    pub fn observe_duration(&self, duration: Duration) {
        self.0.observe(duration.as_secs_f64());
    }
}

type Label = [(&'static str, String); 1];

/// A counter per value of a label. Values are a small closed set.
#[derive(Clone, Debug)]
pub struct CounterFamily {
    pub(super) family: Family<Label, counter::Counter>,
    label: &'static str,
}

impl CounterFamily {
    pub(super) fn new(label: &'static str) -> Self {
        Self { family: Family::default(), label }
    }

    /// Shows these values from the start, at 0: who counts a rise must see where it begins.
    #[must_use]
    pub fn starting_with<'a>(self, values: impl IntoIterator<Item = &'a str>) -> Self {
        values.into_iter().for_each(|value| self.inc_by(value, 0));
        self
    }

    /// One more.
    pub fn inc(&self, value: &str) {
        self.inc_by(value, 1);
    }

    /// So many more.
    pub fn inc_by(&self, value: &str, count: u64) {
        self.family.get_or_create(&[(self.label, value.to_owned())]).inc_by(count);
    }

    /// The counter of one value, to be kept where it is used often.
    pub fn of(&self, value: &str) -> Counter {
        Counter(self.family.get_or_create_owned(&[(self.label, value.to_owned())]))
    }
}

/// A value per value of a label.
#[derive(Clone, Debug)]
pub struct GaugeFamily {
    pub(super) family: Family<Label, gauge::Gauge<f64, AtomicU64>>,
    label: &'static str,
}

impl GaugeFamily {
    pub(super) fn new(label: &'static str) -> Self {
        Self { family: Family::default(), label }
    }

    /// The gauge of one label value.
    pub fn of(&self, value: &str) -> Gauge {
        Gauge(self.family.get_or_create_owned(&[(self.label, value.to_owned())]))
    }
}

/// A distribution that someone else counts.
#[derive(Clone, PartialEq, Debug)]
pub struct Distribution {
    /// Sum of all values.
    pub sum: f64,
    /// Upper bounds, ascending.
    pub bounds: Vec<f64>,
    /// Values per bound, not cumulative, and one more for what lies beyond the last.
    pub counts: Vec<u64>,
}

/// A [`Distribution`] that is read when it is asked for.
pub(super) struct ReadDistribution<F>(pub(super) F);

impl<F> fmt::Debug for ReadDistribution<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadDistribution")
    }
}

impl<F: Fn() -> Distribution> EncodeMetric for ReadDistribution<F> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let Distribution { sum, bounds, counts } = (self.0)();
        let bounds = bounds.into_iter().chain(std::iter::once(f64::INFINITY));
        let buckets: Vec<_> = bounds.zip(counts.iter().copied()).collect();
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// A counter whose value is read when it is asked for.
pub(super) struct ReadCounter<F>(pub(super) F);

impl<F> fmt::Debug for ReadCounter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadCounter")
    }
}

impl<F: Fn() -> f64> EncodeMetric for ReadCounter<F> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_counter::<NoLabelSet, f64, f64>(&(self.0)(), None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

/// A gauge whose value is read when it is asked for.
pub(super) struct Read<F>(pub(super) F);

impl<F> fmt::Debug for Read<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Read")
    }
}

impl<F: Fn() -> f64> EncodeMetric for Read<F> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&(self.0)())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}
