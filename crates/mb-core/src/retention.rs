//! How long what is done with is kept: contents, what is known about messages, the audit log.
//!
//! Age counts from when a proxy accepted the message. What is known about a message outlives its content, and never ends
//! before the horizon: until then a copy of it may still be on its way, and must meet its row.

use std::time::Duration;

use crate::domain::{DomainRules, MAX_RETENTION_DAYS};
use crate::field::FieldError;
use crate::policy::HORIZON;

const DAY: Duration = Duration::from_hours(24);

/// The fewest days that a message's row is kept: the horizon.
pub const MIN_RETENTION_DAYS: u32 = 30;

const _: () = assert!(HORIZON.as_secs() == MIN_RETENTION_DAYS as u64 * DAY.as_secs());

/// What holds for the installation as a whole; a domain may have days of its own for its messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Retention {
    /// Days that contents are kept, 1 to [`MAX_RETENTION_DAYS`].
    pub body_days: u32,
    /// Days that messages are known at all, [`MIN_RETENTION_DAYS`] to [`MAX_RETENTION_DAYS`].
    pub metadata_days: u32,
    /// Days that the audit log is kept, within the same bounds.
    pub audit_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { body_days: 30, metadata_days: 180, audit_days: 400 }
    }
}

/// What is removed of a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Retired {
    /// Its content, and what receivers answered to it.
    Bodies,
    /// All that is known of it.
    Messages,
}

impl Retired {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Bodies, Self::Messages];

    /// The word used in the store, metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bodies => "bodies",
            Self::Messages => "messages",
        }
    }

    /// Parses [`Retired::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.as_str() == text)
    }
}

/// For how long a domain's messages are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Contents.
    pub bodies: Duration,
    /// What is known about them.
    pub metadata: Duration,
}

impl Kept {
    /// For how long that is.
    pub const fn of(&self, what: Retired) -> Duration {
        match what {
            Retired::Bodies => self.bodies,
            Retired::Messages => self.metadata,
        }
    }
}

impl Retention {
    /// The settings, if each is within its bounds and contents are kept no longer than their messages.
    ///
    /// # Errors
    /// Every bound that is broken.
    pub fn check(self) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        for (pointer, days, least) in [
            ("/body_days", self.body_days, 1),
            ("/metadata_days", self.metadata_days, MIN_RETENTION_DAYS),
            ("/audit_days", self.audit_days, MIN_RETENTION_DAYS),
        ] {
            if !(least..=MAX_RETENTION_DAYS).contains(&days) {
                let detail = format!("{} must be {least} to {MAX_RETENTION_DAYS}", &pointer[1..]);
                errors.push(FieldError::new(pointer, "out_of_range", detail));
            }
        }
        if errors.is_empty() && self.body_days > self.metadata_days {
            let detail = "body_days must not be more than metadata_days: a content goes with its message";
            errors.push(FieldError::new("/body_days", "out_of_range", detail));
        }
        if errors.is_empty() { Ok(self) } else { Err(errors) }
    }

    /// What holds for a domain: its own days, else these; a content goes with its message at the latest.
    pub fn of(&self, rules: &DomainRules) -> Kept {
        let metadata = rules.retention_days.unwrap_or(self.metadata_days).max(MIN_RETENTION_DAYS);
        let bodies = rules.body_retention_days.unwrap_or(self.body_days).min(metadata);
        Kept { bodies: DAY * bodies, metadata: DAY * metadata }
    }

    /// For how long the audit log is kept.
    pub fn audit(&self) -> Duration {
        DAY * self.audit_days.max(MIN_RETENTION_DAYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_days_of_its_own_and_never_fewer_than_the_horizon() {
        let all = Retention::default();
        let of = |retention_days, body_retention_days| {
            let kept = all.of(&DomainRules { retention_days, body_retention_days, ..DomainRules::default() });
            (kept.bodies.as_secs() / 86_400, kept.metadata.as_secs() / 86_400)
        };
        assert_eq!(of(None, None), (30, 180));
        assert_eq!(of(Some(90), Some(7)), (7, 90));
        assert_eq!(of(None, Some(400)), (180, 180), "a content goes with its message");
        assert_eq!(of(Some(1), None), (30, 30), "as it may stand in an older database");
    }

    #[test]
    fn every_broken_bound_is_told() {
        let broken = Retention { body_days: 0, metadata_days: 29, audit_days: MAX_RETENTION_DAYS + 1 };
        let pointers = broken.check().expect_err("three").into_iter().map(|error| error.pointer);
        assert_eq!(pointers.collect::<Vec<_>>(), ["/body_days", "/metadata_days", "/audit_days"]);
        let upside_down = Retention { body_days: 181, ..Retention::default() };
        assert_eq!(upside_down.check().expect_err("one")[0].pointer, "/body_days");
        assert_eq!(Retention::default().check(), Ok(Retention::default()));
    }
}
