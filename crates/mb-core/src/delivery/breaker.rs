//! The circuit breaker: a destination that is ill is left alone, then asked with one delivery, then served again.
//!
//! It opens after [`CONSECUTIVE`] failures in a row, or when of at least [`LEAST`] attempts within [`WINDOW`] so many have
//! failed that there is no use. Its state lies in the store, so that all workers share it.

use std::time::Duration;

use crate::clock::Timestamp;

/// Failures in a row that open it.
const CONSECUTIVE: u32 = 10;
/// The time over which attempts are counted.
const WINDOW: Duration = Duration::from_mins(5);
/// The parts of [`WINDOW`] that are forgotten one by one.
const PARTS: i64 = 5;
/// The fewest attempts from which a share says something.
const LEAST: u32 = 10;
/// Failures of a hundred attempts that open it.
const PERCENT: u32 = 70;
/// How long it stays open before one delivery is tried.
const PAUSE: Duration = Duration::from_secs(30);

/// A destination that has taken nothing for so long, though it was tried, is disabled.
pub const DISABLE_AFTER: Duration = Duration::from_hours(120);

/// What an attempt says of the destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// It takes messages.
    Well,
    /// It answers, but did not take this message.
    Refused,
    /// It does not work.
    Ill,
    /// Nothing: it had no part in it.
    Nothing,
}

/// Whether deliveries go to a destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// They do.
    Closed,
    /// They wait.
    Open,
    /// One may go, to see.
    HalfOpen,
}

