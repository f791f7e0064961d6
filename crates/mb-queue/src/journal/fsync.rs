//! How long the journal's syncs took: a histogram of fixed buckets, ready for a metric.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets in microseconds; one more bucket holds the rest.
pub const FSYNC_BOUNDS_MICROS: [u64; 14] =
    [50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 409_600, 1_638_400];

/// Counts of syncs by duration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FsyncTimes {
    /// Syncs per bucket of [`FSYNC_BOUNDS_MICROS`], not cumulative; the last is for everything longer.
    pub buckets: [u64; FSYNC_BOUNDS_MICROS.len() + 1],
    /// All of them together.
    pub total: Duration,
}

/// The counters behind [`FsyncTimes`].
#[derive(Debug, Default)]
pub(crate) struct FsyncClock {
    buckets: [AtomicU64; FSYNC_BOUNDS_MICROS.len() + 1],
    micros: AtomicU64,
}

impl FsyncClock {
    pub(crate) fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = FSYNC_BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn times(&self) -> FsyncTimes {
        FsyncTimes {
            buckets: std::array::from_fn(|bucket| self.buckets[bucket].load(Ordering::Relaxed)),
            total: Duration::from_micros(self.micros.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let clock = FsyncClock::default();
        for micros in [50, 51, 5_000_000] {
            clock.add(Duration::from_micros(micros));
        }
        let times = clock.times();
        assert_eq!((times.buckets[0], times.buckets[1], times.buckets[14]), (1, 1, 1));
        assert_eq!(times.total, Duration::from_micros(5_000_101));
    }
}
