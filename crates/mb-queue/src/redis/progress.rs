//! What of a unit this worker has dealt with already, for when the unit comes again.

use std::collections::BTreeMap;

/// Units that are remembered. Of more the oldest are forgotten; their envelopes are then registered once more.
const MAX_UNITS: usize = 4096;

/// See the module.
#[derive(Default, Debug)]
pub(super) struct Progress {
    /// By the unit's id: the order of the stream.
    units: BTreeMap<String, Part>,
}

/// Some envelopes of a unit.
#[derive(Debug)]
struct Part {
    of: usize,
    places: Vec<usize>,
}

impl Progress {
    /// These of so many envelopes are dealt with. Nothing is kept of a unit of which none or all are.
    pub(super) fn remember(&mut self, id: &str, of: usize, places: Vec<usize>) {
        if places.is_empty() || places.len() >= of {
            return;
        }
        self.units.insert(id.to_owned(), Part { of, places });
        if self.units.len() > MAX_UNITS {
            self.units.pop_first();
        }
    }

    /// What is known of a unit that came again. One of another length is another unit: a stream that was made anew may use an
    /// id once more.
    pub(super) fn take(&mut self, id: &str, of: usize) -> Vec<usize> {
        self.units.remove(id).filter(|part| part.of == of).map(|part| part.places).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_units_the_oldest_is_forgotten() {
        let mut progress = Progress::default();
        let id = |n: usize| format!("{}-0", 1_700_000_000_000 + n);
        (0..=MAX_UNITS).for_each(|n| progress.remember(&id(n), MAX_UNITS * 2, vec![n]));
        assert_eq!(progress.take(&id(0), MAX_UNITS * 2), Vec::<usize>::new());
        assert_eq!(progress.take(&id(1), MAX_UNITS * 2), vec![1]);
        assert_eq!(progress.units.len(), MAX_UNITS - 1);
    }

    #[test]
    fn a_unit_of_another_length_is_another_unit() {
        let mut progress = Progress::default();
        for of in [1, 3] {
            progress.remember("1-0", 4, vec![0, 1, 2]);
            assert_eq!(progress.take("1-0", of), Vec::<usize>::new());
        }
        for places in [vec![], vec![0, 1]] {
            progress.remember("1-0", 2, places);
            assert!(progress.units.is_empty(), "of it nothing or all is dealt with");
        }
    }
}
