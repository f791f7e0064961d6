//! The unit in which envelopes change hands: some envelopes and the signed data keys that they use.
//!
//! A batch is the body of a register request and the value of a queue entry, so whoever receives one can open it without
//! asking anyone. Version 1 is: `MBH1`, count of keys (2), each key record behind a four-byte length, count of envelopes
//! (4), each envelope behind a four-byte length.

use crate::envelope::put_record;
use crate::wire::Reader;

/// The media type of an encoded batch.
pub const MEDIA_TYPE: &str = "application/vnd.message-broker.handover";

const MAGIC: &[u8; 4] = b"MBH1";

/// The most envelopes in one batch.
pub const MAX_ENVELOPES: usize = 10_000;

/// A batch read in place; the parts are encoded records that are checked one by one, so that a bad one does not hide the
/// good ones.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch<'a> {
    /// Encoded signed keys.
    pub keys: Vec<&'a [u8]>,
    /// Encoded envelopes.
    pub envelopes: Vec<&'a [u8]>,
}

impl<'a> Batch<'a> {
    /// Appends the encoding.
    ///
    /// # Panics
    /// If there are more than 65,535 keys or 2^32 envelopes: callers stay under [`MAX_ENVELOPES`], and there are no more
    /// keys than envelopes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let size = |records: &[&[u8]]| records.iter().map(|r| r.len() + 4).sum::<usize>();
        out.reserve(16 + size(&self.keys) + size(&self.envelopes));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&u16::try_from(self.keys.len()).expect("fewer keys than envelopes").to_be_bytes());
        self.keys.iter().for_each(|key| put_record(out, key));
        out.extend_from_slice(&u32::try_from(self.envelopes.len()).expect("bounded by callers").to_be_bytes());
        self.envelopes.iter().for_each(|envelope| put_record(out, envelope));
    }

    /// Reads a batch; `None` if the bytes are not exactly one of at most [`MAX_ENVELOPES`].
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        (reader.take(4)? == MAGIC).then_some(())?;
        let keys = usize::from(reader.u16()?);
        let keys = (0..keys).map(|_| reader.long()).collect::<Option<Vec<_>>>()?;
        let envelopes = usize::try_from(reader.u32()?).ok().filter(|n| *n <= MAX_ENVELOPES)?;
        let envelopes = (0..envelopes).map(|_| reader.long()).collect::<Option<Vec<_>>>()?;
        reader.is_empty().then_some(Self { keys, envelopes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_round_trip_and_cuts_are_refused() {
        let batch = Batch { keys: vec![b"key"], envelopes: vec![b"one", b"", b"three"] };
        let mut bytes = Vec::new();
        batch.encode(&mut bytes);
        assert_eq!(Batch::parse(&bytes), Some(batch));
        for cut in 0..bytes.len() {
            assert_eq!(Batch::parse(&bytes[..cut]), None);
        }
        bytes.push(0);
        assert_eq!(Batch::parse(&bytes), None);
    }
}
