//! The audit rows of refused sign-ins, bounded: guessing must show in the log and must not fill the disk.
//!
//! The first refusal of a network for an account and a reason is written at once; further ones within a second are counted
//! and written as one row. A network has so many such rows; what else it tries is counted in one that names no account. All
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
/// Networks, accounts and reasons that are gathered for at a time.
const ENTRIES: usize = 1024;
/// How many of them are one network's, beside that of all its other accounts.
const OF_NETWORK: usize = 8;
/// Stands for accounts that are not named.
const MANY: &str = "many";

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
    entries: HashMap<Key, Entry>,
    /// The second that counts, and the rows written in it.
    budget: (i64, u32),
    beyond: u64,
}

/// Network, account and reason.
type Key = (Network, String, &'static str);

#[derive(Debug)]
struct Entry {
    written: Timestamp,
    held: Option<Refusal>,
}

impl Refusals {
    /// Takes a refusal in; returns what is to be written now.
    fn note(&self, mut refusal: Refusal, now: Timestamp) -> Option<Refusal> {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let network = Network::of(refusal.from?);
        let mut key = (network, refusal.account.clone(), refusal.reason);
        if !gathered.entries.contains_key(&key)
            && gathered.entries.keys().filter(|(of, ..)| *of == network).count() >= OF_NETWORK
        {
            (refusal.account, refusal.reason) = (MANY.to_owned(), "too_many_attempts");
            key = (network, refusal.account.clone(), refusal.reason);
        }
        if let Some(entry) = gathered.entries.get_mut(&key) {
            let count = entry.held.as_ref().map_or(0, |held| held.count) + refusal.count;
            entry.held = Some(Refusal { count, ..refusal });
            return None;
        }
        if gathered.entries.len() >= ENTRIES || !gathered.spend(now) {
            gathered.beyond += refusal.count;
            return None;
        }
        gathered.entries.insert(key, Entry { written: now, held: None });
        Some(refusal)
    }

    /// What has been gathered for long enough, or `all` of it.
    fn due(&self, now: Timestamp, all: bool) -> Vec<Refusal> {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Gathered { entries, budget, mut beyond } = std::mem::take(&mut *gathered);
        let mut left = Gathered { budget, ..Gathered::default() };
        let mut due = Vec::new();
        for (key, mut entry) in entries {
            if !all && now.since(entry.written) < GATHER && entry.written <= now {
                left.entries.insert(key, entry);
            } else if let Some(held) = entry.held.take() {
                if left.spend(now) {
                    due.push(held);
                    left.entries.insert(key, Entry { written: now, held: None });
                } else {
                    beyond += held.count;
                }
            }
        }
        if beyond > 0 {
            due.push(Refusal { from: None, account: MANY.into(), reason: "too_many_attempts", count: beyond });
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
        assert!(refusals.0.lock().expect("whole").entries.is_empty(), "who is silent is forgotten");
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
    fn no_account_hides_behind_another_of_the_same_network() {
        let refusals = Refusals::default();
        let of = |account: &str, reason| Refusal::new(IpAddr::V4(1.into()), account, reason);
        for (account, reason) in
            [("ann@x.org", "wrong_credentials"), ("bob@x.org", "wrong_credentials"), ("ann@x.org", "locked")]
        {
            assert_eq!(refusals.note(of(account, reason), NOW), Some(of(account, reason)));
            assert_eq!(refusals.note(of(account, reason), NOW), None);
        }
        let due = refusals.due(NOW.plus(GATHER), false);
        assert_eq!(due.len(), 3);
        assert!(due.iter().all(|row| row.count == 1), "{due:?}");
    }

    #[test]
    fn a_network_that_tries_many_accounts_names_the_first_and_counts_all() {
        let refusals = Refusals::default();
        let of = |n| Refusal::new(IpAddr::V4(1.into()), &format!("u{n}@x.org"), "wrong_credentials");
        let mut rows: Vec<_> = (0..500).filter_map(|n| refusals.note(of(n), NOW)).collect();
        assert_eq!(rows.len(), OF_NETWORK + 1);
        assert_eq!(rows[OF_NETWORK].account, MANY);
        rows.extend(refusals.due(NOW.plus(GATHER), false));
        assert_eq!(rows.len(), OF_NETWORK + 2);
        assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 500);
    }

    #[test]
    fn what_is_no_address_is_not_written() {
        let row = Refusal::new(IpAddr::V4(1.into()), "My Password 1", "wrong_credentials");
        assert_eq!(row.account, "unknown");
    }
}
