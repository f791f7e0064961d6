//! What a run gave: the contract's JSON, or a table for people. Data goes to stdout, words to stderr.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::answer::Errors;
use super::load::Outcome;
use super::tally::Latencies;
use super::verify::Verdict;

/// Percentiles in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(super) struct Percentiles {
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Percentiles {
    pub(super) fn of(latencies: &Latencies) -> Option<Self> {
        if latencies.is_empty() {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "an hour of microseconds is far below 2^52")]
        let at = |quantile| latencies.value_at_quantile(quantile) as f64 / 1000.0;
        Some(Self { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1.0) })
    }
}

/// Idle connections that were held during the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub(super) struct Idle {
    pub(super) opened: usize,
    /// Still open at the end.
    pub(super) held: usize,
}

/// The result of a run. Fields of the verification are `null` where it was left out.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    accepted: u64,
    accepted_per_second: f64,
    delivered: Option<u64>,
    delivered_per_second: Option<f64>,
    latency_ms: Option<Percentiles>,
    submit_to_delivered_ms: Option<Percentiles>,
    errors: Errors,
    lost: Option<usize>,
    /// Final, but not delivered.
    not_delivered: Option<u64>,
    /// Found, but not final when the waiting ended.
    pending: Option<u64>,
    requests: u64,
    handshakes: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) idle: Option<Idle>,
    /// Webhooks that were taken in this process, repeats among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<u64>,
    /// From the proxy's acceptance to the receiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_ms: Option<Percentiles>,
    /// What went wrong, in words.
    #[serde(skip)]
    pub(super) faults: Vec<String>,
}

impl Report {
    /// Puts together what the load and, if there was one, the verification saw.
    pub(super) fn new(outcome: Outcome, verdict: Option<&Verdict>) -> Self {
        let Outcome { tally, first_submit, elapsed } = outcome;
        let delivered = verdict.map(|verdict| {
            let last = verdict.last_delivered.unwrap_or(first_submit);
            (verdict.delivered, per_second(verdict.delivered, last.since(first_submit)))
        });
        let faults = [tally.fault, verdict.and_then(|verdict| verdict.fault.clone())].into_iter().flatten().collect();
        Self {
            accepted: tally.accepted,
            accepted_per_second: per_second(tally.accepted, elapsed),
            delivered: delivered.map(|(count, _)| count),
            delivered_per_second: delivered.map(|(_, rate)| rate),
            latency_ms: Percentiles::of(&tally.latency),
            submit_to_delivered_ms: verdict.and_then(|verdict| Percentiles::of(&verdict.submit_to_delivered)),
            errors: tally.errors,
            lost: verdict.map(|verdict| verdict.lost.len()),
            not_delivered: verdict.map(|verdict| verdict.not_delivered),
            pending: verdict.map(|verdict| verdict.pending),
            requests: tally.requests,
            handshakes: tally.handshakes,
            seconds: round(elapsed.as_secs_f64(), 1000.0),
            idle: None,
            webhooks: None,
            webhook_ms: None,
            faults,
        }
    }

    /// Adds what a receiver in this process took.
    pub(super) fn webhooks(&mut self, count: u64, on_their_way: &Latencies) {
        self.webhooks = Some(count);
        self.webhook_ms = Percentiles::of(on_their_way);
    }

    /// Whether something was accepted and nothing of it was lost.
    pub(super) fn is_good(&self) -> bool {
        self.accepted > 0 && self.lost.unwrap_or(0) == 0
    }

    /// A table.
    pub(super) fn table(&self) -> String {
        let mut lines = vec![
            ("requests", format!("{} in {:.3} s, {} handshakes", self.requests, self.seconds, self.handshakes)),
            ("accepted", format!("{}, {:.0}/s", self.accepted, self.accepted_per_second)),
        ];
        if let (Some(delivered), Some(rate)) = (self.delivered, self.delivered_per_second) {
            lines.push(("delivered", format!("{delivered}, {rate:.0}/s")));
        }
        let percentiles = [
            ("latency", self.latency_ms),
            ("submit to delivered", self.submit_to_delivered_ms),
            ("accepted to webhook", self.webhook_ms),
        ];
        for (name, Percentiles { p50, p99, p999, max }) in
            percentiles.into_iter().filter_map(|(name, percentiles)| Some((name, percentiles?)))
        {
            lines.push((name, format!("p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {max:.2} ms")));
        }
        let counts = [("not delivered", self.not_delivered), ("pending", self.pending)];
        lines
            .extend(counts.into_iter().filter_map(|(name, count)| Some((name, count.filter(|n| *n > 0)?.to_string()))));
        if let Some(Idle { opened, held }) = self.idle {
            lines.push(("idle connections", format!("{opened} opened, {held} still open at the end")));
        }
        if let Some(webhooks) = self.webhooks {
            lines.push(("webhooks", webhooks.to_string()));
        }
        for (code, count) in &self.errors {
            lines.push(("error", format!("{code}: {count}")));
        }
        if let Some(lost) = self.lost {
            lines.push(("lost", lost.to_string()));
        }
        lines.into_iter().fold(String::new(), |mut table, (name, value)| {
            writeln!(table, "{name:<20} {value}").expect("a string takes everything");
            table
        })
    }
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "2^52 messages take longer than any run")]
    let count = count as f64;
    if elapsed.is_zero() { 0.0 } else { round(count / elapsed.as_secs_f64(), 10.0) }
}

fn round(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

#[cfg(test)]
mod tests {
    use mb_core::{MessageId, Timestamp};

    use super::super::tally::{Accepted, Tally, latencies, record};
    use super::*;

    fn outcome(accepted: u64) -> Outcome {
        let mut tally = Tally::new();
        tally.accepted = accepted;
        tally.requests = accepted;
        tally.errors.insert("overloaded".to_owned(), 2);
        for micros in 1..=1000 {
            record(&mut tally.latency, Duration::from_micros(micros));
        }
        Outcome { tally, first_submit: Timestamp::from_micros(1_000_000), elapsed: Duration::from_secs(2) }
    }

    fn verdict() -> Verdict {
        Verdict {
            delivered: 100,
            not_delivered: 0,
            pending: 0,
            lost: Vec::new(),
            repeated: 0,
            last_delivered: Some(Timestamp::from_micros(5_000_000)),
            submit_to_delivered: latencies(),
            fault: None,
        }
    }

    #[test]
    fn rates_are_over_the_times_that_the_contract_names() {
        let report = Report::new(outcome(100), Some(&verdict()));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["accepted_per_second"], 50.0);
        assert_eq!(json["delivered_per_second"], 25.0);
        assert_eq!(json["latency_ms"]["p50"], 0.5);
        assert_eq!(json["latency_ms"]["max"], 1.0);
        assert_eq!(json["errors"]["overloaded"], 2);
        assert_eq!(json["lost"], 0);
        assert!(report.is_good());
        assert!(report.table().contains("accepted             100, 50/s\n"));
    }

    #[test]
    fn a_loss_or_an_empty_run_is_not_good() {
        let message = Accepted { id: MessageId::from_bytes([1; 16]), at: Timestamp::default() };
        let lost = Verdict { lost: vec![message], ..verdict() };
        assert!(!Report::new(outcome(100), Some(&lost)).is_good());
        assert!(!Report::new(outcome(0), None).is_good());
    }

    #[test]
    fn without_verification_its_fields_are_null() {
        let report = Report::new(outcome(1), None);
        let json = serde_json::to_value(&report).unwrap();
        assert!(json["delivered"].is_null() && json["lost"].is_null() && json["submit_to_delivered_ms"].is_null());
    }
}
