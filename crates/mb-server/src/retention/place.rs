//! How far a run that somebody asked for has come: domain by domain, then what names none, then the audit log.

use mb_core::{DomainName, MessageId, Timestamp};
use mb_store::{LetterPlace, RetentionPlace, Retired};

/// What is gone through next, and behind what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// A domain's messages, or their contents.
    Messages(Retired, DomainName, Option<RetentionPlace>),
    /// Dead letters that never were messages; of `None`: those that name no domain.
    Letters(Option<DomainName>, Option<LetterPlace>),
    /// The audit log.
    Audit,
}

/// What stands for no domain; no name has it.
const NOBODY: &str = "-";

impl Place {
    /// Where a run begins, or goes on behind a domain.
    pub(super) fn behind(domain: Option<&DomainName>, domains: &[DomainName]) -> Self {
        match domains.iter().find(|next| domain.is_none_or(|domain| *next > domain)) {
            Some(next) => Self::Messages(Retired::Messages, next.clone(), None),
            None => Self::Letters(None, None),
        }
    }

    /// What comes after this one once it is done; `None`: that was all.
    pub(super) fn next(&self, domains: &[DomainName]) -> Option<Self> {
        match self {
            Self::Messages(Retired::Messages, domain, _) => Some(Self::Messages(Retired::Bodies, domain.clone(), None)),
            Self::Messages(Retired::Bodies, domain, _) => Some(Self::Letters(Some(domain.clone()), None)),
            Self::Letters(Some(domain), _) => Some(Self::behind(Some(domain), domains)),
            Self::Letters(None, _) => Some(Self::Audit),
            Self::Audit => None,
        }
    }

    /// The text that callers hand back.
    pub(super) fn to_text(&self) -> String {
        let behind = |at: Timestamp, id: &dyn std::fmt::Display| format!("{}/{id}", at.micros());
        match self {
            Self::Messages(what, domain, place) => {
                let place = place.map(|(at, id)| behind(at, &id)).unwrap_or_default();
                format!("{}/{domain}/{place}", what.as_str())
            }
            Self::Letters(domain, place) => {
                let domain = domain.as_ref().map_or(NOBODY, DomainName::as_str);
                let place = place.map(|(at, id)| behind(at, &id)).unwrap_or_default();
                format!("letters/{domain}/{place}")
            }
            Self::Audit => "audit".to_owned(),
        }
    }

    /// Reads [`Place::to_text`].
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "audit" {
            return Some(Self::Audit);
        }
        let (part, rest) = text.split_once('/')?;
        let (domain, place) = rest.split_once('/')?;
        let place = match place.split_once('/') {
            Some((at, id)) => Some((Timestamp::from_micros(at.parse().ok()?), id)),
            None if place.is_empty() => None,
            None => return None,
        };
        if part == "letters" {
            let domain = if domain == NOBODY { None } else { Some(DomainName::parse(domain)?) };
            let place = place.map(|(at, id)| Some((at, id.parse().ok()?)));
            return Some(Self::Letters(domain, place.map_or(Some(None), |place| place.map(Some))?));
        }
        let place = place.map(|(at, id)| Some((at, MessageId::parse(id)?)));
        let place = place.map_or(Some(None), |place| place.map(Some))?;
        Some(Self::Messages(Retired::parse(part)?, DomainName::parse(domain)?, place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).expect("a name")
    }

    #[test]
    fn a_run_goes_through_every_domain_once_and_ends() {
        let domains = [name("a"), name("b.c")];
        let (mut place, mut seen) = (Some(Place::behind(None, &domains)), Vec::new());
        while let Some(at) = place {
            seen.push(at.to_text());
            place = at.next(&domains);
        }
        let expected = ["messages/a/", "bodies/a/", "letters/a/", "messages/b.c/", "bodies/b.c/", "letters/b.c/"];
        assert_eq!(seen, [&expected[..], &["letters/-/", "audit"]].concat());
        assert_eq!(Place::behind(None, &[]), Place::Letters(None, None));
    }

    #[test]
    fn a_place_is_read_back_and_nothing_else_is() {
        let (at, id) = (Timestamp::from_micros(1_700_000_000_000_001), MessageId::from_bytes([7; 16]));
        for place in [
            Place::Messages(Retired::Bodies, name("b.c"), Some((at, id))),
            Place::Messages(Retired::Messages, name("a"), None),
            Place::Letters(Some(name("a")), Some((at, -3))),
            Place::Letters(None, None),
            Place::Audit,
        ] {
            assert_eq!(Place::parse(&place.to_text()), Some(place.clone()), "{}", place.to_text());
        }
        for bad in [
            "",
            "audit/",
            "bodies",
            "bodies/a",
            "bodies/A/",
            "things/a/",
            "letters/a/x/1",
            "letters/-/1",
            "bodies/a/1/2",
        ] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }
}
