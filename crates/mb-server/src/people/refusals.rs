//! The audit rows of what was refused, bounded: guessing must show in the log and must not fill the disk.
//!
//! The first refusal of a network for an account and a reason, or of an account for what it may not ask, is written at once;
//! further ones are counted and written as one row after a second, then after ten, after a minute, and from then on every
//! ten minutes, until there was silence for as long. A network, or an account, has so many such rows; what else it tries is
//! counted in one that names nothing. All together have rows at a steady pace; what is beyond is counted in one row of its
//! own, which comes as slowly.
//!
//! Who guesses at names that are nobody's must not hide who guesses at an account by it: each account has rows of its own
//! beyond those of all, and so has who is signed in. Such rows are only ever gathered, so that no answer takes longer
//! because there is such an account.

mod budget;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mb_core::throttle::Network;
use mb_core::{Email, Timestamp};
use mb_runtime::logging;
use serde_json::json;

use self::budget::{Budget, Pace};
use crate::app::App;

/// How long refusals are gathered for a row: for the first, for the second, and so on.
const WINDOWS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(10), Duration::from_mins(1), Duration::from_mins(10)];
/// After so long without a refusal the next one is a first one.
const FORGET: Duration = Duration::from_mins(10);
/// The rows of all networks.
const OF_ALL: Pace = Pace { rows: 100, every: Duration::from_secs(5) };
/// The rows about an account beyond those.
const OF_ACCOUNT: Pace = Pace { rows: 10, every: Duration::from_mins(5) };
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
    /// Whether [`Refusal::object`] is an account that there is.
    is_account: bool,
    /// The problem's code.
    reason: &'static str,
    /// How many; this is the last of them.
    count: u64,
}

/// What somebody tried to sign in to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    /// An account that there is, by its address.
    Account(&'a str),
    /// What was given for one and is none.
    Nobody(&'a str),
}

/// Who has rows together.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Origin {
    /// Who is not signed in.
    Network(Network),
    /// Who is.
    Account(String),
    /// All who try at an account.
    At(String),
    Everybody,
}

impl Refusal {
    /// A sign-in. What is said to be an account and is no address may be a password in the wrong field.
    pub(crate) fn of_sign_in(from: IpAddr, target: Target<'_>, reason: &'static str) -> Self {
        let (object, is_account) = match target {
            Target::Account(email) => (email.to_owned(), true),
            Target::Nobody(text) => match Email::parse(text) {
                Some(email) => (email.as_str().to_owned(), false),
                None => ("unknown".to_owned(), false),
            },
        };
        let (by, actor) = (Origin::Network(Network::of(from)), format!("peer:{from}"));
        Self { by, actor, object, is_account, reason, count: 1 }
    }

    /// A request that `actor`, who is known, may not make. `route` has its parameters' names in it, not their values.
    pub(crate) fn of_access(actor: &str, route: &str, reason: &'static str) -> Self {
        Self {
            by: Origin::Account(actor.to_owned()),
            actor: actor.to_owned(),
            object: route.to_owned(),
            is_account: false,
            reason,
            count: 1,
        }
    }

    fn key(&self) -> Key {
        (self.by.clone(), self.object.clone(), self.reason)
    }

    /// Takes a row out of those of the account that it is about; whether there is one.
    fn spend_own(&self, budgets: &mut HashMap<String, Budget>, now: Timestamp) -> bool {
        self.is_account && budgets.entry(self.object.clone()).or_default().spend(OF_ACCOUNT, now)
    }

    /// The same without what tells it from others of its origin.
    fn one_of_many(self) -> Self {
        Self { object: MANY.to_owned(), is_account: false, reason: "too_many_attempts", ..self }
    }

    /// The same as one of all that tried at its account.
    fn one_at_its_account(self) -> Self {
        Self { by: Origin::At(self.object.clone()), actor: format!("peer:{MANY}"), reason: "too_many_attempts", ..self }
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
    /// Of accounts.
    budgets: HashMap<String, Budget>,
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
    /// Its next row is taken out of a budget already.
    is_paid: bool,
}

impl Entry {
    const fn written(now: Timestamp) -> Self {
        Self { written: now, window: 0, last: now, held: None, is_paid: false }
    }

    /// One whose first row is still to be written.
    fn begun(refusal: Refusal, now: Timestamp) -> Self {
        Self { held: Some(refusal), is_paid: true, ..Self::written(now) }
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
        self.is_paid = false;
        Some(held)
    }
}

impl Refusals {
    /// Takes a refusal in; returns what is to be written now.
    fn note(&self, mut refusal: Refusal, now: Timestamp) -> Option<Refusal> {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !refusal.is_account
            && !gathered.entries.contains_key(&refusal.key())
            && gathered.entries.keys().filter(|(by, ..)| *by == refusal.by).count() >= OF_ORIGIN
        {
            refusal = refusal.one_of_many();
        }
        if let Some(entry) = gathered.entries.get_mut(&refusal.key()) {
            entry.hold(refusal, now);
            return None;
        }
        gathered.make_room();
        if gathered.entries.len() >= ENTRIES {
            gathered.add_beyond(refusal.count, now);
            return None;
        }
        if matches!(refusal.by, Origin::Account(_)) || gathered.budget.spend(OF_ALL, now) {
            gathered.entries.insert(refusal.key(), Entry::written(now));
            return Some(refusal);
        }
        if refusal.spend_own(&mut gathered.budgets, now) {
            gathered.entries.insert(refusal.key(), Entry::begun(refusal, now));
        } else {
            gathered.add_unnamed(refusal, now);
        }
        None
    }

    /// What has been gathered for long enough, or `all` of it.
    fn due(&self, now: Timestamp, all: bool) -> Vec<Refusal> {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Gathered { entries, beyond, budget, budgets } = &mut *gathered;
        entries.retain(|_, entry| !entry.is_silent(now));
        budgets.retain(|_, budget| !budget.is_whole(OF_ACCOUNT, now));
        let mut due = Vec::new();
        let mut unwritten = Vec::new();
        for ((by, ..), entry) in entries.iter_mut().filter(|(_, entry)| all || entry.is_due(now)) {
            // As many as there are accounts, in windows: that bounds them.
            let is_free = all || entry.is_paid || matches!(by, Origin::Account(_) | Origin::At(_));
            match entry.take(now) {
                Some(held) if is_free || budget.spend(OF_ALL, now) || held.spend_own(budgets, now) => due.push(held),
                Some(held) => unwritten.push(held),
                None => {}
            }
        }
        beyond.take_if(|beyond| beyond.is_silent(now));
        for refusal in unwritten {
            gathered.add_unnamed(refusal, now);
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

    /// Counts what has no row that names where it came from.
    fn add_unnamed(&mut self, refusal: Refusal, now: Timestamp) {
        if !refusal.is_account {
            return self.add_beyond(refusal.count, now);
        }
        let refusal = refusal.one_at_its_account();
        match self.entries.get_mut(&refusal.key()) {
            Some(entry) => entry.hold(refusal, now),
            None => drop(self.entries.insert(refusal.key(), Entry::begun(refusal, now))),
        }
    }

    /// Counts what has no row of its own.
    fn add_beyond(&mut self, count: u64, now: Timestamp) {
        let (actor, object) = (format!("peer:{MANY}"), MANY.to_owned());
        let (by, reason) = (Origin::Everybody, "too_many_attempts");
        let all = Refusal { by, actor, object, is_account: false, reason, count };
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
mod tests;
