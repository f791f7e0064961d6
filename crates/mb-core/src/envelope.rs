//! The envelope: all that journal, queue and dead letters hold of a message.
//!
//! Version 1 is, in order:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format version, `1` |
//! | 16 | message id |
//! | 16 | data key id |
//! | 8 | `queued_at`, microseconds since 1970, big-endian, signed |
//! | 8 | `deliver_at`, the same; 0 = none |
//! | 8 | `expires_at`, the same; 0 = none |
//! | 1 + n | client name behind its length |
//! | 1 + n | domain name |
//! | 1 + n | topic |
//! | 12 | nonce |
//! | rest | AES-256-GCM ciphertext of the content, 16-byte tag last |
//!
//! Everything before the nonce is the header. Its bytes are canonical (one header has one encoding) and are the
//! associated data of the seal, so no clear field can be changed without the key.

use crate::clock::Timestamp;
use crate::id::{KeyId, MessageId};
use crate::name::{ClientName, DomainName, Topic};
use crate::wire::{Reader, put_long, put_medium, put_short};

/// The format version that this code writes.
pub const VERSION: u8 = 1;

/// Length of an AES-GCM nonce in bytes (NIST SP 800-38D, section 8.2.2).
pub const NONCE_LEN: usize = 12;

/// Length of an AES-GCM tag in bytes.
pub const TAG_LEN: usize = 16;

/// The clear part of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The message's id.
    pub message_id: MessageId,
    /// Which data key seals the content.
    pub key_id: KeyId,
    /// When the proxy accepted it.
    pub queued_at: Timestamp,
    /// Not to be delivered before.
    pub deliver_at: Option<Timestamp>,
    /// Not to be delivered after.
    pub expires_at: Option<Timestamp>,
    /// Who sent it.
    pub client: ClientName,
    /// Whose tenant it belongs to.
    pub domain: DomainName,
    /// What it is about.
    pub topic: Topic,
}

impl Header {
    /// Appends the canonical encoding, which is the seal's associated data.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(self.message_id.as_bytes());
        out.extend_from_slice(self.key_id.as_bytes());
        for time in [Some(self.queued_at), self.deliver_at, self.expires_at] {
            out.extend_from_slice(&time.map_or(0, Timestamp::micros).to_be_bytes());
        }
        put_short(out, self.client.as_str().as_bytes());
        put_short(out, self.domain.as_str().as_bytes());
        put_short(out, self.topic.as_str().as_bytes());
    }
}

/// Why bytes are not an envelope or a key record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FormatError {
    /// A version that this program does not know.
    #[error("format version {0} is unknown to this program")]
    Version(u8),
    /// Cut short, or a field breaks its rule.
    #[error("the bytes are cut short or a field breaks its rule")]
    Malformed,
}

/// An envelope read in place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope<'a> {
    /// The clear fields.
    pub header: Header,
    /// The header's bytes: the seal's associated data.
    pub header_bytes: &'a [u8],
    /// Nonce, ciphertext and tag: what the store keeps beside the header's fields.
    pub sealed: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads an envelope; checks its form, not its seal.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not one whole envelope of a known version.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        match reader.u8() {
            Some(VERSION) => Self::parse_v1(reader).ok_or(FormatError::Malformed),
            Some(other) => Err(FormatError::Version(other)),
            None => Err(FormatError::Malformed),
        }
    }

    fn parse_v1(mut reader: Reader<'a>) -> Option<Self> {
        let header = Header {
            message_id: MessageId::from_bytes(reader.array()?),
            key_id: KeyId::from_bytes(reader.array()?),
            queued_at: Timestamp::from_micros(reader.i64()?),
            deliver_at: present(reader.i64()?),
            expires_at: present(reader.i64()?),
            client: ClientName::parse(text(reader.short()?)?)?,
            domain: DomainName::parse(text(reader.short()?)?)?,
            topic: Topic::parse(text(reader.short()?)?)?,
        };
        let header_bytes = reader.consumed();
        let sealed = reader.rest();
        (sealed.len() >= NONCE_LEN + TAG_LEN).then_some(Self { header, header_bytes, sealed })
    }
}

fn present(micros: i64) -> Option<Timestamp> {
    (micros != 0).then_some(Timestamp::from_micros(micros))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A data key as it travels with the envelopes that it seals: wrapped to the main server's public key and signed by the
/// proxy that made it.
///
/// Version 1 is: `1`, key id (16), master key id (16), `created_at` (8), HPKE encapsulated key (1 + n), wrapped key (1 + n),
/// signer's certificate in DER (2 + n), signature (1 + n). What is signed is everything before the signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedKey {
    /// The data key's id, random.
    pub key_id: KeyId,
    /// Which master key it is wrapped to.
    pub master_key_id: KeyId,
    /// When the proxy made it.
    pub created_at: Timestamp,
    /// HPKE encapsulated key, `enc` (RFC 9180, section 4).
    pub encapsulated: Vec<u8>,
    /// The data key under HPKE, with its tag.
    pub wrapped: Vec<u8>,
    /// The certificate whose key signs this record, DER.
    pub certificate: Vec<u8>,
    /// ECDSA P-256 SHA-256 signature, ASN.1 DER, over [`SignedKey::signed_bytes`].
    pub signature: Vec<u8>,
}

