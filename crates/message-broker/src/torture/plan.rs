//! What the seed decides: when the broker dies, and what is sent to it.
//!
//! Kills are placed by how much has been accepted, not by the clock, so that a run is spread alike on a fast and on a slow
//! machine. What the seed cannot decide is how the kernel schedules; a failing seed is a good place to look, not a proof.

use std::time::Duration;

/// The longest wait between reaching a place and the kill.
const MAX_DELAY: Duration = Duration::from_millis(40);
/// The latest kill while the broker recovers.
const MAX_RECOVERY: Duration = Duration::from_millis(400);

/// `SplitMix64` (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014): small and repeatable.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// One of many streams of the same seed.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        random
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// True once in `times`.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(longest.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// One death of the broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kill {
    /// When so many messages are accepted,
    pub(super) acked: u64,
    /// and this time after that.
    pub(super) delay: Duration,
    /// Killed again so long after its next start.
    pub(super) in_recovery: Option<Duration>,
}

/// Where the broker dies: `rounds` places, one in each equal part of the run.
pub(super) fn plan(seed: u64, rounds: u32, count: u64) -> Vec<Kill> {
    let mut random = Random::new(seed, u64::MAX);
    let part = count / u64::from(rounds.max(1));
    let kill = |round| Kill {
        acked: u64::from(round) * part + random.below(part),
        delay: random.up_to(MAX_DELAY),
        in_recovery: random.once_in(3).then(|| random.up_to(MAX_RECOVERY)),
    };
    (0..rounds).map(kill).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_the_same_kills_again() {
        assert_eq!(plan(7, 20, 10_000), plan(7, 20, 10_000));
        assert_ne!(plan(7, 20, 10_000), plan(8, 20, 10_000));
    }

    #[test]
    fn kills_are_spread_over_the_run() {
        for (rounds, count) in [(10, 20_000), (50, 100), (5, 1), (0, 10)] {
            let kills = plan(1, rounds, count);
            assert_eq!(kills.len(), rounds as usize);
            assert!(kills.is_sorted_by_key(|kill| kill.acked));
            assert!(kills.iter().all(|kill| kill.acked < count && kill.delay < MAX_DELAY));
        }
        let kills = plan(1, 60, 60_000);
        let in_recovery = kills.iter().filter(|kill| kill.in_recovery.is_some()).count();
        assert!((10..=30).contains(&in_recovery), "a third, about: {in_recovery}");
    }

    #[test]
    fn streams_of_a_seed_differ() {
        assert_ne!(Random::new(1, 0).next(), Random::new(1, 1).next());
    }
}
