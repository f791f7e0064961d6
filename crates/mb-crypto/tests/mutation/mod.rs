//! Mutations of a committed corpus that are the same in every run, for what reads bytes from outside.
//!
//! `MB_TEST_MUTATIONS` says how many there are of each target; a run of more takes other ones too.

use std::path::Path;
use std::time::{Duration, Instant};

/// Mutations of each target in an ordinary run.
const ORDINARY: u64 = 3000;

/// An ordinary run of a target ends after this, however slow the machine is.
const BOUND: Duration = Duration::from_secs(20);

/// The corpus, below the crate's `tests`.
pub(crate) fn seeds(names: &[&str]) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    names.iter().map(|name| std::fs::read(folder.join(name)).expect("a seed")).collect()
}

/// xorshift64* (Vigna, 2016): the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).expect("it is below a usize")
    }
}

/// Bytes turned, put in, taken out, doubled, cut off, or exchanged with another seed's.
fn mutate(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let (at, value) = (random.below(bytes.len()), random.next().to_le_bytes()[0]);
        match random.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << (value % 8),
            1 if !bytes.is_empty() => bytes[at] = value,
            2 => bytes.insert(at.min(bytes.len()), value),
            3 if !bytes.is_empty() => drop(bytes.remove(at)),
            4 => bytes.truncate(at),
            5 => {
                let part = bytes[at.min(bytes.len())..].to_vec();
                bytes.extend(part);
            }
            _ => {
                bytes.truncate(at);
                bytes.extend_from_slice(&other[random.below(other.len())..]);
            }
        }
    }
    bytes
}

/// Hands each seed to `read`, and then their mutations.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration but its environment")]
pub(crate) fn run(seeds: &[Vec<u8>], read: impl Fn(&[u8])) {
    let asked = std::env::var("MB_TEST_MUTATIONS").ok().and_then(|count| count.parse::<u64>().ok());
    for seed in seeds {
        read(seed);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let begun = Instant::now();
    for _ in 0..asked.unwrap_or(ORDINARY) {
        let (seed, other) = (random.below(seeds.len()), random.below(seeds.len()));
        read(&mutate(&seeds[seed], &seeds[other], &mut random));
        if asked.is_none() && begun.elapsed() > BOUND {
            return;
        }
    }
}
