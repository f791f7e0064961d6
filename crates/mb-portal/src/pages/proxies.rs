//! The proxies: which live, what waits in their journals, how old their policy is, how far their clocks are off.

use std::time::Duration;

use askama::Template;
use mb_api::dto::ProxyRow;
use mb_core::Timestamp;

use crate::person::Admin;
use crate::respond::page;
use crate::shell::{Section, Shell};
use crate::stop::Answer;
use crate::view::{grouped, lasted};

/// A clock that is further off is told of: signatures and certificates are judged by it.
const CLOCK: u64 = 2_000;
/// An entry that waits for longer is told of: normally it is handed over within a second.
const WAITING: Duration = Duration::from_mins(1);

#[derive(Template)]
#[template(path = "proxies.html")]
struct ProxiesPage {
    shell: Shell,
    rows: Vec<ProxyRow>,
    live: usize,
    waiting: u64,
    now: Timestamp,
}

pub(crate) async fn get(Admin(person): Admin) -> Answer {
    let rows = person.client.proxies().await?.data;
    let live = rows.iter().filter(|row| row.is_live).count();
    let waiting = rows.iter().filter(|row| row.is_live).map(|row| row.journal_depth).sum();
    let now = person.now;
    page(&ProxiesPage { shell: person.shell(Section::Proxies), rows, live, waiting, now })
}

/// How a proxy stands: the badge's tone and word.
fn standing(row: &ProxyRow) -> (&'static str, &'static str) {
    match row {
        row if !row.is_live => ("cancelled", "silent"),
        row if row.damaged + row.stale + row.refused > 0 => ("failed", "needs somebody"),
        row if is_off(row) => ("warning", "clock is off"),
        _ => ("delivered", "live"),
    }
}

fn is_off(row: &ProxyRow) -> bool {
    row.clock_ahead_ms.is_some_and(|ahead| ahead.unsigned_abs() >= CLOCK)
}

/// How far its clock is off, in words.
fn clock(row: &ProxyRow) -> Option<String> {
    let ahead = row.clock_ahead_ms?;
    let side = if ahead < 0 { "behind" } else { "ahead" };
    Some(match ahead.unsigned_abs() {
        0 => "exact".to_owned(),
        off @ ..CLOCK => format!("{off} ms {side}"),
        off => format!("{} {side}", lasted(Duration::from_millis(off))),
    })
}

/// Whether its oldest entry waited for too long when it last asked.
fn is_slow(row: &ProxyRow) -> bool {
    row.journal_oldest_at.is_some_and(|at| row.seen_at.since(at) >= WAITING)
}

/// For how long its oldest entry had waited when it last asked.
fn waited(row: &ProxyRow) -> Option<String> {
    row.journal_oldest_at.map(|at| lasted(row.seen_at.since(at)))
}

/// How long ago it asked for the policy: the age of the one that it holds.
fn age(row: &ProxyRow, now: Timestamp) -> String {
    lasted(now.since(row.seen_at))
}

/// Entries that somebody has to look at, in words.
fn faults(row: &ProxyRow) -> Option<String> {
    let counts = [(row.damaged, "damaged"), (row.stale, "older than the horizon"), (row.refused, "refused")];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let told = counts.map(|(count, word)| format!("{} {word}", grouped(&count))).collect::<Vec<_>>().join(", ");
    (!told.is_empty()).then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(clock_ahead_ms: Option<i64>) -> ProxyRow {
        let at = Timestamp::from_micros(1_800_000_000_000_000);
        ProxyRow {
            id: "01".into(),
            name: "proxy".into(),
            is_live: true,
            seen_at: at,
            policy_version: Some(3),
            policy_current: true,
            clock_ahead_ms,
            damaged: 0,
            stale: 0,
            refused: 0,
            journal_depth: 1,
            journal_oldest_at: Some(at.minus(Duration::from_secs(90))),
        }
    }

    #[test]
    fn a_clock_is_told_of_as_far_as_it_matters() {
        let told = |ahead| (clock(&row(ahead)), standing(&row(ahead)).1);
        assert_eq!(told(Some(-12)), (Some("12 ms behind".into()), "live"));
        assert_eq!(told(Some(3_700_000)), (Some("1 h 1 min ahead".into()), "clock is off"));
        assert_eq!(told(None), (None, "live"));
    }

    #[test]
    fn what_needs_somebody_comes_before_all_else_and_is_counted() {
        let row = ProxyRow { damaged: 2, refused: 1, ..row(Some(9000)) };
        assert_eq!(standing(&row).1, "needs somebody");
        assert_eq!(faults(&row).as_deref(), Some("2 damaged, 1 refused"));
        assert!(is_slow(&row));
        assert_eq!(waited(&row).as_deref(), Some("1 min 30 s"));
    }
}
