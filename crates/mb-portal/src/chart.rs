//! Messages over time as a drawing: a bar for each step of time, drawn here, so that it needs no script. Its figures stand
//! in a table beside it, for those who do not see the drawing and those who want to know exactly.

use mb_api::dto::{Overview, OverviewPeriod, OverviewPoint};
use mb_core::Timestamp;

use crate::view::grouped;
use crate::zone::Zone;

/// Units of a bar's place; a bar is narrower.
const PLACE: u64 = 12;
const WIDTH: u64 = 8;
/// Units of the whole height.
const HEIGHT: u64 = 100;

/// A bar: what was delivered, on top of it what failed, behind both what came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bar {
    /// Where its place begins.
    pub(crate) place: u64,
    /// Where what came in begins.
    pub(crate) x: u64,
    /// Where what became of it begins.
    pub(crate) inner: u64,
    /// Height of what came in.
    pub(crate) accepted: u64,
    /// Height of what was delivered.
    pub(crate) delivered: u64,
    /// Height of what failed or expired.
    pub(crate) failed: u64,
    /// When the step began, as the person reads it.
    pub(crate) label: String,
    /// The figures.
    pub(crate) point: OverviewPoint,
}

/// A drawing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Chart {
    /// The bars, the oldest first.
    pub(crate) bars: Vec<Bar>,
    /// Its width.
    pub(crate) width: u64,
    /// What its height stands for.
    pub(crate) most: u64,
}

impl Chart {
    /// The drawing of these figures, as who has this zone reads it.
    pub(crate) fn new(overview: &Overview, zone: &Zone) -> Self {
        let highest = |point: &OverviewPoint| point.accepted.max(point.delivered.saturating_add(point.failed));
        let most = round_up(overview.points.iter().map(highest).max().unwrap_or(0));
        let height = |count: u64| count.saturating_mul(HEIGHT).div_ceil(most).min(HEIGHT);
        let bar = |(at, point): (u64, &OverviewPoint)| {
            let delivered = height(point.delivered);
            Bar {
                place: at * PLACE,
                x: at * PLACE + (PLACE - WIDTH) / 2,
                inner: at * PLACE + (PLACE - WIDTH) / 2 + 1,
                accepted: height(point.accepted),
                delivered,
                failed: height(point.failed).min(HEIGHT - delivered),
                label: label(point.at, overview.period, zone),
                point: *point,
            }
        };
        let bars: Vec<Bar> = (0..).zip(&overview.points).map(bar).collect();
        Self { width: bars.len() as u64 * PLACE, bars, most }
    }

    /// The labels below the drawing: of the first bar, one in the middle, and the last.
    pub(crate) fn labels(&self) -> Vec<&str> {
        let at = |place: usize| self.bars.get(place).map(|bar| bar.label.as_str());
        [at(0), at(self.bars.len() / 2), at(self.bars.len().saturating_sub(1))].into_iter().flatten().collect()
    }

    /// Whether there is nothing to draw.
    pub(crate) fn is_empty(&self) -> bool {
        self.bars.iter().all(|bar| bar.accepted + bar.delivered + bar.failed == 0)
    }
}

impl Bar {
    /// What a pointer on it is told.
    pub(crate) fn told(&self) -> String {
        let OverviewPoint { accepted, delivered, failed, .. } = &self.point;
        let (accepted, delivered, failed) = (grouped(accepted), grouped(delivered), grouped(failed));
        format!("{}: {accepted} accepted, {delivered} delivered, {failed} failed", self.label)
    }

    /// How far from the top what came in begins.
    pub(crate) const fn accepted_top(&self) -> u64 {
        HEIGHT - self.accepted
    }

    /// How far from the top what was delivered begins.
    pub(crate) const fn delivered_top(&self) -> u64 {
        HEIGHT - self.delivered
    }

    /// How far from the top what failed begins: it stands on what was delivered.
    pub(crate) const fn failed_top(&self) -> u64 {
        HEIGHT - self.delivered - self.failed
    }
}

fn label(at: Timestamp, period: OverviewPeriod, zone: &Zone) -> String {
    let shape = match period {
        OverviewPeriod::Day => "%H:%M",
        OverviewPeriod::Week => "%a %H:%M",
        OverviewPeriod::Month => "%d %b",
    };
    zone.local(at).map(|local| local.strftime(shape).to_string()).unwrap_or_default()
}

/// The next of 1, 2, 5, 10, 20, 50 and so on, so that the height stands for a number that is easily read.
fn round_up(most: u64) -> u64 {
    let mut step = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let round = step.saturating_mul(factor);
            if round >= most {
                return round;
            }
        }
        step = step.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_height_stands_for_a_round_number() {
        for (most, round) in [(0, 1), (1, 1), (3, 5), (11, 20), (101, 200), (5000, 5000), (5001, 10_000)] {
            assert_eq!(round_up(most), round);
        }
        assert!(round_up(u64::MAX) == u64::MAX);
    }
}
