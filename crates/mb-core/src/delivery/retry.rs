//! When a delivery is tried again: a schedule of waits, or one wait a number of times.

use std::fmt;
use std::time::Duration;

/// The most steps of a schedule.
const MAX_STEPS: usize = 100;
/// The most times that one wait is repeated.
const MAX_TIMES: u32 = 100_000;
/// The longest wait.
const MAX_WAIT: Duration = Duration::from_hours(7 * 24);
/// How much of a wait chance may add to it, so that what failed together is not tried again together.
const JITTER: f64 = 0.2;

/// What a schedule must look like, for error messages.
pub const SCHEDULE_RULE: &str = "waits of 1s to 168h as in '5s,30s,2m,1h' (at most 100), or 'fixed:30s*10000' for one \
                                 wait that is repeated (at most 100000 times)";

/// How long is waited after each attempt that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetrySchedule(Waits);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Waits {
    Steps(Vec<Duration>),
    Fixed { wait: Duration, times: u32 },
}

/// 11 attempts within two days.
impl Default for RetrySchedule {
    fn default() -> Self {
        let minutes = |n| Duration::from_mins(n);
        let hours = |n| Duration::from_hours(n);
        Self(Waits::Steps(vec![
            Duration::from_secs(5),
            Duration::from_secs(30),
            minutes(2),
            minutes(10),
            minutes(30),
            hours(1),
            hours(3),
            hours(6),
            hours(12),
            hours(24),
        ]))
    }
}

impl RetrySchedule {
    /// Parses [`SCHEDULE_RULE`]; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(fixed) = text.strip_prefix("fixed:") {
            let (every, times) = fixed.split_once('*')?;
            let times = times.parse().ok().filter(|times| (1..=MAX_TIMES).contains(times))?;
            return Some(Self(Waits::Fixed { wait: parse_wait(every)?, times }));
        }
        let steps = text.split(',').map(|wait| parse_wait(wait.trim())).collect::<Option<Vec<_>>>()?;
        (steps.len() <= MAX_STEPS).then_some(Self(Waits::Steps(steps)))
    }

    /// The wait after attempt `number` (from 1); `None` if it was the last. `jitter` is a random factor from 0 to 1.
    pub fn delay(&self, number: u32, jitter: f64) -> Option<Duration> {
        let wait = match &self.0 {
            Waits::Steps(steps) => *steps.get(usize::try_from(number.checked_sub(1)?).ok()?)?,
            Waits::Fixed { wait, times } => (number <= *times).then_some(*wait)?,
        };
        Some(wait.mul_f64(1.0 + JITTER * jitter.clamp(0.0, 1.0)))
    }

    /// How often a delivery is tried at most.
    pub fn attempts(&self) -> u32 {
        match &self.0 {
            Waits::Steps(steps) => u32::try_from(steps.len()).unwrap_or(u32::MAX).saturating_add(1),
            Waits::Fixed { times, .. } => times.saturating_add(1),
        }
    }
}

fn parse_wait(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let digits = !number.is_empty() && number.len() <= 7 && number.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = digits.then(|| number.parse().ok()).flatten()?;
    let wait = Duration::from_secs(number * seconds);
    (!wait.is_zero() && wait <= MAX_WAIT).then_some(wait)
}

fn show_wait(wait: Duration) -> String {
    match wait.as_secs() {
        seconds if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        seconds if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

impl fmt::Display for RetrySchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Waits::Steps(steps) => {
                let steps = steps.iter().map(|wait| show_wait(*wait)).collect::<Vec<_>>();
                f.write_str(&steps.join(","))
            }
            Waits::Fixed { wait, times } => write!(f, "fixed:{}*{times}", show_wait(*wait)),
        }
    }
}

impl serde::Serialize for RetrySchedule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for RetrySchedule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(SCHEDULE_RULE))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_is_the_contracts_and_the_guides_is_understood() {
        let default = RetrySchedule::default();
        assert_eq!(default.to_string(), "5s,30s,2m,10m,30m,1h,3h,6h,12h,24h");
        assert_eq!(RetrySchedule::parse(&default.to_string()), Some(default.clone()));
        assert_eq!(default.attempts(), 11);
        let fixed = RetrySchedule::parse("fixed:30s*10000").expect("valid");
        assert_eq!(fixed.to_string(), "fixed:30s*10000");
        let delays = [1, 10_000, 10_001, 0].map(|number| fixed.delay(number, 0.0).map(|wait| wait.as_secs()));
        assert_eq!(delays, [Some(30), Some(30), None, Some(30)]);
        assert_eq!(default.delay(0, 0.0), None);
        for bad in ["", "5", "5d", "0s", "s", "5s,", "fixed:5s", "fixed:5s*0", "fixed:5s*100001", "169h", "-5s", "5 s"]
        {
            assert_eq!(RetrySchedule::parse(bad), None, "{bad}");
        }
        assert_eq!(RetrySchedule::parse(&vec!["1s"; 101].join(",")), None);
    }

    proptest! {
        #[test]
        fn chance_adds_a_fifth_at_most(
            steps in prop::collection::vec(1_u64..600_000, 1..20),
            number in 1_u32..25,
            jitter in -1.0_f64..2.0,
        ) {
            let text = steps.iter().map(|step| format!("{step}s")).collect::<Vec<_>>().join(",");
            let schedule = RetrySchedule::parse(&text).expect("valid");
            prop_assert_eq!(RetrySchedule::parse(&schedule.to_string()), Some(schedule.clone()));
            match schedule.delay(number, jitter) {
                None => prop_assert!(number as usize > steps.len()),
                Some(delay) => {
                    let wait = Duration::from_secs(steps[number as usize - 1]);
                    prop_assert!(delay >= wait && delay <= wait.mul_f64(1.2));
                }
            }
        }
    }
}
