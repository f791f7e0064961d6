//! A leaky bucket as one point in time (GCRA, ITU-T I.371): when it will be empty again.

use std::time::Duration;

use crate::clock::Timestamp;

/// How fast something may be done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// So many at once.
    pub(super) burst: u32,
    /// Then one in so long.
    pub(super) interval: Duration,
}

impl Pace {
    const fn depth(self) -> Duration {
        self.interval.saturating_mul(self.burst)
    }
}

/// What was done lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    empty_at: Timestamp,
}

impl Bucket {
    /// How long until there is room for one more; zero if there is.
    pub(super) fn wait(self, pace: Pace, now: Timestamp) -> Duration {
        let filled = self.at(pace, now).plus(pace.interval);
        filled.since(now.plus(pace.depth()))
    }

    pub(super) fn take(&mut self, pace: Pace, now: Timestamp) {
        self.empty_at = self.at(pace, now).plus(pace.interval);
    }

    pub(super) fn give_back(&mut self, pace: Pace) {
        self.empty_at = self.empty_at.minus(pace.interval);
    }

    /// Never fuller than full, also after a clock was set back.
    fn at(self, pace: Pace, now: Timestamp) -> Timestamp {
        self.empty_at.clamp(now, now.plus(pace.depth()))
    }
}
