//! The JSON side of a submission: one pass over the object, values kept as text until a rule looks at them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{MAX_DEPTH, Rejection, public_text};
use crate::field::FieldError;

const KNOWN: [&str; 6] = ["sender_number", "message_body", "topic", "metadata", "deliver_at", "expires_in"];

/// The most fields of a kind that an answer names.
const MAX_NAMED: usize = 8;

/// The fields of one message object, still JSON text. `null` counts as absent.
pub(super) struct Fields<'a> {
    known: [Option<&'a str>; KNOWN.len()],
    unknown: Vec<String>,
    /// Numbers that no reader can hold.
    too_large: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Rejection> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| Rejection::Malformed(format!("invalid UTF-8 at byte {}", error.valid_up_to())))?;
        if !check_depth(text) {
            return Err(Rejection::Malformed(format!("JSON nested deeper than {MAX_DEPTH}")));
        }
        let fields = serde_json::from_str::<Self>(text);
        if fields.as_ref().is_ok_and(|fields| fields.unknown.is_empty()) {
            return fields.map_err(|error| Rejection::Malformed(public_text(&error)));
        }
        // What is wrong, and where, a second pass says over the whole text: the first one looks at each value alone.
        if let Some(why) = malformed(text) {
            return Err(Rejection::Malformed(why));
        }
        fields.map_err(|error| Rejection::Invalid(vec![FieldError::new("", "wrong_type", public_text(&error))]))
    }

    /// Fields that break rules whatever they hold.
    pub(super) fn faults(&self) -> Vec<FieldError> {
        let error = |name: &String| {
            FieldError::new(pointer(name), "unknown_field", format!("unknown field; known are {}", KNOWN.join(", ")))
        };
        self.unknown.iter().map(error).chain(self.too_large.iter().cloned()).collect()
    }

    /// The field's JSON text.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.known[KNOWN.iter().position(|known| *known == name)?]
    }

    pub(super) fn string(&self, name: &str) -> Result<Option<Cow<'a, str>>, FieldError> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        serde_json::from_str::<Text<'a>>(raw)
            .map(|text| Some(text.0))
            .map_err(|_| FieldError::new(format!("/{name}"), "wrong_type", format!("{name} must be a string")))
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, FieldError> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        serde_json::from_str(raw)
            .map(Some)
            .map_err(|_| FieldError::new(format!("/{name}"), "wrong_type", format!("{name} must be a whole number")))
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object, one message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Fields { known: [None; KNOWN.len()], unknown: Vec::new(), too_large: Vec::new() };
                let mut seen = [false; KNOWN.len()];
                while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
                    let raw: &RawValue = map.next_value()?;
                    let raw = raw.get();
                    match serde_json::from_str::<Walk>(raw) {
                        Err(error) if is_out_of_range(&error) => {
                            let detail = "a number is beyond what readers of JSON can hold (IEEE 754 binary64)";
                            if fields.too_large.len() < MAX_NAMED {
                                fields.too_large.push(FieldError::new(pointer(&key), "out_of_range", detail));
                            }
                        }
                        Err(error) => return Err(de::Error::custom(error)),
                        Ok(Walk) => {}
                    }
                    match KNOWN.iter().position(|known| *known == key) {
                        Some(index) if seen[index] => {
                            return Err(de::Error::custom(format!("duplicate field `{key}`")));
                        }
                        Some(index) => {
                            seen[index] = true;
                            fields.known[index] = (raw != "null").then_some(raw);
                        }
                        None if fields.unknown.len() < MAX_NAMED => {
                            fields.unknown.push(key.chars().take(64).collect());
                        }
                        None => {}
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Why a text is no JSON that every reader takes alike: its syntax, a lone surrogate, a name given twice. In words that may
/// be told, with the place in the whole text.
pub fn malformed(text: &str) -> Option<String> {
    let error = serde_json::from_str::<Walk>(text).err()?;
    // Such a number is JSON, and hid what stands behind it.
    let error = if is_out_of_range(&error) { serde_json::from_str::<IgnoredAny>(text).err()? } else { error };
    Some(public_text(&error))
}

/// `serde_json` has no other word for a number that is JSON and no `f64`.
fn is_out_of_range(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("number out of range")
}

/// Where a member stands (RFC 6901).
fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A string, borrowed where the JSON has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Str;
        impl<'de> Visitor<'de> for Str {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Str)
    }
}

/// Reads every string of a value and keeps nothing: a raw value is checked for its syntax only, so lone surrogates inside
/// it would pass (`serde_json` skips the escapes of what it ignores), and so would names given twice, of which one reader
/// takes the first and another the last.
struct Walk;

impl<'de> Deserialize<'de> for Walk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Walk;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Walk, E> {
                Ok(Walk)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Walk, E> {
                Ok(Walk)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Walk, E> {
                Ok(Walk)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Walk, E> {
                Ok(Walk)
            }

            fn visit_str<E>(self, _: &str) -> Result<Walk, E> {
                Ok(Walk)
            }

            fn visit_unit<E>(self) -> Result<Walk, E> {
                Ok(Walk)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Walk, A::Error> {
                while seq.next_element::<Walk>()?.is_some() {}
                Ok(Walk)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Walk, A::Error> {
                let mut names = Vec::new();
                while let Some((Text(name), Walk)) = map.next_entry::<Text<'de>, Walk>()? {
                    names.push(name);
                }
                // Sorted, because comparing each with each would take a hostile object's length squared.
                names.sort_unstable();
                if names.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(de::Error::custom("duplicate field in an object"));
                }
                Ok(Walk)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Whether JSON text nests at most [`MAX_DEPTH`] deep. Counts brackets outside strings; needs no valid JSON.
pub fn check_depth(text: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return false;
        }
    }
    true
}
