//! A Bloom filter over UUIDv8 ids, which are SHA-256 output and so need no further hashing (Kirsch and Mitzenmacher 2006:
//! two hashes give all probes). 12 bits an id and 8 probes pass one absent id in three hundred.

use mb_core::MessageId;

const BITS_PER_ID: usize = 12;
const PROBES: u64 = 8;

/// A set that may say yes for an id it does not hold, but never no for one it does.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bloom {
    bits: Vec<u8>,
}

impl Bloom {
    /// The filter of these ids; empty for none.
    pub(crate) fn of(ids: impl Iterator<Item = MessageId> + Clone) -> Self {
        let count = ids.clone().count();
        let mut bloom = Self { bits: vec![0; (count * BITS_PER_ID).div_ceil(8)] };
        for id in ids {
            for probe in 0..PROBES {
                let (byte, mask) = bloom.place(id, probe);
                bloom.bits[byte] |= mask;
            }
        }
        bloom
    }

    /// As it stands in an index file.
    pub(crate) fn from_bytes(bits: Vec<u8>) -> Self {
        Self { bits }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bits
    }

    pub(crate) fn may_hold(&self, id: MessageId) -> bool {
        !self.bits.is_empty()
            && (0..PROBES).all(|probe| {
                let (byte, mask) = self.place(id, probe);
                self.bits[byte] & mask != 0
            })
    }

    fn place(&self, id: MessageId, probe: u64) -> (usize, u8) {
        let halves = u128::from_be_bytes(*id.as_bytes());
        let high = u64::try_from(halves >> 64).unwrap_or_default();
        let low = u64::try_from(halves & u128::from(u64::MAX)).unwrap_or_default();
        let bits = self.bits.len() as u64 * 8;
        // An odd step visits eight different bits whatever the id.
        let bit = high.wrapping_add((low | 1).wrapping_mul(probe)) % bits;
        (usize::try_from(bit / 8).unwrap_or_default(), 1 << (bit % 8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As good as random: two rounds of the mixer of splitmix64.
    fn id(n: u64) -> MessageId {
        let mut digest = [0; 32];
        for (half, chunk) in (0_u64..).zip(digest.chunks_mut(8)) {
            let mut word = (n * 4 + half).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            for _ in 0..2 {
                word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            }
            chunk.copy_from_slice(&(word ^ (word >> 31)).to_be_bytes());
        }
        MessageId::v8(&digest)
    }

    #[test]
    fn every_member_is_found_and_few_others_are() {
        let bloom = Bloom::of((0..10_000).map(id));
        assert!((0..10_000).all(|n| bloom.may_hold(id(n))));
        let wrong = (10_000..30_000).filter(|n| bloom.may_hold(id(*n))).count();
        assert!(wrong < 150, "{wrong} of 20,000 absent ids pass");
        assert!(!Bloom::of(std::iter::empty()).may_hold(id(1)));
    }
}
