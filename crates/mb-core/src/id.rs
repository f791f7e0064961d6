//! Message ids: UUIDv7 that never go back, and UUIDv8 made from an idempotency key (RFC 9562, sections 5.7 and 5.8).
//!
//! The id is the store's primary key and what makes every later step idempotent, so it is fixed once, at the edge.

use std::fmt;
use std::sync::Mutex;

use crate::clock::Timestamp;

/// A message's id: 128 bits, shown as a UUID. Its byte order is its sort order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId([u8; 16]);

impl MessageId {
    /// From its 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads the hyphenated form of 36 characters; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 36 {
            return None;
        }
        uuid::Uuid::try_parse(text).ok().map(|uuid| Self(uuid.into_bytes()))
    }

    /// A UUIDv8 (RFC 9562, section 5.8) over the first 16 bytes of a digest: the id of a message that carries an
    /// idempotency key.
    pub fn v8(digest: &[u8; 32]) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// The UUID's version: 7 for ids made here, 8 for those of an idempotency key.
    pub const fn version(&self) -> u8 {
        self.0[6] >> 4
    }

    /// Milliseconds since the Unix epoch in a UUIDv7; `None` for other versions.
    pub fn millis(&self) -> Option<u64> {
        (self.version() == 7).then(|| {
            let mut bytes = [0; 8];
            bytes[2..].copy_from_slice(&self.0[..6]);
            u64::from_be_bytes(bytes)
        })
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = uuid::Uuid::encode_buffer();
        f.write_str(uuid::Uuid::from_bytes(self.0).hyphenated().encode_lower(&mut buffer))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for MessageId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for MessageId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a UUID"))
    }
}

/// The id of a data key or of a master key: 128 bits, shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 16]);

impl KeyId {
    /// From its 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|value| Self(value.to_be_bytes()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for KeyId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not 32 hexadecimal digits"))
    }
}

/// Makes UUIDv7 ids, each greater than the one before, whatever the clock does (RFC 9562, section 6.2, method 2).
///
/// The value behind an id is 122 bits: 48 of milliseconds and 74 random ones. Within a millisecond, or while the clock
/// stands behind the last id, the value counts up by a random step instead.
#[derive(Debug)]
pub struct IdSource {
    last: Mutex<u128>,
}

const RANDOM_BITS: u32 = 74;

impl IdSource {
    /// A source whose first id is greater than `floor`, the newest id that the journal holds.
    pub fn after(floor: Option<MessageId>) -> Self {
        Self { last: Mutex::new(floor.map_or(0, value_of)) }
    }

    /// The next id. `random` must be fresh for every call.
    ///
    /// # Panics
    /// Never: no code panics while it holds the lock.
    pub fn next(&self, now: Timestamp, random: [u8; 10]) -> MessageId {
        let mut wide = [0; 16];
        wide[6..].copy_from_slice(&random);
        let random = u128::from_be_bytes(wide) & ((1 << RANDOM_BITS) - 1);
        let fresh = (u128::from(now.millis() & 0xffff_ffff_ffff) << RANDOM_BITS) | random;
        let mut last = self.last.lock().expect("no code panics while it holds this lock");
        let step = (random & 0xffff_ffff) + 1;
        *last = if fresh >> RANDOM_BITS > *last >> RANDOM_BITS { fresh } else { *last + step };
        id_of(*last)
    }
}

fn value_of(id: MessageId) -> u128 {
    let raw = u128::from_be_bytes(id.0);
    let high = raw >> 80;
    let middle = (raw >> 64) & 0x0fff;
    let low = raw & ((1 << 62) - 1);
    (high << RANDOM_BITS) | (middle << 62) | low
}

fn id_of(value: u128) -> MessageId {
    let high = (value >> RANDOM_BITS) & 0xffff_ffff_ffff;
    let middle = (value >> 62) & 0x0fff;
    let low = value & ((1 << 62) - 1);
    MessageId(((high << 80) | (7 << 76) | (middle << 64) | (0b10 << 62) | low).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_only_grow_even_if_the_clock_goes_back() {
        let source = IdSource::after(None);
        let mut last = source.next(Timestamp::from_micros(5_000_000_000), [255; 10]);
        for step in 0..1000_u16 {
            let now = Timestamp::from_micros(i64::from(1000 - step) * 1000);
            let next = source.next(now, [u8::try_from(step % 256).unwrap_or(0); 10]);
            assert!(next > last, "{next} after {last}");
            assert_eq!(next.version(), 7);
            assert_eq!(next.as_bytes()[8] >> 6, 0b10);
            last = next;
        }
    }

    #[test]
    fn a_source_starts_after_its_floor() {
        let floor = IdSource::after(None).next(Timestamp::from_micros(9_000_000_000_000), [7; 10]);
        assert_eq!(floor.millis(), Some(9_000_000_000));
        let next = IdSource::after(Some(floor)).next(Timestamp::from_micros(1), [0; 10]);
        assert!(next > floor);
    }

    #[test]
    fn text_form_round_trips_and_others_are_refused() {
        let id = MessageId::v8(&[0xab; 32]);
        assert_eq!(id.version(), 8);
        assert_eq!(MessageId::parse(&id.to_string()), Some(id));
        for bad in ["", "0", "abababababab8babababababababababab", "{abababab-abab-8bab-abab-abababababab}"] {
            assert_eq!(MessageId::parse(bad), None);
        }
    }
}
