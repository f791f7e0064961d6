//! The time zone in which a person reads and writes times. What is kept and sent is UTC all the same.

use std::fmt;
use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use mb_core::{Timestamp, ZoneName};

/// The database as it was compiled in: what a page shows does not depend on the machine.
static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A time zone.
#[derive(Clone)]
pub(crate) struct Zone {
    name: ZoneName,
    rules: TimeZone,
}

impl Zone {
    /// The zone of this name; UTC if the database has none of it.
    pub(crate) fn of(name: &ZoneName) -> Self {
        Self::known(name).unwrap_or_default()
    }

    /// The zone of this name.
    pub(crate) fn known(name: &ZoneName) -> Option<Self> {
        DATABASE.get(name.as_str()).ok().map(|rules| Self { name: name.clone(), rules })
    }

    /// The names of all zones, in order.
    pub(crate) fn names() -> Vec<ZoneName> {
        let mut names: Vec<_> = DATABASE.available().filter_map(|name| ZoneName::parse(name.as_str())).collect();
        names.sort_unstable();
        names
    }

    /// What it is called.
    pub(crate) const fn name(&self) -> &ZoneName {
        &self.name
    }

    /// A time as a clock of this zone shows it; `None` outside of the years that the calendar has.
    pub(crate) fn local(&self, at: Timestamp) -> Option<DateTime> {
        let at = jiff::Timestamp::from_microsecond(at.micros()).ok()?;
        Some(self.rules.to_datetime(at))
    }

    /// What `<input type="datetime-local">` sends, read as a clock of this zone shows it, or RFC 3339. A time that a clock
    /// shows twice is the first, one that it leaves out lies as far behind the gap as it lies in it.
    pub(crate) fn read(&self, text: &str) -> Option<Timestamp> {
        if let Some(at) = Timestamp::parse_rfc3339(text) {
            return Some(at);
        }
        let local: DateTime = text.parse().ok().filter(|_| text.contains('T'))?;
        let at = self.rules.to_timestamp(local).ok()?;
        Some(Timestamp::from_micros(at.as_microsecond()))
    }

    /// A time as `<input type="datetime-local">` takes it, to the second.
    pub(crate) fn typed(&self, at: Timestamp) -> String {
        self.local(at).map(|local| local.strftime("%Y-%m-%dT%H:%M:%S").to_string()).unwrap_or_default()
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self { name: ZoneName::default(), rules: TimeZone::UTC }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Zone").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::known(&ZoneName::parse(name).expect("a name")).expect("a zone")
    }

    #[test]
    fn times_of_the_browsers_field_are_of_the_zone() {
        let shown = |name: &str, text: &str| zone(name).read(text).map(|at| at.to_string());
        assert_eq!(shown("UTC", "2026-11-25T10:00").as_deref(), Some("2026-11-25T10:00:00.000000Z"));
        assert_eq!(shown("Europe/Berlin", "2026-11-25T10:00:07").as_deref(), Some("2026-11-25T09:00:07.000000Z"));
        assert_eq!(shown("Europe/Berlin", "2026-07-25T10:00").as_deref(), Some("2026-07-25T08:00:00.000000Z"));
        assert_eq!(shown("Asia/Tokyo", "2026-11-25T10:00:00+01:00").as_deref(), Some("2026-11-25T09:00:00.000000Z"));
        for bad in ["yesterday", "2026-11-25", "2026-13-25T10:00", ""] {
            assert_eq!(shown("UTC", bad), None, "{bad}");
        }
    }

    #[test]
    fn hours_that_a_clock_shows_twice_or_never_are_read_all_the_same() {
        let berlin = zone("Europe/Berlin");
        let read = |text: &str| berlin.read(text).expect("a time").to_string();
        assert_eq!(read("2026-10-25T02:30"), "2026-10-25T00:30:00.000000Z");
        assert_eq!(read("2026-03-29T02:30"), "2026-03-29T01:30:00.000000Z");
    }

    #[test]
    fn what_is_typed_reads_back() {
        let at = Timestamp::parse_rfc3339("2026-07-25T08:00:01Z").expect("a time");
        let tokyo = zone("Asia/Tokyo");
        assert_eq!(tokyo.typed(at), "2026-07-25T17:00:01");
        assert_eq!(tokyo.read(&tokyo.typed(at)), Some(at));
    }

    #[test]
    fn a_zone_that_the_database_lacks_is_utc() {
        assert_eq!(Zone::of(&ZoneName::parse("Mars/Olympus").expect("a name")).name().as_str(), "UTC");
        assert!(Zone::names().len() > 400 && Zone::names().iter().all(|name| Zone::known(name).is_some()));
    }
}
