//! What came of an attempt, and what follows from it.

use std::time::{Duration, UNIX_EPOCH};

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc2822;

use super::breaker::Signal;
use super::retry::RetrySchedule;
use crate::clock::Timestamp;
use crate::destination::words;

words! {
    /// How an attempt ended, as finely as it matters to anybody.
    AttemptClass {
        /// It was taken: 2xx, or an ack.
        Taken = "taken",
        /// The host's name was not resolved.
        Dns = "dns",
        /// The host's addresses may not be connected to.
        Blocked = "blocked",
        /// No connection came about.
        Connect = "connect",
        /// The connection could not be secured.
        Tls = "tls",
        /// There was no answer in time.
        Timeout = "timeout",
        /// The connection broke, or what came was no HTTP.
        Broken = "broken",
        /// 3xx; redirects are not followed.
        Redirect = "redirect",
        /// 4xx but the two below.
        ClientError = "client_error",
        /// 410: nothing will ever be taken there again.
        Gone = "gone",
        /// 429.
        TooMany = "too_many",
        /// 5xx.
        ServerError = "server_error",
        /// A consumer gave it back.
        Nacked = "nacked",
        /// What should be sent cannot be: it does not open, or the destination's settings are unusable.
        Unsendable = "unsendable",
    }
}

impl AttemptClass {
    /// The class of an HTTP status (RFC 9110, section 15).
    pub const fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Taken,
            300..=399 => Self::Redirect,
            410 => Self::Gone,
            429 => Self::TooMany,
            400..=499 => Self::ClientError,
            500..=599 => Self::ServerError,
            _ => Self::Broken,
        }
    }

    /// What it means for the delivery.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Taken => Outcome::Delivered,
            Self::Gone => Outcome::Reject,
            _ => Outcome::Retry,
        }
    }

    /// What it says of the destination. An answer that refuses one message says nothing of the next one; a consumer that
    /// gives a message back, or a request that could not even be made, says nothing of the destination at all.
    pub const fn signal(self) -> Signal {
        match self {
            Self::Taken => Signal::Well,
            Self::ClientError | Self::Gone => Signal::Refused,
            Self::Nacked | Self::Unsendable => Signal::Nothing,
            _ => Signal::Ill,
        }
    }
}

/// What an attempt means for its delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is done.
    Delivered,
    /// It is to be tried again.
    Retry,
    /// It will never be taken.
    Reject,
}

/// What is done about a delivery after an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// It is closed.
    Done,
    /// It is tried again then.
    RetryAt(Timestamp),
    /// It is given up.
    DeadLetter(AttemptClass),
}

/// An attempt that was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tried {
    /// How it ended.
    pub class: AttemptClass,
    /// Which one it was, from 1.
    pub number: u32,
    /// What the receiver asked for.
    pub retry_after: Option<Duration>,
}

/// The longest wait that a receiver may ask for.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

impl Tried {
    /// What follows; `jitter` is a random factor from 0 to 1. A receiver that asks for time gets it, within a day, and
    /// never less than the schedule has.
    pub fn decide(self, schedule: &RetrySchedule, now: Timestamp, jitter: f64) -> Decision {
        match self.class.outcome() {
            Outcome::Delivered => Decision::Done,
            Outcome::Reject => Decision::DeadLetter(self.class),
            Outcome::Retry => match schedule.delay(self.number, jitter) {
                None => Decision::DeadLetter(self.class),
                Some(delay) => {
                    let asked = self.retry_after.unwrap_or_default().min(LONGEST_WAIT);
                    Decision::RetryAt(now.plus(delay.max(asked)))
                }
            },
        }
    }
}

/// The wait that a `Retry-After` asks for, in seconds or as a date (RFC 9110, section 10.2.3); `None` if it is neither.
pub fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(text.parse().map_or(LONGEST_WAIT, Duration::from_secs));
    }
    // All three forms of section 5.6.7, and the zones that RFC 5322 knows besides.
    let since_1970 = httpdate::parse_http_date(text).ok().and_then(|date| date.duration_since(UNIX_EPOCH).ok());
    let seconds = match since_1970 {
        Some(time) => i64::try_from(time.as_secs()).ok()?,
        None => OffsetDateTime::parse(text, &Rfc2822).ok()?.unix_timestamp(),
    };
    Some(Timestamp::from_micros(seconds.saturating_mul(1_000_000)).since(now))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    #[test]
    fn a_receiver_may_ask_for_time_within_bounds() {
        let wait = |text: &str| {
            let tried = Tried { class: AttemptClass::TooMany, number: 1, retry_after: retry_after(text, NOW) };
            match tried.decide(&RetrySchedule::default(), NOW, 0.0) {
                Decision::RetryAt(at) => at.since(NOW).as_secs(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(wait("0"), 5, "never sooner than the schedule");
        // Ten minutes after now, in each form that there is.
        for date in ["Tue, 14 Nov 2023 22:23:20 GMT", "Tuesday, 14-Nov-23 22:23:20 GMT", "Tue Nov 14 22:23:20 2023"] {
            assert_eq!(wait(date), 600, "{date}");
        }
        assert_eq!(wait("60"), 60);
        assert_eq!(wait("1000000000"), 86_400);
        assert_eq!(wait("99999999999999999999999"), 86_400);
        assert_eq!(wait("Tue, 14 Nov 2023 22:15:20 GMT"), 120);
        assert_eq!(wait("Tue, 14 Nov 1999 22:15:20 GMT"), 5);
        assert_eq!(wait("soon"), 5);
        assert_eq!(retry_after("-1", NOW), None);
    }

    #[test]
    fn every_status_has_a_class_and_only_gone_is_final_at_once() {
        for (status, class) in [
            (200, AttemptClass::Taken),
            (204, AttemptClass::Taken),
            (302, AttemptClass::Redirect),
            (404, AttemptClass::ClientError),
            (410, AttemptClass::Gone),
            (429, AttemptClass::TooMany),
            (503, AttemptClass::ServerError),
            (600, AttemptClass::Broken),
            (101, AttemptClass::Broken),
        ] {
            assert_eq!(AttemptClass::of_status(status), class, "{status}");
        }
        let rejects = AttemptClass::ALL.into_iter().filter(|class| class.outcome() == Outcome::Reject);
        assert_eq!(rejects.collect::<Vec<_>>(), [AttemptClass::Gone]);
    }

    proptest! {
        #[test]
        fn a_delivery_is_never_tried_for_ever_and_never_at_once(
            number in 1_u32..20_000,
            asked in prop::option::of(0_u64..u64::MAX / 2),
            jitter in 0.0_f64..=1.0,
        ) {
            let tried = Tried { class: AttemptClass::Timeout, number, retry_after: asked.map(Duration::from_secs) };
            match tried.decide(&RetrySchedule::default(), NOW, jitter) {
                Decision::RetryAt(at) => {
                    prop_assert!(number <= 10);
                    prop_assert!(at >= NOW.plus(Duration::from_secs(5)));
                    prop_assert!(at <= NOW.plus(Duration::from_hours(24).mul_f64(1.2)));
                }
                decision => {
                    prop_assert_eq!(decision, Decision::DeadLetter(AttemptClass::Timeout));
                    prop_assert!(number > 10);
                }
            }
        }
    }
}
