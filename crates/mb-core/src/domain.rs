//! What a tenant decides for its clients: what messages may look like, how many, and how long they stay.

use std::fmt;

use crate::field::FieldError;
use crate::retention::MIN_RETENTION_DAYS;
use crate::submission::BodyRules;

/// The most Unicode scalar values that a tenant may allow in a body (contract, section 3).
pub const MAX_BODY_LIMIT: u32 = 65_536;

/// The most messages per minute that a limit may name; more is no limit.
pub const MAX_RATE_LIMIT: u32 = 1_000_000;

/// The longest time that messages may be kept, ten years.
pub const MAX_RETENTION_DAYS: u32 = 3650;

/// Whether a message must name its sender's number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SenderRule {
    /// It must.
    #[default]
    Required,
    /// It may.
    Optional,
}

impl SenderRule {
    /// Every rule.
    pub const ALL: [Self; 2] = [Self::Required, Self::Optional];

    /// The word used in the store, the API and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
        }
    }

    /// Parses [`SenderRule::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == text)
    }
}

impl fmt::Display for SenderRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A tenant's settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct DomainRules {
    /// Whether a message must name its sender's number.
    pub sender_number: SenderRule,
    /// The most Unicode scalar values in a body; 1 to [`MAX_BODY_LIMIT`].
    pub body_limit: u32,
    /// Messages per 60 s for each of its clients, up to [`MAX_RATE_LIMIT`]; 0 is no limit, `None` the proxies' own.
    pub rate_limit: Option<u32>,
    /// Days after which messages are deleted, [`MIN_RETENTION_DAYS`] to [`MAX_RETENTION_DAYS`]; `None` is what holds for all.
    pub retention_days: Option<u32>,
    /// Days after which their contents are, 1 to [`MAX_RETENTION_DAYS`]; `None` is what holds for all.
    pub body_retention_days: Option<u32>,
}

impl Default for DomainRules {
    fn default() -> Self {
        let BodyRules { max_scalars, .. } = BodyRules::default();
        Self {
            sender_number: SenderRule::default(),
            body_limit: max_scalars,
            rate_limit: None,
            retention_days: None,
            body_retention_days: None,
        }
    }
}

impl DomainRules {
    /// The rules, if each is within its bounds.
    ///
    /// # Errors
    /// Every bound that is broken.
    pub fn check(self) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut hold = |pointer: &str, value: Option<u32>, least: u32, most: u32| {
            if value.is_some_and(|value| !(least..=most).contains(&value)) {
                let detail = format!("{} must be {least} to {most}", &pointer[1..]);
                errors.push(FieldError::new(pointer, "out_of_range", detail));
            }
        };
        hold("/body_limit", Some(self.body_limit), 1, MAX_BODY_LIMIT);
        hold("/rate_limit", self.rate_limit, 0, MAX_RATE_LIMIT);
        hold("/retention_days", self.retention_days, MIN_RETENTION_DAYS, MAX_RETENTION_DAYS);
        let longest = self.retention_days.unwrap_or(MAX_RETENTION_DAYS).min(MAX_RETENTION_DAYS);
        hold("/body_retention_days", self.body_retention_days, 1, longest);
        if errors.is_empty() { Ok(self) } else { Err(errors) }
    }

    /// What a proxy holds a message to.
    pub const fn body_rules(&self) -> BodyRules {
        BodyRules { max_scalars: self.body_limit, sender_required: matches!(self.sender_number, SenderRule::Required) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_what_holds_for_a_tenant_without_settings() {
        assert_eq!(DomainRules::default().body_rules(), BodyRules::default());
        assert_eq!(serde_json::from_str::<DomainRules>("{}").expect("all default"), DomainRules::default());
    }

    #[test]
    fn every_broken_bound_is_told() {
        let rules = DomainRules {
            body_limit: 0,
            rate_limit: Some(MAX_RATE_LIMIT + 1),
            retention_days: Some(29),
            body_retention_days: Some(30),
            ..DomainRules::default()
        };
        let pointers: Vec<_> = rules.check().expect_err("four").into_iter().map(|error| error.pointer).collect();
        assert_eq!(pointers, ["/body_limit", "/rate_limit", "/retention_days", "/body_retention_days"]);
        let widest = DomainRules { body_limit: MAX_BODY_LIMIT, rate_limit: Some(0), ..DomainRules::default() };
        assert_eq!(widest.check(), Ok(widest));
    }
}
