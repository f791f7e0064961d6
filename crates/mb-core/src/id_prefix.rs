//! The beginning of a message's id, as people type it into a search.

use std::fmt;

use crate::id::MessageId;

/// 1 to 36 characters that a message id can begin with, hyphens included, lower-cased.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageIdPrefix(Box<str>);

const TEMPLATE: usize = 36;

const fn is_hyphen(at: usize) -> bool {
    matches!(at, 8 | 13 | 18 | 23)
}

impl MessageIdPrefix {
    /// Takes a prefix in either case; `None` if no id begins so.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = |(at, byte): (usize, u8)| if is_hyphen(at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
        ((1..=TEMPLATE).contains(&text.len()) && text.bytes().enumerate().all(fits))
            .then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// The prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The least and the greatest id that begin so: an id has this prefix exactly if it lies between them.
    pub fn range(&self) -> (MessageId, MessageId) {
        (self.filled('0'), self.filled('f'))
    }

    fn filled(&self, digit: char) -> MessageId {
        let rest = (self.0.len()..TEMPLATE).map(|at| if is_hyphen(at) { '-' } else { digit });
        let text: String = self.0.chars().chain(rest).collect();
        MessageId::parse(&text).expect("36 characters, hexadecimal digits and hyphens each in its place")
    }
}

impl fmt::Display for MessageIdPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for MessageIdPrefix {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for MessageIdPrefix {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not the beginning of a message id"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_that_no_id_begins_with_is_refused() {
        for bad in ["", "g", "-", "01234567x", "012345678", "0123é"] {
            assert_eq!(MessageIdPrefix::parse(bad), None, "{bad:?}");
        }
        assert_eq!(MessageIdPrefix::parse("01234567-AB").expect("valid").as_str(), "01234567-ab");
    }

    proptest! {
        #[test]
        fn the_range_holds_exactly_the_ids_that_begin_so(bytes: [u8; 16], other: [u8; 16], len in 1_usize..=36) {
            let id = MessageId::from_bytes(bytes);
            let prefix = MessageIdPrefix::parse(&id.to_string()[..len]).expect("the beginning of an id");
            let (low, high) = prefix.range();
            prop_assert!((low..=high).contains(&id));
            let other = MessageId::from_bytes(other);
            prop_assert_eq!((low..=high).contains(&other), other.to_string().starts_with(prefix.as_str()));
        }
    }
}
