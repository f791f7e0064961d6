//! Names of clients, domains, destinations, topics and time zones.
//!
//! A client's name becomes a certificate's CN, a folder on Windows and a key in the store, so it is held to what all
//! three take without escaping.

use std::fmt;

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $check:path, $error:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(Box<str>);

        impl $name {
            /// Parses the text; `None` if it breaks the rule.
            pub fn parse(text: &str) -> Option<Self> {
                $check(text).then(|| Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom($error))
            }
        }
    };
}

/// What a name must look like, for error messages.
pub const NAME_RULE: &str = "1 to 63 characters of a-z, 0-9, '_', '.', '-', starting with a letter or digit, \
                             not ending with a dot, and no Windows device name";

text_type!(
    /// Who may submit. Also the CN of its certificates.
    ClientName,
    is_name,
    "not a valid client name"
);
text_type!(
    /// A tenant.
    DomainName,
    is_name,
    "not a valid domain name"
);
text_type!(
    /// What messages are delivered to.
    DestinationName,
    is_name,
    "not a valid destination name"
);
text_type!(
    /// What a message is about: `^[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?$`.
    Topic,
    is_topic,
    "not a valid topic"
);

text_type!(
    /// A time zone by its name in the IANA database. That there is such a one knows whoever has that database.
    ZoneName,
    is_zone,
    "not a valid time zone's name"
);

impl Default for ZoneName {
    fn default() -> Self {
        Self("UTC".into())
    }
}

impl Default for DomainName {
    fn default() -> Self {
        Self("default".into())
    }
}

impl Default for Topic {
    fn default() -> Self {
        Self("default".into())
    }
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=63).contains(&bytes.len())
        && plain(&bytes[0])
        && bytes.iter().all(|b| plain(b) || matches!(b, b'_' | b'.' | b'-'))
        && bytes[bytes.len() - 1] != b'.'
        && !is_windows_device(text)
}

/// Windows reserves these as file names, with any extension. Source: Microsoft, "Naming Files, Paths, and Namespaces".
fn is_windows_device(text: &str) -> bool {
    let stem = text.split('.').next().unwrap_or(text);
    matches!(stem, "con" | "prn" | "aux" | "nul")
        || (stem.len() == 4
            && (stem.starts_with("com") || stem.starts_with("lpt"))
            && stem.ends_with(|c: char| c.is_ascii_digit()))
}

fn is_topic(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=128).contains(&bytes.len())
        && edge(bytes[0])
        && edge(bytes[bytes.len() - 1])
        && bytes.iter().all(|b| edge(*b) || matches!(b, b'.' | b'_' | b'-'))
}

/// The names of the database: parts of letters, digits and few marks, divided by slashes ("Theory and pragmatics of the tz
/// code and data", section "Timezone identifiers").
fn is_zone(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'-'))
    };
    text.len() <= 64 && text.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_files_certificates_and_sql_all_take() {
        for good in ["a", "demo", "branch-01.eu", "0_0", &"x".repeat(63), "com", "console"] {
            assert!(ClientName::parse(good).is_some(), "{good}");
        }
        for bad in
            ["", "Demo", "-a", ".a", "a.", "a b", "ä", "con", "nul.txt", "com1", "lpt9.log", &"x".repeat(64), "a\n"]
        {
            assert!(ClientName::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn topics_begin_and_end_with_a_letter_or_digit() {
        for good in ["a", "orders.eu", "a-b_c.d", &"t".repeat(128)] {
            assert!(Topic::parse(good).is_some(), "{good}");
        }
        for bad in ["", ".a", "a.", "A", "a/b", &"t".repeat(129), "a\n"] {
            assert!(Topic::parse(bad).is_none(), "{bad:?}");
        }
    }
    #[test]
    fn a_zone_is_named_and_leads_to_no_file() {
        for good in ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+5", "EST5EDT"] {
            assert!(ZoneName::parse(good).is_some(), "{good}");
        }
        for bad in ["", "/UTC", "Europe/", "../etc/passwd", "Europe//Berlin", "a b", "+1", &"x".repeat(65)] {
            assert!(ZoneName::parse(bad).is_none(), "{bad:?}");
        }
    }
}
