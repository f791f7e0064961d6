//! How single values are shown.

use std::fmt::{self, Write as _};
use std::time::Duration;

use askama::filters::HtmlSafe;
use mb_api::dto::UserRow;
use mb_core::Timestamp;

use crate::zone::Zone;

/// A time: to the second in a person's zone, exactly and in UTC on hover.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    at: Timestamp,
    zone: Zone,
}

/// Made of digits and marks that need no escaping.
impl HtmlSafe for Moment {}

impl Moment {
    /// A time as it is read in `zone`.
    pub(crate) const fn new(at: Timestamp, zone: Zone) -> Self {
        Self { at, zone }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.at.to_string();
        write!(f, "<time datetime=\"{exact}\" title=\"{exact}\">")?;
        match self.zone.local(self.at) {
            Some(local) => write!(f, "{}", local.strftime("%Y-%m-%d %H:%M:%S"))?,
            None => f.write_str(&exact)?,
        }
        f.write_str("</time>")
    }
}

/// How an account stands: the badge's tone and word.
pub(crate) fn standing(user: &UserRow, now: Timestamp) -> (&'static str, &'static str) {
    match user.expires_at {
        _ if !user.is_active => ("cancelled", "disabled"),
        Some(end) if end <= now => ("cancelled", "ended"),
        _ => ("delivered", "active"),
    }
}

/// How long something lasted, in its two largest units.
pub(crate) fn lasted(time: Duration) -> String {
    let seconds = time.as_secs();
    let two = |large: u64, one: &str, small: u64, other: &str| {
        if small == 0 { format!("{large} {one}") } else { format!("{large} {one} {small} {other}") }
    };
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds / 60 % 60, "min"),
        86_400.. => two(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    }
}

/// How large something is (IEC 80000-13, prefixes for binary multiples).
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(crate) fn size(bytes: &u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, shift)| *bytes >= 1 << shift) {
        // In tenths, rounded down.
        Some((unit, shift)) => {
            let tenths = (u128::from(*bytes) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

/// A number with its thousands apart, as it is read most easily.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(crate) fn grouped(number: &u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            // Narrow no-break space (SI brochure, section 5.4.4).
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A share from 0 to 1 in per cent, never rounded up to all of them.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(crate) fn percent(share: &f64) -> String {
    let tenths = (share.clamp(0.0, 1.0) * 1000.0).floor() / 10.0;
    if tenths >= 100.0 { "100 %".to_owned() } else { format!("{tenths:.1} %") }
}

/// Milliseconds as they are read most easily.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(crate) fn span(ms: &u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", ms / unit, ms % unit * 10 / unit);
    match *ms {
        ms @ ..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{} s", tenths(1000)),
        60_000..3_600_000 => format!("{} min", tenths(60_000)),
        3_600_000..172_800_000 => format!("{} h", tenths(3_600_000)),
        ms => format!("{} days", ms / 86_400_000),
    }
}

/// Text of strangers: characters that turn the direction of what follows (UAX #9) are named, so that nothing reads as what
/// it is not.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            let _ = write!(out, "[U+{:04X}]", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use mb_core::ZoneName;

    use super::*;

    #[test]
    fn what_turns_the_direction_of_text_is_named() {
        assert_eq!(plain("pay 10\u{202e}00\u{2069} שלום"), "pay 10[U+202E]00[U+2069] שלום");
    }

    #[test]
    fn a_time_is_read_in_the_persons_zone_and_exact_in_utc_on_hover() {
        for (zone, read) in [("UTC", "2024-02-29 00:00:00"), ("Asia/Tokyo", "2024-02-29 09:00:00")] {
            let zone = Zone::of(&ZoneName::parse(zone).expect("a name"));
            let shown = Moment::new(Timestamp::from_micros(1_709_164_800_123_456), zone).to_string();
            assert!(shown.contains(&format!(">{read}<")), "{shown}");
            assert!(shown.contains("title=\"2024-02-29T00:00:00.123456Z\""), "{shown}");
        }
    }

    #[test]
    fn what_is_nearly_all_is_not_said_to_be_all() {
        for (share, text) in [(1.0, "100 %"), (0.99999, "99.9 %"), (0.5, "50.0 %"), (0.0, "0.0 %")] {
            assert_eq!(percent(&share), text);
        }
    }

    #[test]
    fn a_span_has_one_unit() {
        for (ms, text) in [(0, "0 ms"), (999, "999 ms"), (1250, "1.2 s"), (90_000, "1.5 min"), (7_200_000, "2.0 h")] {
            assert_eq!(span(&ms), text);
        }
    }

    #[test]
    fn a_time_that_lasted_is_told_in_two_units_at_most() {
        for (seconds, text) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3_661, "1 h 1 min"), (180_000, "2 d 2 h")] {
            assert_eq!(lasted(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_size_is_told_in_a_unit_that_fits() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")] {
            assert_eq!(size(&bytes), text);
        }
    }

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1\u{202f}000"), (1_234_567, "1\u{202f}234\u{202f}567")] {
            assert_eq!(grouped(&number), text);
        }
    }
}
