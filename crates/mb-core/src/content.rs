//! The sealed part of a message: number, body and metadata.
//!
//! Version 1 is: `1`, sender number behind a one-byte length (0 = none), metadata behind a two-byte length (0 = none),
//! body to the end.

use crate::wire::{Reader, put_medium, put_short};

/// What only the main server, and those it lets, may read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content<'a> {
    /// E.164 number, where there is one.
    pub sender_number: Option<&'a str>,
    /// The text as it was sent.
    pub body: &'a str,
    /// The metadata object's JSON text as it was sent.
    pub metadata: Option<&'a str>,
}

const VERSION: u8 = 1;

impl<'a> Content<'a> {
    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        put_short(out, self.sender_number.unwrap_or_default().as_bytes());
        put_medium(out, self.metadata.unwrap_or_default().as_bytes());
        out.extend_from_slice(self.body.as_bytes());
    }

    /// Reads the encoding; `None` if it is of another version or broken.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        (reader.u8()? == VERSION).then_some(())?;
        let sender_number = std::str::from_utf8(reader.short()?).ok()?;
        let metadata = std::str::from_utf8(reader.medium()?).ok()?;
        let body = std::str::from_utf8(reader.rest()).ok()?;
        Some(Self {
            sender_number: (!sender_number.is_empty()).then_some(sender_number),
            body,
            metadata: (!metadata.is_empty()).then_some(metadata),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_round_trips() {
        for content in [
            Content { sender_number: Some("+4915112345678"), body: "héllo \u{1f600}", metadata: Some("{\"a\":1}") },
            Content { sender_number: None, body: "x", metadata: None },
        ] {
            let mut bytes = Vec::new();
            content.encode(&mut bytes);
            assert_eq!(Content::parse(&bytes), Some(content));
        }
        assert_eq!(Content::parse(&[2, 0, 0, 0]), None);
        assert_eq!(Content::parse(&[1, 9]), None);
    }
}
