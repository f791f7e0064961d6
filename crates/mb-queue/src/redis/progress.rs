//! What of a unit this worker has dealt with already, for when the unit comes again.

use std::collections::BTreeMap;

/// Units that are remembered. Of more the oldest are forgotten; their envelopes are then registered once more.
const MAX_UNITS: usize = 4096;

/// See the module.
#[derive(Default, Debug)]
pub(super) struct Progress {
    /// The places of envelopes that are dealt with, by the unit's id: the order of the stream.
    dealt_with: BTreeMap<String, Vec<usize>>,
}

impl Progress {
    /// Nothing is kept of a unit of which nothing is dealt with.
    pub(super) fn remember(&mut self, id: &str, places: Vec<usize>) {
        if places.is_empty() {
            return;
        }
        self.dealt_with.insert(id.to_owned(), places);
        if self.dealt_with.len() > MAX_UNITS {
            self.dealt_with.pop_first();
        }
    }

    /// What is known of a unit that came again.
    pub(super) fn take(&mut self, id: &str) -> Vec<usize> {
        self.dealt_with.remove(id).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_units_the_oldest_is_forgotten() {
        let mut progress = Progress::default();
        let id = |n: usize| format!("{}-0", 1_700_000_000_000 + n);
        (0..=MAX_UNITS).for_each(|n| progress.remember(&id(n), vec![n]));
        assert_eq!((progress.take(&id(0)), progress.take(&id(1))), (vec![], vec![1]));
        progress.remember("empty-0", Vec::new());
        assert_eq!(progress.dealt_with.len(), MAX_UNITS - 1);
    }
}
