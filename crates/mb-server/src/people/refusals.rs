//! The audit rows of what was refused, bounded: guessing must show in the log and must not fill the disk.
//!
//! The first refusal of a network for an account and a reason, or of an account for what it may not ask, is written at once;
//! further ones are counted and written as one row after a second, then after ten, after a minute, and from then on every
//! ten minutes, until there was silence for as long. A network, or an account, has so many such rows; what else it tries is
//! counted in one that names nothing. All together have rows at a steady pace; what is beyond is counted in one row of its
//! own, which comes as slowly.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mb_core::throttle::Network;
use mb_core::{Email, Timestamp};
use mb_runtime::logging;
use serde_json::json;

use crate::app::App;

/// How long refusals are gathered for a row: for the first, for the second, and so on.
const WINDOWS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(10), Duration::from_mins(1), Duration::from_mins(10)];
/// After so long without a refusal the next one is a first one.
const FORGET: Duration = Duration::from_mins(10);
/// The rows of all networks: so many at once, and then one in so long.
const ROWS: u32 = 100;
const ROW_EVERY: Duration = Duration::from_secs(5);
/// Origins, objects and reasons that are gathered for at a time.
const ENTRIES: usize = 2048;
/// How many of them are one origin's, beside that of all its other objects.
const OF_ORIGIN: usize = 8;
/// Stands for what is not named.
const MANY: &str = "many";

/// Refusals of one kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    by: Origin,
    /// Who: a peer, or the account that is signed in.
    actor: String,
    /// The account that was to be signed in to, or the route that was asked.
    object: String,
    /// The problem's code.
    reason: &'static str,
    /// How many; this is the last of them.
    count: u64,
}

/// Who has rows together.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Origin {
    /// Who is not signed in.
    Network(Network),
    /// Who is.
    Account(String),
    Everybody,
}

impl Refusal {
    /// A sign-in. What is said to be an account and is no address may be a password in the wrong field.
    pub(crate) fn of_sign_in(from: IpAddr, account: &str, reason: &'static str) -> Self {
        let object = Email::parse(account).map_or_else(|| "unknown".to_owned(), |email| email.as_str().to_owned());
        Self { by: Origin::Network(Network::of(from)), actor: format!("peer:{from}"), object, reason, count: 1 }
    }

    /// A request that `actor`, who is known, may not make. `route` has its parameters' names in it, not their values.
    pub(crate) fn of_access(actor: &str, route: &str, reason: &'static str) -> Self {
        Self {
            by: Origin::Account(actor.to_owned()),
            actor: actor.to_owned(),
            object: route.to_owned(),
            reason,
            count: 1,
        }
    }

    async fn write(&self, app: &App) {
        let action = if let Origin::Account(_) = self.by { "access.refuse" } else { "session.refuse" };
        let detail = json!({ "reason": self.reason, "count": self.count });
        if let Err(error) = app.store.audit(&self.actor, action, &self.object, detail).await {
            logging::limited("refusal", || tracing::error!(%error, "refusal not recorded"));
        }
    }
}

/// What is gathered.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Gathered>);

#[derive(Debug, Default)]
struct Gathered {
    entries: HashMap<Key, Entry>,
    /// Of all for whom there is no entry or no row.
    beyond: Option<Entry>,
    budget: Budget,
}

