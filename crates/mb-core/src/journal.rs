//! What a proxy says of its journal: how many entries somebody has to look at, and what waits.

use crate::clock::Timestamp;

/// Entries of a journal that are not handed over by themselves any more. The counts fall when an operator has dealt with
/// them; one that rises is news.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct JournalFaults {
    /// Found damaged on the disk.
    pub damaged: u64,
    /// Set aside because they are older than the horizon.
    pub stale: u64,
    /// Set aside because the main server refuses them.
    pub refused: u64,
}

/// What waits in a journal for the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct JournalBacklog {
    /// Entries that the store has not confirmed.
    pub waiting: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<Timestamp>,
}

impl JournalFaults {
    /// Whether there is nothing to look at.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether any count is higher than it was.
    pub const fn exceed(&self, before: &Self) -> bool {
        self.damaged > before.damaged || self.stale > before.stale || self.refused > before.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_rises_is_news_and_one_that_falls_is_not() {
        let before = JournalFaults { damaged: 2, stale: 1, refused: 0 };
        assert!(!before.exceed(&before));
        assert!(!JournalFaults { damaged: 1, ..before }.exceed(&before));
        assert!(JournalFaults { damaged: 3, ..before }.exceed(&before));
        assert!(JournalFaults { damaged: 0, stale: 2, refused: 0 }.exceed(&before));
        assert!(JournalFaults { refused: 1, ..before }.exceed(&before));
    }
}
