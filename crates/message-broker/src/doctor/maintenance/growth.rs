//! How something grows, and when a disk is full by it. Pure.

use std::path::PathBuf;

use serde::Serialize;

/// What is further away is not told: nothing keeps its pace for so long.
const HORIZON_DAYS: u64 = 3650;

/// Something that lies on a disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Grower {
    /// What.
    pub(super) what: &'static str,
    /// Where.
    pub(super) path: PathBuf,
    /// How much it is.
    pub(super) bytes: u64,
    /// How much is added in a day at the pace of late; `null`: that cannot be told.
    pub(super) per_day: Option<u64>,
    /// How much it comes to at most, by its bound or because as much is removed by then; `null`: that cannot be told.
    pub(super) at_most: Option<u64>,
}

impl Grower {
    /// Whose pace is not known is given all the room that it may take, from the first day.
    fn added_in(&self, days: u64) -> u64 {
        let room = self.at_most.map(|most| most.saturating_sub(self.bytes));
        match self.per_day {
            Some(pace) => pace.saturating_mul(days).min(room.unwrap_or(u64::MAX)),
            None => room.unwrap_or(0),
        }
    }
}

/// After how many days a disk with so many free bytes is full; `None`: within ten years it is not.
pub(super) fn days_until_full(free: u64, holds: &[Grower]) -> Option<u64> {
    let added = |days| holds.iter().map(|grower| grower.added_in(days)).fold(0, u64::saturating_add);
    (0..=HORIZON_DAYS).find(|days| added(*days) > free)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grower(bytes: u64, per_day: Option<u64>, at_most: Option<u64>) -> Grower {
        Grower { what: "thing", path: PathBuf::new(), bytes, per_day, at_most }
    }

    #[test]
    fn a_disk_is_full_when_all_that_lies_there_has_taken_what_is_free() {
        let steady = grower(500, Some(10), None);
        assert_eq!(days_until_full(100, std::slice::from_ref(&steady)), Some(11));
        assert_eq!(days_until_full(100, &[steady.clone(), grower(0, Some(10), None)]), Some(6));
        assert_eq!(days_until_full(100, &[]), None);
        assert_eq!(days_until_full(u64::MAX / 2, &[steady]), None, "further away than is told");
    }

    #[test]
    fn what_levels_off_fills_nothing_afterwards() {
        assert_eq!(days_until_full(100, &[grower(500, Some(10), Some(600))]), None);
        assert_eq!(days_until_full(99, &[grower(500, Some(10), Some(600))]), Some(10));
        assert_eq!(days_until_full(0, &[grower(500, Some(10), Some(400))]), None, "it is beyond its bound and shrinks");
    }

    #[test]
    fn what_may_grow_at_any_time_has_its_room_kept() {
        let journal = grower(10, None, Some(110));
        assert_eq!(days_until_full(99, std::slice::from_ref(&journal)), Some(0));
        assert_eq!(days_until_full(150, &[journal, grower(0, Some(10), None)]), Some(6));
    }
}
