//! What generated messages say: short texts of everyday words, numbers of a few hundred thousand people.

/// Enough randomness for texts: `SplitMix64`, by Sebastiano Vigna. The same seed says the same again.
pub(super) struct Random(u64);

/// Most messages have the default topic.
pub(super) const TOPICS: [&str; 5] = ["default", "default", "default", "orders.created", "alerts"];

const WORDS: [&str; 24] = [
    "order",
    "ready",
    "please",
    "call",
    "back",
    "today",
    "tomorrow",
    "at",
    "noon",
    "store",
    "till",
    "stock",
    "low",
    "delivery",
    "arrived",
    "thank",
    "you",
    "shift",
    "starts",
    "later",
    "price",
    "changed",
    "grüße",
    "\u{1f44d}",
];

/// People who send.
const NUMBERS: u64 = 300_000;

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// One of these, which are at least one.
    pub(super) fn one_of<'a, T>(&mut self, these: &'a [T]) -> &'a T {
        &these[usize::try_from(self.below(these.len() as u64)).unwrap_or_default()]
    }

    /// A number in E.164.
    pub(super) fn number(&mut self) -> String {
        format!("+49151{:08}", self.below(NUMBERS) * 331)
    }

    /// 4 to 40 words.
    pub(super) fn body(&mut self) -> String {
        let count = 4 + self.below(37);
        let words: Vec<_> = (0..count).map(|_| *self.one_of(&WORDS)).collect();
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use mb_core::Topic;

    use super::*;

    #[test]
    fn what_is_said_obeys_the_rules_of_messages() {
        let mut random = Random::new(1);
        for _ in 0..1000 {
            let (number, body) = (random.number(), random.body());
            assert_eq!(number.len(), 14, "{number}");
            assert!((4..=1000).contains(&body.chars().count()), "{body}");
        }
        assert!(TOPICS.iter().all(|topic| Topic::parse(topic).is_some()));
        assert_eq!(Random::new(7).body(), Random::new(7).body());
    }
}
