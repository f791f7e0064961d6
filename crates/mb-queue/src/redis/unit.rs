//! The unit of hand-over: one entry of the stream, with a batch of envelopes and the signed keys that they use.
//!
//! Its one field is `b`, a [`Batch`]. A signed key is several times as large as an envelope and Redis's work is per entry of the
//! stream, so envelopes travel together: as many as were waiting, up to bounds that keep what a worker takes at once, and
//! what is registered twice after a failure, small.

use std::ops::Range;

use bytes::Bytes;
use mb_core::KeyId;
use mb_core::envelope::{self, SignedKey};
use mb_core::handover::Batch;

/// The field.
pub(super) const FIELD: &str = "b";
/// The most envelopes in a unit: a worker's batch takes several units, so that little waits for a second round.
pub(super) const MAX_ENTRIES: usize = 128;
/// From so many bytes of envelopes on, a unit takes no more.
const FULL: usize = 128 << 10;

/// Cuts envelopes, in order, into units.
pub(super) fn cut<'a>(envelopes: impl ExactSizeIterator<Item = &'a Bytes>) -> Vec<Range<usize>> {
    let count = envelopes.len();
    let mut units = Vec::with_capacity(count.div_ceil(MAX_ENTRIES));
    let (mut start, mut size) = (0, 0);
    for (at, envelope) in envelopes.enumerate() {
        size += envelope.len();
        if at + 1 - start == MAX_ENTRIES || size >= FULL {
            units.push(start..at + 1);
            (start, size) = (at + 1, 0);
        }
    }
    if start < count {
        units.push(start..count);
    }
    units
}

/// Encodes a unit with those of the keys that its envelopes use.
pub(super) fn encode<'a>(envelopes: impl Iterator<Item = &'a Bytes>, keys: &[Bytes]) -> Vec<u8> {
    let envelopes: Vec<&[u8]> = envelopes.map(|envelope| &envelope[..]).collect();
    let mut used: Vec<KeyId> = Vec::new();
    for (_, key) in envelopes.iter().filter_map(|envelope| envelope::peek_ids(envelope)) {
        if !used.contains(&key) {
            used.push(key);
        }
    }
    let is_used = |key: &&Bytes| SignedKey::peek_id(key).is_some_and(|id| used.contains(&id));
    let keys = keys.iter().filter(is_used).map(|key| &key[..]).collect();
    let mut bytes = Vec::new();
    Batch { keys, envelopes }.encode(&mut bytes);
    bytes
}

/// Keys and envelopes of a unit; `None` if it is none.
pub(super) fn decode(bytes: Vec<u8>) -> Option<(Vec<Bytes>, Vec<Bytes>)> {
    let bytes = Bytes::from(bytes);
    let batch = Batch::parse(&bytes)?;
    let shared = |parts: &[&[u8]]| parts.iter().map(|part| bytes.slice_ref(part)).collect();
    Some((shared(&batch.keys), shared(&batch.envelopes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tests::support::{NOW, envelope, id, signed_key};

    #[test]
    fn a_unit_is_full_by_number_or_by_size() {
        let small = vec![Bytes::from_static(b"12345678"); 300];
        assert_eq!(cut(small.iter()), [0..128, 128..256, 256..300]);
        let large = vec![Bytes::from(vec![0; FULL / 2]); 5];
        assert_eq!(cut(large.iter()), [0..2, 2..4, 4..5]);
        assert!(cut([].iter()).is_empty());
    }

    #[test]
    fn a_unit_carries_the_keys_that_it_uses_and_no_others() {
        let keys: Vec<_> = (1..4).map(signed_key).collect();
        let envelopes = [1, 3, 3].map(|key| envelope(id(u32::from(key)), NOW, key, 50));
        let (used, back) = decode(encode(envelopes.iter(), &keys)).expect("a unit");
        assert_eq!(used, [keys[0].clone(), keys[2].clone()]);
        assert_eq!(back, envelopes);
        assert_eq!(decode(b"else".to_vec()), None);
    }
}