/// Origin, object and reason.
type Key = (Origin, String, &'static str);

/// What is gathered for a row.
#[derive(Clone, Debug)]
struct Entry {
    written: Timestamp,
    /// Which of [`WINDOWS`] comes after that.
    window: usize,
    /// When the last refusal came.
    last: Timestamp,
    held: Option<Refusal>,
}

impl Entry {
    const fn written(now: Timestamp) -> Self {
        Self { written: now, window: 0, last: now, held: None }
    }

    fn hold(&mut self, refusal: Refusal, now: Timestamp) {
        let count = self.held.as_ref().map_or(0, |held| held.count) + refusal.count;
        (self.held, self.last) = (Some(Refusal { count, ..refusal }), now);
    }

    /// A clock that was set back ends a window.
    fn is_due(&self, now: Timestamp) -> bool {
        now < self.written || now.since(self.written) >= WINDOWS[self.window]
    }

    fn is_silent(&self, now: Timestamp) -> bool {
        self.held.is_none() && (now < self.last || now.since(self.last) >= FORGET)
    }

    /// What is held, to be written; a longer window begins.
    fn take(&mut self, now: Timestamp) -> Option<Refusal> {
        let held = self.held.take()?;
        (self.written, self.window) = (now, (self.window + 1).min(WINDOWS.len() - 1));
        Some(held)
    }
}

/// The rows that may be written.
#[derive(Debug, Default)]
struct Budget {
    spent: u32,
    /// Since when what was spent comes back.
    since: Timestamp,
}

impl Budget {
    /// Takes a row; whether there is one.
    fn spend(&mut self, now: Timestamp) -> bool {
        let back = now.since(self.since).as_secs() / ROW_EVERY.as_secs();
        if now < self.since || back >= u64::from(self.spent) {
            (self.spent, self.since) = (0, now);
        } else {
            let back = u32::try_from(back).unwrap_or(self.spent);
            (self.spent, self.since) = (self.spent - back, self.since.plus(ROW_EVERY * back));
        }
        if self.spent >= ROWS {
            return false;
        }
        self.spent += 1;
        true
    }
}

impl Refusals {
    /// Takes a refusal in; returns what is to be written now.
    fn note(&self, mut refusal: Refusal, now: Timestamp) -> Option<Refusal> {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (refusal.by.clone(), refusal.object.clone(), refusal.reason);
        if !gathered.entries.contains_key(&key)
            && gathered.entries.keys().filter(|(by, ..)| *by == refusal.by).count() >= OF_ORIGIN
        {
            (refusal.object, refusal.reason) = (MANY.to_owned(), "too_many_attempts");
            key = (refusal.by.clone(), refusal.object.clone(), refusal.reason);
        }
        if let Some(entry) = gathered.entries.get_mut(&key) {
            entry.hold(refusal, now);
            return None;
        }
        gathered.make_room();
        if gathered.entries.len() >= ENTRIES || !gathered.budget.spend(now) {
            gathered.add_beyond(refusal.count, now);
            return None;
        }
        gathered.entries.insert(key, Entry::written(now));
        Some(refusal)
    }

    /// What has been gathered for long enough, or `all` of it.
    fn due(&self, now: Timestamp, all: bool) -> Vec<Refusal> {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Gathered { entries, beyond, budget } = &mut *gathered;
        entries.retain(|_, entry| !entry.is_silent(now));
        let mut due = Vec::new();
        let mut unwritten = Vec::new();
        for entry in entries.values_mut().filter(|entry| all || entry.is_due(now)) {
            match entry.take(now) {
                Some(held) if all || budget.spend(now) => due.push(held),
                Some(held) => unwritten.push(held),
                None => {}
            }
        }
        beyond.take_if(|beyond| beyond.is_silent(now));
        for refusal in unwritten {
            gathered.add_beyond(refusal.count, now);
        }
        let beyond = gathered.beyond.as_mut().filter(|beyond| all || beyond.is_due(now));
        due.extend(beyond.and_then(|beyond| beyond.take(now)));
        due
    }
}

impl Gathered {
    /// Makes room for one more, if somebody is silent who has nothing to be written.
    fn make_room(&mut self) {
        if self.entries.len() < ENTRIES {
            return;
        }
        let silent = self.entries.iter().filter(|(_, entry)| entry.held.is_none());
        if let Some(key) = silent.min_by_key(|(_, entry)| entry.last).map(|(key, _)| key.clone()) {
            self.entries.remove(&key);
        }
    }

    /// Counts what has no row of its own.
    fn add_beyond(&mut self, count: u64, now: Timestamp) {
        let (actor, object) = (format!("peer:{MANY}"), MANY.to_owned());
        let all = Refusal { by: Origin::Everybody, actor, object, reason: "too_many_attempts", count };
        self.beyond.get_or_insert_with(|| Entry::written(now)).hold(all, now);
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
pub(crate) async fn write_all(app: &App) {
    for refusal in app.people.refusals.due(app.clock.now(), true) {
        refusal.write(app).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

    fn refusal(n: u32) -> Refusal {
        Refusal::of_sign_in(IpAddr::V4(n.into()), "ann@example.org", "wrong_credentials")
    }

    const GATHER: Duration = WINDOWS[0];

    #[test]
    fn a_guesser_makes_fewer_and_fewer_rows_with_a_count() {
        let refusals = Refusals::default();
        assert_eq!(refusals.note(refusal(1), NOW), Some(refusal(1)), "the first shows at once");
        let (mut rows, mut counted) = (Vec::new(), 0);
        for second in 0..3600 {
            let now = NOW.plus(Duration::from_secs(second));
            for _ in 0..100 {
                assert_eq!(refusals.note(refusal(1), now), None);
                counted += 1;
            }
            rows.extend(refusals.due(now, false).into_iter().map(|row| (second, row.count)));
        }
        let seconds = rows.iter().map(|(second, _)| *second).collect::<Vec<_>>();
        assert_eq!(seconds, [1, 11, 71, 671, 1271, 1871, 2471, 3071]);
        rows.extend(refusals.due(NOW, true).into_iter().map(|row| (3600, row.count)));
        assert_eq!(rows.iter().map(|(_, count)| count).sum::<u64>(), counted, "all are counted");
    }

    #[test]
    fn who_comes_back_a_little_later_each_time_makes_no_more_rows_than_one_who_never_stops() {
        let refusals = Refusals::default();
        let mut rows = 0;
        for second in (0..3600).step_by(2) {
            let now = NOW.plus(Duration::from_secs(second));
            rows += refusals.due(now, false).len();
            rows += usize::from(refusals.note(refusal(1), now).is_some());
        }
        assert!(rows <= 10, "{rows}");
    }

    #[test]
    fn who_is_silent_for_long_is_forgotten_and_shows_at_once_again() {
        let refusals = Refusals::default();
        for _ in 0..2 {
            refusals.note(refusal(1), NOW);
        }
        assert_eq!(refusals.due(NOW.plus(GATHER), false), [refusal(1)]);
        assert!(refusals.due(NOW.plus(FORGET).minus(GATHER), false).is_empty());
        assert_eq!(refusals.note(refusal(1), NOW.plus(FORGET).minus(GATHER)), None);
        let later = NOW.plus(2 * FORGET);
        assert_eq!(refusals.due(later, false), [refusal(1)]);
        assert!(refusals.due(later.plus(FORGET), false).is_empty());
        assert!(refusals.0.lock().expect("whole").entries.is_empty());
        assert_eq!(refusals.note(refusal(1), later.plus(FORGET)), Some(refusal(1)));
    }

    #[test]
    fn many_guessers_make_few_rows_and_nobody_is_left_out_of_the_count() {
        let refusals = Refusals::default();
        let mut rows: Vec<_> = (0..5000).filter_map(|n| refusals.note(refusal(n), NOW)).collect();
        assert_eq!(rows.len(), ROWS as usize);
        rows.extend(refusals.due(NOW.plus(GATHER), false));
        assert_eq!(rows.len(), ROWS as usize + 1);
        assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 5000);
        assert_eq!(rows[ROWS as usize].by, Origin::Everybody);
    }

    #[test]
    fn hours_of_guessing_from_everywhere_make_a_bounded_number_of_rows() {
        let refusals = Refusals::default();
        let (mut rows, hours) = (0, 6 * 3600);
        for second in 0..hours {
            let now = NOW.plus(Duration::from_secs(second.into()));
            rows += usize::from(refusals.note(refusal(second), now).is_some()) + refusals.due(now, false).len();
        }
        assert!(rows < 4500, "{rows}");
    }

    #[test]
    fn no_account_hides_behind_another_of_the_same_network() {
        let refusals = Refusals::default();
        let of = |account: &str, reason| Refusal::of_sign_in(IpAddr::V4(1.into()), account, reason);
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
        let of = |n| Refusal::of_sign_in(IpAddr::V4(1.into()), &format!("u{n}@x.org"), "wrong_credentials");
        let mut rows: Vec<_> = (0..500).filter_map(|n| refusals.note(of(n), NOW)).collect();
        assert_eq!(rows.len(), OF_ORIGIN + 1);
        assert_eq!(rows[OF_ORIGIN].object, MANY);
        rows.extend(refusals.due(NOW.plus(GATHER), false));
        assert_eq!(rows.len(), OF_ORIGIN + 2);
        assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 500);
    }

    #[test]
    fn who_is_signed_in_has_rows_of_its_own() {
        let refusals = Refusals::default();
        let of = |who, n| Refusal::of_access(who, &format!("/admin/{n}"), "forbidden");
        let rows: Vec<_> = (0..20).filter_map(|n| refusals.note(of("ann@x.org", n), NOW)).collect();
        assert_eq!(rows.len(), OF_ORIGIN + 1);
        assert_eq!(refusals.note(of("bob@x.org", 1), NOW), Some(of("bob@x.org", 1)), "others have theirs");
    }

    #[test]
    fn what_is_no_address_is_not_written() {
        let row = Refusal::of_sign_in(IpAddr::V4(1.into()), "My Password 1", "wrong_credentials");
        assert_eq!(row.object, "unknown");
    }
}
