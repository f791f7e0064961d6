//! The audit rows of refused sign-ins, bounded: guessing must show in the log and must not fill the disk.
//!
//! The first refusal of a network is written at once; further ones within a second are counted and written as one row. All
//! networks together write so many rows a second; what is beyond is counted in one row of its own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mb_core::throttle::Network;
use mb_core::{Email, Timestamp};
use mb_runtime::logging;
use serde_json::json;

use crate::app::App;

/// How long the refusals of a network are gathered.
const GATHER: Duration = Duration::from_secs(1);
/// The most rows a second.
const ROWS: u32 = 20;
/// Networks that are gathered for at a time.
const NETWORKS: usize = 1024;

const ACTION: &str = "session.refuse";

/// Refused sign-ins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    /// From where.
    from: Option<IpAddr>,
    /// Whose account it was said to be; a text that is no address may be a password in the wrong field.
    account: String,
    /// The problem's code.
    reason: &'static str,
    /// How many; this is the last of them.
    count: u64,
}

impl Refusal {
    pub(crate) fn new(from: IpAddr, account: &str, reason: &'static str) -> Self {
        let account = Email::parse(account).map_or_else(|| "unknown".to_owned(), |email| email.as_str().to_owned());
        Self { from: Some(from), account, reason, count: 1 }
    }

    async fn write(&self, app: &App) {
        let actor = self.from.map_or_else(|| "peer:many".to_owned(), |from| format!("peer:{from}"));
        let detail = json!({ "reason": self.reason, "count": self.count });
        if let Err(error) = app.store.audit(&actor, ACTION, &self.account, detail).await {
            logging::limited("refused sign-in", || tracing::error!(%error, "refused sign-in not recorded"));
        }
    }
}

/// What is gathered.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Gathered>);

#[derive(Debug, Default)]
struct Gathered {
    networks: HashMap<Network, Entry>,
    /// The second that counts, and the rows written in it.
    budget: (i64, u32),
    beyond: u64,
}

#[derive(Debug)]
struct Entry {
    written: Timestamp,
    held: Option<Refusal>,
}

impl Refusals {
    /// Takes a refusal in; returns what is to be written now.
    fn note(&self, refusal: Refusal, now: Timestamp) -> Option<Refusal> {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let network = Network::of(refusal.from?);
        if let Some(entry) = gathered.networks.get_mut(&network) {
            let count = entry.held.as_ref().map_or(0, |held| held.count) + refusal.count;
            entry.held = Some(Refusal { count, ..refusal });
            return None;
        }
        if gathered.networks.len() >= NETWORKS || !gathered.spend(now) {
            gathered.beyond += refusal.count;
            return None;
        }
        gathered.networks.insert(network, Entry { written: now, held: None });
        Some(refusal)
    }

    /// What has been gathered for long enough, or `all` of it.
    fn due(&self, now: Timestamp, all: bool) -> Vec<Refusal> {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Gathered { networks, budget, mut beyond } = std::mem::take(&mut *gathered);
        let mut left = Gathered { budget, ..Gathered::default() };
        let mut due = Vec::new();
        for (network, mut entry) in networks {
            if !all && now.since(entry.written) < GATHER && entry.written <= now {
                left.networks.insert(network, entry);
            } else if let Some(held) = entry.held.take() {
                if left.spend(now) {
                    due.push(held);
                    left.networks.insert(network, Entry { written: now, held: None });
                } else {
                    beyond += held.count;
                }
            }
        }
        if beyond > 0 {
            due.push(Refusal { from: None, account: "many".into(), reason: "too_many_attempts", count: beyond });
        }
        *gathered = left;
        due
    }
}

impl Gathered {
    /// Takes one of the rows of this second.
    fn spend(&mut self, now: Timestamp) -> bool {
        if self.budget.0 != now.seconds() {
            self.budget = (now.seconds(), 0);
        }
        self.budget.1 += 1;
        self.budget.1 <= ROWS
    }
}

/// Records a refusal, at once or with others.
pub(crate) async fn record(app: &App, refusal: Refusal) {
    if let Some(refusal) = app.people.refusals.note(refusal, app.clock.now()) {
        refusal.write(app).await;
    }
}

/// Writes what was gathered for long enough.
pub(super) async fn write_due(app: &App) {
    for refusal in app.people.refusals.due(app.clock.now(), false) {
        refusal.write(app).await;
    }
}

/// Writes all that was gathered, before the end.
pub(super) async fn write_all(app: &App) {
    for refusal in app.people.refusals.due(app.clock.now(), true) {
        refusal.write(app).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

    fn refusal(n: u32) -> Refusal {
        Refusal::new(IpAddr::V4(n.into()), "ann@example.org", "wrong_credentials")
    }

    #[test]
    fn a_guesser_makes_one_row_a_second_with_a_count() {
        let refusals = Refusals::default();
        assert_eq!(refusals.note(refusal(1), NOW), Some(refusal(1)), "the first shows at once");
        for _ in 0..1000 {
            assert_eq!(refusals.note(refusal(1), NOW), None);
        }
        assert!(refusals.due(NOW.plus(GATHER / 2), false).is_empty());
        let due = refusals.due(NOW.plus(GATHER), false);
        assert_eq!(due, [Refusal { count: 1000, ..refusal(1) }]);
        assert_eq!(refusals.note(refusal(1), NOW.plus(GATHER)), None, "that was this second's");
        assert_eq!(refusals.due(NOW.plus(2 * GATHER), false), [refusal(1)]);
        assert!(refusals.due(NOW.plus(3 * GATHER), false).is_empty());
        assert!(refusals.0.lock().expect("whole").networks.is_empty(), "who is silent is forgotten");
    }

    #[test]
    fn many_guessers_make_few_rows_and_nobody_is_left_out_of_the_count() {
        let refusals = Refusals::default();
        let mut rows: Vec<_> = (0..5000).filter_map(|n| refusals.note(refusal(n), NOW)).collect();
        assert_eq!(rows.len(), ROWS as usize);
        rows.extend(refusals.due(NOW.plus(GATHER), false));
        assert_eq!(rows.len(), ROWS as usize + 1);
        assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 5000);
        assert_eq!(rows[ROWS as usize].from, None);
    }

    #[test]
    fn what_is_no_address_is_not_written() {
        let row = Refusal::new(IpAddr::V4(1.into()), "My Password 1", "wrong_credentials");
        assert_eq!(row.account, "unknown");
    }
}
