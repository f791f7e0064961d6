//! Random bytes from aws-lc's generator: seeded by the operating system, kept per thread.
//!
//! Every call of the generator costs more than half a microsecond, however few bytes it is asked for. Keys are worth
//! that. Ids and nonces, two of which every message needs, are cut from a block that each thread draws in advance: they
//! are published anyway, so that lying in memory for a while gives nothing away. The block would be handed out twice only
//! by a forked copy of the process, and this program never forks without exec.

use std::cell::RefCell;

use aws_lc_rs::rand;

const BLOCK: usize = 1024;

struct Block {
    bytes: [u8; BLOCK],
    used: usize,
}

thread_local! {
    static AHEAD: RefCell<Block> = const { RefCell::new(Block { bytes: [0; BLOCK], used: BLOCK }) };
}

/// `N` random bytes that may be secret.
///
/// # Panics
/// Never in practice: aws-lc's `RAND_bytes` ends the process rather than return without random bytes.
pub fn random_array<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// `N` random bytes, at most 1024, for what is no secret: ids, nonces, jitter. As hard to guess beforehand as any.
///
/// # Panics
/// As [`random_array`].
pub fn public_array<const N: usize>() -> [u8; N] {
    const { assert!(N <= BLOCK) };
    AHEAD.with_borrow_mut(|block| {
        if block.used + N > BLOCK {
            fill(&mut block.bytes);
            block.used = 0;
        }
        let mut out = [0; N];
        out.copy_from_slice(&block.bytes[block.used..block.used + N]);
        block.used += N;
        out
    })
}

fn fill(bytes: &mut [u8]) {
    rand::fill(bytes).expect("RAND_bytes ends the process rather than fail");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn arrays_differ() {
        assert_ne!(random_array::<32>(), random_array::<32>());
    }

    #[test]
    fn public_arrays_differ_across_blocks_and_threads() {
        let draw = || (0..1000).map(|_| public_array::<12>()).collect::<Vec<_>>();
        let other = std::thread::spawn(draw).join().expect("a thread");
        let all: BTreeSet<_> = draw().into_iter().chain(other).collect();
        assert_eq!(all.len(), 2000);
        assert!(!all.contains(&[0; 12]));
        assert_ne!(public_array::<1024>(), public_array::<1024>());
    }
}
