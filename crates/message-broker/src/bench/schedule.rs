//! Which request comes next, and when it is due.
//!
//! One counter for all connections: whoever is free takes the next request. With a rate each request has a due time that
//! does not depend on the answers before it, so a stall of the server delays the requests behind it and shows in their
//! latency instead of hiding them (no coordinated omission).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// When to stop sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Limit {
    /// After this time.
    Time(Duration),
    /// After this many messages, rounded up to whole requests.
    Messages(u64),
}

/// The order of requests.
#[derive(Debug)]
pub(crate) struct Schedule {
    next: AtomicU64,
    requests: u64,
    length: Option<Duration>,
    interval: Option<f64>,
}

/// Leave to send one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ticket {
    /// Its number, from 0.
    pub(crate) number: u64,
    /// When it is due, from the start; `None` in a closed loop.
    pub(crate) due: Option<Duration>,
}

impl Schedule {
    /// Requests of `items` messages each; `rate` in messages per second.
    pub(crate) fn new(limit: Limit, rate: Option<f64>, items: usize) -> Self {
        let items = items.max(1) as u64;
        let (requests, length) = match limit {
            Limit::Time(length) => (u64::MAX, Some(length)),
            Limit::Messages(count) => (count.div_ceil(items), None),
        };
        #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52")]
        let interval = rate.map(|rate| items as f64 / rate);
        Self { next: AtomicU64::new(0), requests, length, interval }
    }

    /// The next request; `None` when there are no more. `elapsed` is the time since the start.
    pub(crate) fn next(&self, elapsed: Duration) -> Option<Ticket> {
        if self.length.is_some_and(|length| elapsed >= length) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.requests {
            return None;
        }
        let due = self.due(number);
        if due.zip(self.length).is_some_and(|(due, length)| due >= length) {
            None
        } else {
            Some(Ticket { number, due })
        }
    }

    /// How much of the run is over, 0 to 1, when request `number` has been answered.
    pub(crate) fn progress(&self, number: u64, elapsed: Duration) -> f64 {
        match self.length {
            Some(length) if length.is_zero() => 1.0,
            Some(length) => elapsed.as_secs_f64() / length.as_secs_f64(),
            #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
            None => (number + 1) as f64 / self.requests as f64,
        }
    }

    /// Whether nothing is left to be sent.
    pub(crate) fn is_over(&self, elapsed: Duration) -> bool {
        self.length.is_some_and(|length| elapsed >= length) || self.next.load(Ordering::Relaxed) >= self.requests
    }

    fn due(&self, number: u64) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "2^52 requests take longer than any run")]
        self.interval.map(|interval| Duration::from_secs_f64(interval * number as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Duration = Duration::ZERO;

    #[test]
    fn a_count_is_rounded_up_to_whole_requests() {
        let schedule = Schedule::new(Limit::Messages(201), None, 100);
        let numbers: Vec<u64> = std::iter::from_fn(|| schedule.next(NONE)).map(|ticket| ticket.number).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert!(schedule.is_over(NONE));
    }

    #[test]
    fn a_closed_loop_ends_with_its_time() {
        let schedule = Schedule::new(Limit::Time(Duration::from_secs(2)), None, 1);
        assert_eq!(schedule.next(Duration::from_millis(1999)), Some(Ticket { number: 0, due: None }));
        assert_eq!(schedule.next(Duration::from_secs(2)), None);
        assert!((schedule.progress(0, Duration::from_secs(1)) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn an_open_loop_is_due_by_its_rate_whatever_the_answers_do() {
        let schedule = Schedule::new(Limit::Time(Duration::from_secs(1)), Some(20.0), 10);
        let late = Duration::from_millis(900);
        assert_eq!(schedule.next(late), Some(Ticket { number: 0, due: Some(Duration::ZERO) }));
        assert_eq!(schedule.next(late), Some(Ticket { number: 1, due: Some(Duration::from_millis(500)) }));
        assert_eq!(schedule.next(late), None, "the third would be due when the run is over");
    }
}
