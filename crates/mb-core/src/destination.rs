//! Destinations: where messages go, and which of them.
//!
//! A destination belongs to a domain and takes the messages of that domain whose topic and client it names; what names
//! none takes all. Disabled ones still match: what they should have taken becomes dead letters, so that it can be
//! redriven, while what a deleted one should have taken was never meant for anybody.

use std::fmt;

use crate::envelope::Header;
use crate::name::{ClientName, DestinationName, DomainName};

/// A destination's number in the store; it stays with it whatever it is called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct DestinationId(i64);

impl DestinationId {
    /// From the store's number.
    pub const fn new(id: i64) -> Self {
        Self(id)
    }

    /// The store's number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for DestinationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl $name {
            /// Every one.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word used in the store and the API.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// Parses the word.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|word| word.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use words;

words! {
    /// How messages get to a destination.
    DestinationKind {
        /// They are posted to its URL.
        Webhook = "webhook",
        /// It fetches them.
        Pull = "pull",
    }
}

words! {
    /// Whether a destination is served.
    DestinationState {
        /// It is.
        Enabled = "enabled",
        /// Its deliveries wait.
        Paused = "paused",
        /// Its deliveries become dead letters.
        Disabled = "disabled",
    }
}

/// The most globs, and the most clients, that a destination names.
pub const MAX_NAMED: usize = 100;

/// Matches topics segment by segment, the segments being divided by dots: `*` stands for one, `**` for any number of them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TopicGlob(Box<str>);

impl TopicGlob {
    /// Parses a glob; `None` if it is longer than a topic, or a segment is neither a star, two stars nor what a topic may
    /// hold.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
        let segment = |part: &str| matches!(part, "*" | "**") || (!part.is_empty() && part.bytes().all(plain));
        (text.len() <= 128 && text.split('.').all(segment)).then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `topic` is one of those meant.
    pub fn matches(&self, topic: &str) -> bool {
        // As for file names: after a mismatch the last `**` takes one segment more. One remembered place is enough, so
        // the cost is bounded by the product of the two lengths.
        let (glob, topic): (Vec<_>, Vec<_>) = (self.0.split('.').collect(), topic.split('.').collect());
        let (mut at, mut seen, mut star) = (0, 0, None);
        while seen < topic.len() {
            match glob.get(at) {
                Some(&"**") => {
                    star = Some((at, seen));
                    at += 1;
                }
                Some(&part) if part == "*" || part == topic[seen] => {
                    at += 1;
                    seen += 1;
                }
                _ => {
                    let Some((from, taken)) = star else { return false };
                    star = Some((from, taken + 1));
                    (at, seen) = (from + 1, taken + 1);
                }
            }
        }
        glob[at..].iter().all(|part| *part == "**")
    }
}

impl fmt::Display for TopicGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for TopicGlob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for TopicGlob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a topic glob"))
    }
}

/// What routing asks of a destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Destination {
    /// Its number.
    pub id: DestinationId,
    /// Its tenant.
    pub domain: DomainName,
    /// Its name, one of a kind in the domain.
    pub name: DestinationName,
    /// How messages get there.
    pub kind: DestinationKind,
    /// Whether it is served.
    pub state: DestinationState,
    /// What it takes; empty: every topic.
    pub topics: Vec<TopicGlob>,
    /// From whom; empty: every client.
    pub clients: Vec<ClientName>,
}

impl Destination {
    /// Whether a message is for it.
    pub fn matches(&self, header: &Header) -> bool {
        let topic = header.topic.as_str();
        self.domain == header.domain
            && (self.clients.is_empty() || self.clients.contains(&header.client))
            && (self.topics.is_empty() || self.topics.iter().any(|glob| glob.matches(topic)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Timestamp;
    use crate::id::{KeyId, MessageId};
    use crate::name::Topic;

    fn matches(glob: &str, topic: &str) -> bool {
        TopicGlob::parse(glob).expect("a glob").matches(topic)
    }

    #[test]
    fn a_star_is_one_segment_and_two_are_any_number() {
        for (glob, topic) in [
            ("a.**", "a"),
            ("a.**", "a.b"),
            ("a.**", "a.b.c"),
            ("**", "x.y"),
            ("*.b", "a.b"),
            ("a.*.c", "a.b.c"),
            ("**.c", "a.b.c"),
            ("**.c", "c"),
            ("a.**.d.**", "a.b.c.d"),
            ("a.**.b.*", "a.b.b.b"),
            ("orders-eu", "orders-eu"),
        ] {
            assert!(matches(glob, topic), "{glob} {topic}");
        }
        for (glob, topic) in
            [("a.*", "a"), ("a.*", "a.b.c"), ("a.**", "ab"), ("*", "a.b"), ("a", "b"), ("**.c", "c.d"), ("a.b", "a")]
        {
            assert!(!matches(glob, topic), "{glob} {topic}");
        }
        for bad in ["", ".", "a.", "a..b", "A", "a*", "***", "a b", &"a".repeat(129)] {
            assert_eq!(TopicGlob::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_message_is_for_those_of_its_domain_that_name_it() {
        let header = Header {
            message_id: MessageId::from_bytes([0; 16]),
            key_id: KeyId::from_bytes([0; 16]),
            queued_at: Timestamp::default(),
            deliver_at: None,
            expires_at: None,
            client: ClientName::parse("demo").expect("valid"),
            domain: DomainName::default(),
            topic: Topic::parse("a.b").expect("valid"),
        };
        let all = Destination {
            id: DestinationId::new(1),
            domain: DomainName::default(),
            name: DestinationName::parse("hook").expect("valid"),
            kind: DestinationKind::Webhook,
            state: DestinationState::Disabled,
            topics: Vec::new(),
            clients: Vec::new(),
        };
        assert!(all.matches(&header));
        let elsewhere = Destination { domain: DomainName::parse("other").expect("valid"), ..all.clone() };
        let topics = |glob: &str| Destination { topics: vec![TopicGlob::parse(glob).expect("valid")], ..all.clone() };
        let clients =
            |name: &str| Destination { clients: vec![ClientName::parse(name).expect("valid")], ..all.clone() };
        assert!(!elsewhere.matches(&header));
        assert!(topics("a.*").matches(&header) && !topics("b.*").matches(&header));
        assert!(clients("demo").matches(&header) && !clients("other").matches(&header));
    }

    /// Says the same as the rule does, at a cost that grows without bound.
    fn slow(glob: &[&str], topic: &[&str]) -> bool {
        match (glob.split_first(), topic.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), _) => slow(rest, topic) || topic.split_first().is_some_and(|(_, t)| slow(glob, t)),
            (Some((first, glob)), Some((segment, topic))) => (*first == "*" || first == segment) && slow(glob, topic),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_follows_the_rule(
            glob in prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "**"]), 1..7),
            topic in prop::collection::vec(prop::sample::select(vec!["a", "b"]), 1..7),
        ) {
            prop_assert_eq!(matches(&glob.join("."), &topic.join(".")), slow(&glob, &topic));
        }
    }
}