impl SignedKey {
    /// The bytes that the signature covers.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160 + self.certificate.len());
        out.push(VERSION);
        out.extend_from_slice(self.key_id.as_bytes());
        out.extend_from_slice(self.master_key_id.as_bytes());
        out.extend_from_slice(&self.created_at.micros().to_be_bytes());
        put_short(&mut out, &self.encapsulated);
        put_short(&mut out, &self.wrapped);
        put_medium(&mut out, &self.certificate);
        out
    }

    /// The whole record.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.signed_bytes();
        put_short(&mut out, &self.signature);
        out
    }

    /// Reads a record; checks its form, not its signature.
    ///
    /// # Errors
    /// [`FormatError`] if the bytes are not one whole record of a known version.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        match bytes.first() {
            Some(&VERSION) => Self::parse_v1(&bytes[1..]).ok_or(FormatError::Malformed),
            Some(&other) => Err(FormatError::Version(other)),
            None => Err(FormatError::Malformed),
        }
    }

    fn parse_v1(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let key = Self {
            key_id: KeyId::from_bytes(reader.array()?),
            master_key_id: KeyId::from_bytes(reader.array()?),
            created_at: Timestamp::from_micros(reader.i64()?),
            encapsulated: reader.short()?.to_vec(),
            wrapped: reader.short()?.to_vec(),
            certificate: reader.medium()?.to_vec(),
            signature: reader.short()?.to_vec(),
        };
        reader.is_empty().then_some(key)
    }

    /// The key id of an encoded record, without reading the rest.
    pub fn peek_id(bytes: &[u8]) -> Option<KeyId> {
        let mut reader = Reader::new(bytes);
        (reader.u8()? == VERSION).then_some(())?;
        reader.array().map(KeyId::from_bytes)
    }
}

/// The message id and data key id of an encoded envelope, without reading the rest.
pub fn peek_ids(bytes: &[u8]) -> Option<(MessageId, KeyId)> {
    let mut reader = Reader::new(bytes);
    (reader.u8()? == VERSION).then_some(())?;
    Some((MessageId::from_bytes(reader.array()?), KeyId::from_bytes(reader.array()?)))
}

/// When an encoded envelope was accepted, without reading the rest.
pub fn peek_queued_at(bytes: &[u8]) -> Option<Timestamp> {
    let mut reader = Reader::new(bytes);
    (reader.u8()? == VERSION).then_some(())?;
    reader.take(32)?;
    reader.i64().map(Timestamp::from_micros)
}

pub(crate) fn put_record(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            message_id: MessageId::from_bytes([1; 16]),
            key_id: KeyId::from_bytes([2; 16]),
            queued_at: Timestamp::from_micros(1_700_000_000_000_001),
            deliver_at: None,
            expires_at: Some(Timestamp::from_micros(1_700_000_100_000_001)),
            client: ClientName::parse("demo").expect("valid"),
            domain: DomainName::default(),
            topic: Topic::parse("orders.eu").expect("valid"),
        }
    }

    #[test]
    fn what_is_encoded_is_read_back_and_a_cut_is_noticed() {
        let mut bytes = Vec::new();
        header().encode(&mut bytes);
        let header_len = bytes.len();
        bytes.extend_from_slice(&[9; NONCE_LEN + TAG_LEN + 5]);
        let envelope = Envelope::parse(&bytes).expect("whole");
        assert_eq!(envelope.header, header());
        assert_eq!(envelope.header_bytes.len(), header_len);
        assert_eq!(peek_ids(&bytes), Some((header().message_id, header().key_id)));
        assert_eq!(peek_queued_at(&bytes), Some(header().queued_at));
        for cut in 0..header_len + NONCE_LEN + TAG_LEN {
            assert_eq!(Envelope::parse(&bytes[..cut]), Err(FormatError::Malformed), "cut at {cut}");
        }
        bytes[0] = 7;
        assert_eq!(Envelope::parse(&bytes), Err(FormatError::Version(7)));
    }

    #[test]
    fn key_records_round_trip_and_trailing_bytes_are_refused() {
        let key = SignedKey {
            key_id: KeyId::from_bytes([3; 16]),
            master_key_id: KeyId::from_bytes([4; 16]),
            created_at: Timestamp::from_micros(5),
            encapsulated: vec![6; 32],
            wrapped: vec![7; 48],
            certificate: vec![8; 500],
            signature: vec![9; 71],
        };
        let mut bytes = key.encode();
        assert_eq!(SignedKey::parse(&bytes), Ok(key.clone()));
        assert_eq!(SignedKey::peek_id(&bytes), Some(key.key_id));
        bytes.push(0);
        assert_eq!(SignedKey::parse(&bytes), Err(FormatError::Malformed));
    }
}
