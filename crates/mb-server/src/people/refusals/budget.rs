//! How many rows may be written: so many at once, and then one in so long.

use std::time::Duration;

use mb_core::Timestamp;

/// How many rows there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) rows: u32,
    pub(super) every: Duration,
}

/// The rows that may be written.
#[derive(Debug, Default)]
pub(super) struct Budget {
    spent: u32,
    /// Since when what was spent comes back.
    since: Timestamp,
}

impl Budget {
    /// Takes a row; whether there is one.
    pub(super) fn spend(&mut self, pace: Pace, now: Timestamp) -> bool {
        self.settle(pace, now);
        if self.spent >= pace.rows {
            return false;
        }
        self.spent += 1;
        true
    }

    /// Whether everything has come back.
    pub(super) fn is_whole(&mut self, pace: Pace, now: Timestamp) -> bool {
        self.settle(pace, now);
        self.spent == 0
    }

    fn settle(&mut self, pace: Pace, now: Timestamp) {
        let back = now.since(self.since).as_secs() / pace.every.as_secs().max(1);
        if now < self.since || back >= u64::from(self.spent) {
            (self.spent, self.since) = (0, now);
        } else {
            let back = u32::try_from(back).unwrap_or(self.spent);
            (self.spent, self.since) = (self.spent - back, self.since.plus(pace.every * back));
        }
    }
}
