//! How durations spread: counted in bands, so that a percentile of any number of them is read from few counts.
//!
//! A band is half an octave of milliseconds wide, so what is read is right within a fifth either way.

use std::time::Duration;

/// A band of durations: two to each doubling, the first of them from nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Band(u8);

impl Band {
    /// The band that a duration falls in.
    pub fn of(duration: Duration) -> Self {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1);
        let octave = ms.ilog2();
        // The upper half of the octave begins at its square root of two.
        let upper = u128::from(ms) * u128::from(ms) >= 1_u128 << (2 * octave + 1);
        Self(u8::try_from(2 * octave).unwrap_or(u8::MAX) + u8::from(upper))
    }

    /// The band's number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The band of a number; `None` if there is none.
    pub const fn from_number(number: u8) -> Option<Self> {
        if number < 128 { Some(Self(number)) } else { None }
    }

    /// Where the band begins, in milliseconds.
    fn begins(self) -> f64 {
        if self.0 == 0 { 0.0 } else { (f64::from(self.0) / 2.0).exp2() }
    }

    fn ends(self) -> f64 {
        (f64::from(self.0 + 1) / 2.0).exp2()
    }
}

/// The duration below which `share` of all lie, from 0 to 1; within its band all are taken to be evenly spread. `None` if
/// there are none.
pub fn percentile(counts: &[(Band, u64)], share: f64) -> Option<Duration> {
    let mut counts = counts.to_vec();
    counts.sort_unstable();
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let wanted = as_f64(total) * share.clamp(0.0, 1.0);
    let mut below = 0.0;
    let mut last = None;
    for (band, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        let here = as_f64(count);
        if below + here >= wanted {
            let within = ((wanted - below) / here).clamp(0.0, 1.0);
            last = Some(band.begins() + within * (band.ends() - band.begins()));
            break;
        }
        below += here;
        last = Some(band.ends());
    }
    last.map(|ms| Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(Duration::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "beyond 2^52 a share of one hardly matters")]
const fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_band_holds_what_lies_between_its_ends() {
        for (duration, number) in [(0, 0), (1, 0), (2, 2), (3, 3), (4, 4), (5, 4), (6, 5), (1000, 19), (1024, 20)] {
            assert_eq!(Band::of(ms(duration)).number(), number, "{duration} ms");
        }
        assert_eq!(Band::of(Duration::MAX).number(), 127);
        assert_eq!(Band::from_number(128), None);
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(percentile(&[(Band::of(ms(5)), 0)], 0.5), None);
    }

    proptest! {
        #[test]
        fn a_percentile_is_right_within_its_band(mut all in prop::collection::vec(2_u64..100_000_000, 1..200), share in 0.01_f64..1.0) {
            let counts: Vec<_> = all.iter().map(|duration| (Band::of(ms(*duration)), 1)).collect();
            let read = percentile(&counts, share).expect("some").as_secs_f64() * 1000.0;
            all.sort_unstable();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
            let rank = ((as_f64(all.len() as u64) * share).ceil() as usize).clamp(1, all.len());
            let exact = as_f64(all[rank - 1]);
            prop_assert!(read >= exact / 1.5 && read <= exact * 1.5, "{read} for {exact}");
        }

        #[test]
        fn longer_durations_never_fall_in_lower_bands(a in any::<u64>(), more in any::<u64>()) {
            prop_assert!(Band::of(ms(a)) <= Band::of(ms(a.saturating_add(more))));
        }
    }
}
