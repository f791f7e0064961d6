//! Which dead letters something is done about: those that were ticked, or all that fit a filter.
//!
//! The two are told apart by a word of their own, so that ticking none never means all.

use std::collections::BTreeMap;

use mb_api::dto::{ChooseDeadLetters, MAX_LETTERS};

use super::dead_letters::{Filter, Names};
use crate::errors::Errors;
use crate::zone::Zone;

/// What the name of a letter's box begins with.
const LETTER: &str = "letter-";

/// Dead letters that were chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Chosen {
    /// These.
    Ticked(Vec<i64>),
    /// All that fit.
    All(Filter),
}

/// The fields of a form or an address.
pub(super) type Pairs = BTreeMap<String, String>;

impl Chosen {
    /// What the fields say.
    pub(super) fn of(pairs: &Pairs) -> Self {
        let field = |name: &str| pairs.get(name).cloned().unwrap_or_default();
        if field("all") == "yes" {
            return Self::All(Filter {
                domain: field("domain"),
                destination: field("destination"),
                reason: field("reason"),
                message: field("message"),
                since: field("since"),
            });
        }
        let boxes = pairs.keys().filter_map(|name| name.strip_prefix(LETTER)?.parse().ok());
        let carried = field("ids");
        let carried = carried.split(',').filter_map(|id| id.parse().ok());
        Self::Ticked(boxes.chain(carried).take(MAX_LETTERS).collect())
    }

    /// As the main server takes them; `None` if nothing was ticked.
    ///
    /// # Errors
    /// The filter does not read.
    pub(super) fn ask(&self, zone: &Zone) -> Result<Option<ChooseDeadLetters>, Errors> {
        match self {
            Self::Ticked(ids) if ids.is_empty() => Ok(None),
            Self::Ticked(ids) => Ok(Some(ChooseDeadLetters { ids: ids.clone(), ..ChooseDeadLetters::default() })),
            Self::All(filter) => {
                let (matching, errors) = filter.parse(zone);
                let ask = ChooseDeadLetters { matching, ..ChooseDeadLetters::default() };
                if errors.is_empty() { Ok(Some(ask)) } else { Err(errors) }
            }
        }
    }

    /// As a form carries them along.
    pub(super) fn hidden(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Ticked(ids) => vec![("ids", ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))],
            Self::All(filter) => {
                let pairs = filter.pairs().into_iter().map(|(name, value)| (name, value.to_owned()));
                std::iter::once(("all", "yes".to_owned())).chain(pairs).collect()
            }
        }
    }

    /// What they are, for people to read.
    pub(super) fn facts(&self, names: &Names) -> Vec<(&'static str, String)> {
        let Self::All(filter) = self else { return Vec::new() };
        let label = |id: &str| {
            let id = id.parse().ok().map(mb_core::DestinationId::new)?;
            names.find(&id).map(|row| format!("{}/{}", row.domain, row.name))
        };
        let words = ["Domain", "Destination", "Reason", "Message", "Since"];
        let pairs = words.into_iter().zip(filter.pairs()).filter(|(_, (_, value))| !value.trim().is_empty());
        pairs
            .map(|(word, (name, value))| {
                let shown = if name == "destination" { label(value) } else { None };
                (word, shown.unwrap_or_else(|| value.to_owned()))
            })
            .collect()
    }

    /// What a person types so that they go for good: the name of what they have in common.
    pub(super) fn name(&self, names: &Names) -> String {
        let Self::All(filter) = self else { return "dead letters".to_owned() };
        let destination = filter.destination.parse().ok().map(mb_core::DestinationId::new);
        let destination = destination.and_then(|id| names.find(&id)).map(|row| row.name.to_string());
        let domain = Some(filter.domain.trim().to_owned()).filter(|domain| !domain.is_empty());
        destination.or(domain).unwrap_or_else(|| "all dead letters".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Chosen {
        Chosen::of(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn ticking_none_never_means_all() {
        for nothing in [&[][..], &[("domain", "acme")], &[("letter-x", "yes")], &[("ids", "")]] {
            assert_eq!(of(nothing).ask(&Zone::default()).expect("read"), None, "{nothing:?}");
        }
        let ask = of(&[("all", "yes"), ("domain", "acme")]).ask(&Zone::default()).expect("read").expect("some");
        assert!(ask.ids.is_empty() && ask.matching.domain.is_some());
    }

    #[test]
    fn what_was_chosen_survives_the_next_form() {
        for chosen in [
            of(&[("letter-7", "yes"), ("letter-12", "yes")]),
            of(&[("all", "yes"), ("reason", "stale"), ("since", "2026-11-25T10:00")]),
        ] {
            let hidden = chosen.hidden().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            assert_eq!(Chosen::of(&hidden), chosen);
        }
    }

    #[test]
    fn a_filter_that_does_not_read_chooses_nothing() {
        assert!(of(&[("all", "yes"), ("domain", "No Domain")]).ask(&Zone::default()).is_err());
    }
}