impl BreakerState {
    /// The word used in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// A destination's breaker.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Breaker {
    /// Failures since the last success.
    consecutive: u32,
    /// Attempts by the part of the window that they fell into, the newest last.
    parts: Vec<Part>,
    /// Until when it is open, once it has opened, microseconds; then it is half open until an attempt decides.
    open_until: Option<i64>,
    /// One delivery is under way to see; what comes of it decides.
    #[serde(default)]
    probing: bool,
    /// Since when nothing was taken, though it was tried, microseconds.
    failing_since: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
struct Part {
    number: i64,
    well: u32,
    ill: u32,
}

impl Breaker {
    /// How it stands.
    pub fn state(&self, now: Timestamp) -> BreakerState {
        match self.open_until {
            None => BreakerState::Closed,
            Some(until) if now.micros() < until => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// Until when it is open, or was; `None` if it is closed.
    pub fn open_until(&self) -> Option<Timestamp> {
        self.open_until.map(Timestamp::from_micros)
    }

    /// Since when the destination has taken nothing, though it was tried.
    pub fn failing_since(&self) -> Option<Timestamp> {
        self.failing_since.map(Timestamp::from_micros)
    }

    /// Whether the destination has failed for so long that it is to be disabled.
    pub fn is_hopeless(&self, now: Timestamp) -> bool {
        self.failing_since().is_some_and(|since| now.since(since) >= DISABLE_AFTER)
    }

    /// Takes in what an attempt says. An open one is not opened further by what was under way when it opened.
    pub fn record(&mut self, signal: Signal, now: Timestamp) {
        let state = if self.probing { BreakerState::HalfOpen } else { self.state(now) };
        match signal {
            Signal::Well => {
                self.failing_since = None;
                self.consecutive = 0;
                self.probing = false;
                if self.open_until.take().is_some() {
                    self.parts.clear();
                }
                self.part(now).well += 1;
            }
            Signal::Refused => {
                self.failing_since.get_or_insert(now.micros());
                // It answers: that was the question.
                if state == BreakerState::HalfOpen {
                    *self = Self { failing_since: self.failing_since, ..Self::default() };
                }
            }
            Signal::Nothing => {}
            Signal::Ill => {
                self.failing_since.get_or_insert(now.micros());
                self.consecutive = self.consecutive.saturating_add(1);
                self.part(now).ill += 1;
                let opens = match state {
                    BreakerState::Closed => self.consecutive >= CONSECUTIVE || self.share_is_high(),
                    BreakerState::HalfOpen => true,
                    BreakerState::Open => false,
                };
                if opens {
                    self.probing = false;
                    self.open_until = Some(now.plus(PAUSE).micros());
                }
            }
        }
    }

    /// One delivery is sent to a half-open destination: nobody else sends another before `until`.
    pub fn probe(&mut self, until: Timestamp) {
        (self.open_until, self.probing) = (Some(until.micros()), true);
    }

    fn share_is_high(&self) -> bool {
        let (well, ill) = self.parts.iter().fold((0, 0), |(well, ill), part| (well + part.well, ill + part.ill));
        well + ill >= LEAST && ill * 100 >= (well + ill) * PERCENT
    }

    /// The part that `now` falls into; what is older than the window is forgotten. A clock that was set back counts into
    /// the newest.
    fn part(&mut self, now: Timestamp) -> &mut Part {
        let length = i64::try_from(WINDOW.as_micros()).unwrap_or(i64::MAX) / PARTS;
        let number = now.micros().div_euclid(length).max(self.parts.last().map_or(i64::MIN, |part| part.number));
        self.parts.retain(|part| part.number > number.saturating_sub(PARTS));
        if self.parts.last().is_none_or(|part| part.number < number) {
            self.parts.push(Part { number, well: 0, ill: 0 });
        }
        let last = self.parts.len() - 1;
        &mut self.parts[last]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEGUN: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn after(seconds: u64) -> Timestamp {
        BEGUN.plus(Duration::from_secs(seconds))
    }

    fn ill(breaker: &mut Breaker, times: u32, now: Timestamp) {
        (0..times).for_each(|_| breaker.record(Signal::Ill, now));
    }

    #[test]
    fn ten_failures_in_a_row_open_it_and_one_success_closes_it() {
        let mut breaker = Breaker::default();
        // Successes enough that the share stays low.
        (0..30).for_each(|_| breaker.record(Signal::Well, after(0)));
        ill(&mut breaker, 9, after(1));
        assert_eq!(breaker.state(after(1)), BreakerState::Closed);
        ill(&mut breaker, 1, after(1));
        assert_eq!(breaker.state(after(30)), BreakerState::Open);
        assert_eq!(breaker.state(after(31)), BreakerState::HalfOpen);
        breaker.probe(after(91));
        assert_eq!(breaker.state(after(90)), BreakerState::Open, "one probe at a time");
        breaker.record(Signal::Well, after(40));
        assert_eq!(breaker.state(after(40)), BreakerState::Closed);
        assert_eq!(breaker.failing_since(), None);
    }

    #[test]
    fn a_share_of_failures_opens_it_within_the_window_alone() {
        let mut breaker = Breaker::default();
        (0..3).for_each(|_| breaker.record(Signal::Well, after(0)));
        ill(&mut breaker, 6, after(1));
        assert_eq!(breaker.state(after(1)), BreakerState::Closed, "nine attempts say nothing");
        ill(&mut breaker, 1, after(2));
        assert_eq!(breaker.state(after(2)), BreakerState::Open, "seven of ten");
        let mut slow = Breaker::default();
        for n in 0..9 {
            slow.record(Signal::Ill, after(n * 400));
        }
        slow.record(Signal::Well, after(3600));
        ill(&mut slow, 5, after(3700));
        assert_eq!(slow.state(after(3700)), BreakerState::Closed, "old ones are forgotten");
    }

    #[test]
    fn a_failed_probe_opens_it_again_and_a_refusal_is_an_answer() {
        let mut breaker = Breaker::default();
        ill(&mut breaker, 10, after(0));
        breaker.record(Signal::Ill, after(31));
        assert_eq!(breaker.state(after(60)), BreakerState::Open);
        breaker.probe(after(122));
        breaker.record(Signal::Ill, after(63));
        assert_eq!(breaker.state(after(92)), BreakerState::Open);
        assert_eq!(breaker.state(after(93)), BreakerState::HalfOpen, "half a minute from then");
        breaker.probe(after(153));
        breaker.record(Signal::Refused, after(94));
        assert_eq!(breaker.state(after(94)), BreakerState::Closed);
        assert_eq!(breaker.failing_since(), Some(after(0)), "still nothing was taken");
        ill(&mut breaker, 9, after(95));
        assert_eq!(breaker.state(after(95)), BreakerState::Closed, "it begins anew");
    }

    #[test]
    fn five_days_of_failure_are_enough() {
        let mut breaker = Breaker::default();
        breaker.record(Signal::Refused, after(0));
        assert!(!breaker.is_hopeless(after(120 * 3600 - 1)) && breaker.is_hopeless(after(120 * 3600)));
        breaker.record(Signal::Well, after(10));
        assert!(!breaker.is_hopeless(after(1_000_000)));
    }

    #[test]
    fn what_says_nothing_of_a_destination_neither_opens_closes_nor_disables_it() {
        let mut breaker = Breaker::default();
        for _ in 0..CONSECUTIVE {
            breaker.record(Signal::Nothing, after(0));
        }
        assert_eq!((breaker.state(after(0)), breaker.failing_since()), (BreakerState::Closed, None));
        ill(&mut breaker, 10, after(1));
        breaker.record(Signal::Nothing, after(31));
        assert_eq!(breaker.state(after(31)), BreakerState::HalfOpen, "nobody has seen how it is");
    }

    proptest! {
        #[test]
        fn it_stays_small_and_closed_while_all_is_well(
            steps in prop::collection::vec((0_u64..400, prop::bool::ANY), 1..200),
        ) {
            let (mut breaker, mut now) = (Breaker::default(), BEGUN);
            for (gap, back) in steps {
                now = if back { now.minus(Duration::from_secs(gap)) } else { now.plus(Duration::from_secs(gap)) };
                breaker.record(Signal::Well, now);
                breaker.record(Signal::Refused, now);
                prop_assert_eq!(breaker.state(now), BreakerState::Closed);
                prop_assert!(breaker.parts.len() <= 5);
            }
            let json = serde_json::to_string(&breaker).expect("serialises");
            prop_assert_eq!(serde_json::from_str::<Breaker>(&json).expect("reads"), breaker);
        }
    }
}
