//! The daily backup: when it is due, and who makes it.

use std::sync::Arc;
use std::time::Duration;

use mb_core::Timestamp;
use mb_store::{NoticeKey, StoreError};

use super::job::Order;
use super::{folder, job};
use crate::app::App;
use crate::notices;

/// Who orders it.
pub(super) const ACTOR: &str = "system:daily-backup";
/// After a failure it is tried again.
const AGAIN: Duration = Duration::from_hours(1);
/// A day.
const DAY: Duration = Duration::from_hours(24);

/// A time of every day, UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeOfDay {
    minutes: u16,
}

impl TimeOfDay {
    /// Reads `HH:MM`.
    pub fn parse(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let is_two_digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |text: &str, end: u16| text.parse::<u16>().ok().filter(|n| is_two_digits(text) && *n < end);
        Some(Self { minutes: number(hours, 24)? * 60 + number(minutes, 60)? })
    }

    /// The last time that it was so late, now included.
    fn last(self, now: Timestamp) -> Timestamp {
        let day = now.seconds().div_euclid(86_400) * 86_400;
        let today = Timestamp::from_micros((day + i64::from(self.minutes) * 60) * 1_000_000);
        if today <= now { today } else { today.minus(DAY) }
    }
}

/// What the daily backup remembers from turn to turn.
#[derive(Debug, Default)]
pub(crate) struct Daily {
    /// Since when it is looked at.
    since: Option<Timestamp>,
    attempted: Option<Timestamp>,
    /// Whether it was said that there is no key.
    told: bool,
}

impl Daily {
    /// A backup is due if none was made since the time of day was passed: one that was missed is made up for. Where there
    /// has been none yet, the first one waits for its time.
    fn is_due(&self, at: TimeOfDay, now: Timestamp, newest: Option<Timestamp>) -> bool {
        let moment = at.last(now);
        let made = newest.or(self.since).is_some_and(|made| made >= moment);
        let tried = self.attempted.is_some_and(|tried| tried >= moment && now.since(tried) < AGAIN);
        !made && !tried
    }

    /// Makes a backup if one is due, and waits for it.
    pub(crate) async fn turn(&mut self, app: &Arc<App>) -> Result<(), StoreError> {
        let config = app.backups.config();
        let Some(at) = config.daily else { return Ok(()) };
        if !self.say_whether_there_is_a_key(app).await? {
            return Ok(());
        }
        let now = app.clock.now();
        self.since.get_or_insert(now);
        let newest = match folder::newest(&config.dir) {
            Ok((newest, _)) => newest,
            Err(error) => {
                tracing::warn!(error = error.in_full(), "backups not listed");
                None
            }
        };
        if self.is_due(at, now, newest) {
            self.attempted = Some(now);
            // Another job may be under way; its backup counts as well as this one.
            if let Ok(job) = job::begin(app, Order::Create { dir: None }, ACTOR) {
                job.ended().await;
            }
        }
        Ok(())
    }

    async fn say_whether_there_is_a_key(&mut self, app: &App) -> Result<bool, StoreError> {
        let reason = app.backups.config().key.as_ref().err();
        if self.told {
            return Ok(reason.is_none());
        }
        if let Some(reason) = reason {
            tracing::warn!(reason, "no backups are made");
            notices::backup(app, Some(notices::NoBackup::Key(reason))).await?;
        } else {
            let key = NoticeKey::About(mb_core::NoticeKind::BackupFailed, notices::NO_KEY);
            app.store.resolve_notice(key, ACTOR).await?;
        }
        self.told = true;
        Ok(reason.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect("a time")
    }

    #[test]
    fn a_time_of_day_is_two_digits_and_two() {
        assert_eq!(TimeOfDay::parse("02:00"), Some(TimeOfDay { minutes: 120 }));
        assert_eq!(TimeOfDay::parse("23:59"), Some(TimeOfDay { minutes: 23 * 60 + 59 }));
        for bad in ["", "2:00", "24:00", "02:60", "02", "+2:00", "02:00:00"] {
            assert_eq!(TimeOfDay::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn it_is_due_once_a_day_and_again_after_a_failure() {
        let two = TimeOfDay::parse("02:00").expect("a time");
        let mut daily = Daily { since: Some(at("2026-11-24T15:00:00Z")), ..Daily::default() };
        assert!(!daily.is_due(two, at("2026-11-24T15:00:00Z"), None), "the first one waits for its time");
        assert!(!daily.is_due(two, at("2026-11-25T01:59:59Z"), None));
        assert!(daily.is_due(two, at("2026-11-25T02:00:00Z"), None));
        let yesterday = Some(at("2026-11-24T02:00:03Z"));
        assert!(daily.is_due(two, at("2026-11-25T14:00:00Z"), yesterday), "a missed one is made up for");
        daily.attempted = Some(at("2026-11-25T02:00:00Z"));
        assert!(!daily.is_due(two, at("2026-11-25T02:30:00Z"), yesterday), "it failed just now");
        assert!(daily.is_due(two, at("2026-11-25T03:00:00Z"), yesterday));
        assert!(!daily.is_due(two, at("2026-11-25T03:00:00Z"), Some(at("2026-11-25T02:00:09Z"))));
        assert!(daily.is_due(two, at("2026-11-26T02:00:00Z"), Some(at("2026-11-25T02:00:09Z"))));
    }
}
