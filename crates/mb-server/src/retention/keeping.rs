//! What whoever leads does about it, a turn every few minutes.
//!
//! Of each domain it is noted how far its messages were gone through, so that a turn begins where the last one ended. What
//! was open then stays behind; so everything up to there is gone through again from time to time: what is left of
//! messages is little, contents that are gone are passed by.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mb_core::retention::Kept;
use mb_core::{DomainName, Timestamp};
use mb_store::{Letters, Removal, RetentionPlace, RetentionProgress, RetentionStep, Retired, StoreError, Stretch};
use tokio::time::Instant;

use super::{Terms, pause};
use crate::app::App;
use crate::audit::pruning;

/// Pauses, in lengths of the step before: a twentieth of the time is spent on this.
const PAUSE: u32 = 19;
/// How long one domain is gone through before another has its turn.
const SLICE: Duration = Duration::from_secs(20);
/// How long a turn lasts at most.
const TURN: Duration = Duration::from_mins(4);
const DAY: Duration = Duration::from_hours(24);
/// What should have gone so long ago is worth a word.
const BEHIND: Duration = Duration::from_hours(48);
/// Who cuts the audit log.
const ACTOR: &str = "system:retention";

/// After so long what stayed behind is looked for again.
const fn round(what: Retired) -> Duration {
    match what {
        Retired::Bodies => Duration::from_hours(7 * 24),
        Retired::Messages => DAY,
    }
}

type Part = (DomainName, Retired);

/// How removing goes, where this process does it.
#[derive(Debug, Default)]
pub(crate) struct Keeping(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// For how long what is next should have been gone.
    overdue: BTreeMap<Part, Duration>,
    /// Where the search for what stayed behind goes on.
    again: BTreeMap<Part, RetentionPlace>,
    /// When dead letters were gone through.
    letters_at: Option<Timestamp>,
    /// Which domain a turn begins with: one that has much to do must not keep the others from theirs.
    first: usize,
}

impl Keeping {
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// For how long the oldest that should be gone has been due.
    pub(crate) fn overdue(&self, what: Retired) -> Duration {
        self.with(|inner| {
            let of = inner.overdue.iter().filter(|((_, part), _)| *part == what);
            of.map(|(_, overdue)| *overdue).max().unwrap_or_default()
        })
    }

    /// The same where it is long enough to be told.
    pub(crate) fn behind(&self) -> Option<Duration> {
        Retired::ALL.into_iter().map(|what| self.overdue(what)).max().filter(|overdue| *overdue > BEHIND)
    }

    /// Takes in how it stands with one domain.
    pub(crate) fn note_overdue(&self, domain: &DomainName, what: Retired, overdue: Duration) {
        self.with(|inner| inner.overdue.insert((domain.clone(), what), overdue));
    }

    /// Nothing is remembered of a domain that is no more.
    fn remember(&self, domains: &[(DomainName, Kept)]) {
        self.with(|inner| {
            let is_known = |name: &DomainName| domains.binary_search_by(|(known, _)| known.cmp(name)).is_ok();
            inner.overdue.retain(|(domain, _), _| is_known(domain));
            inner.again.retain(|(domain, _), _| is_known(domain));
        });
    }
}

/// One turn.
pub(crate) async fn turn(app: &App) -> Result<(), StoreError> {
    let (terms, ends) = (Terms::read(app).await?, Instant::now() + TURN);
    let count = terms.domains.len();
    app.retention.remember(&terms.domains);
    let first = app.retention.with(|inner| {
        inner.first = (inner.first + 1) % count.max(1);
        inner.first
    });
    for at in 0..count {
        let (domain, kept) = &terms.domains[(first + at) % count];
        for what in [Retired::Messages, Retired::Bodies] {
            let until = ends.min(Instant::now() + SLICE);
            Going { app, domain, what, kept: kept.of(what), until }.go_on().await?;
        }
        if is_over(app, ends) {
            break;
        }
    }
    letters(app, &terms, ends).await?;
    audit(app, &terms, ends).await?;
    for what in Retired::ALL {
        app.metrics.retention.overdue(what, app.retention.overdue(what));
    }
    Ok(())
}

fn is_over(app: &App, ends: Instant) -> bool {
    app.stopping.is_cancelled() || Instant::now() >= ends
}

/// One domain's messages, or their contents.
struct Going<'a> {
    app: &'a App,
    domain: &'a DomainName,
    what: Retired,
    kept: Duration,
    until: Instant,
}

impl Going<'_> {
    async fn go_on(&self) -> Result<(), StoreError> {
        let now = self.app.store.shared_now().await?;
        let before = now.minus(self.kept);
        let noted = self.app.store.retention_progress(self.domain, self.what).await?;
        let begun = noted.map(|noted| noted.place);
        let (place, done) = self.walk(before, begun).await?;
        let overdue = if done { Duration::ZERO } else { place.map_or(Duration::ZERO, |place| before.since(place.0)) };
        self.app.retention.note_overdue(self.domain, self.what, overdue);
        let mut round_at = noted.map_or(now, |noted| noted.round_at);
        if done && now.since(round_at) >= round(self.what) && self.again(begun).await? {
            round_at = now;
        }
        match place {
            Some(place) if noted != Some(RetentionProgress { place, round_at }) => {
                let progress = RetentionProgress { place, round_at };
                self.app.store.note_retention(self.domain, self.what, &progress).await
            }
            _ => Ok(()),
        }
    }

    /// Goes through what lies up to `end` once more; whether all of it was.
    async fn again(&self, end: Option<RetentionPlace>) -> Result<bool, StoreError> {
        let Some(end) = end else { return Ok(true) };
        let part = (self.domain.clone(), self.what);
        let after = self.app.retention.with(|inner| inner.again.get(&part).copied());
        // That moment included.
        let before = end.0.plus(Duration::from_micros(1));
        let (place, done) = self.walk(before, after).await?;
        self.app.retention.with(|inner| match place.filter(|_| !done) {
            Some(place) => inner.again.insert(part, place),
            None => inner.again.remove(&part),
        });
        Ok(done)
    }

    /// Removes what is to go and lies before then; how far that came, and whether it came to the end.
    async fn walk(
        &self,
        before: Timestamp,
        mut after: Option<RetentionPlace>,
    ) -> Result<(Option<RetentionPlace>, bool), StoreError> {
        loop {
            let begun = Instant::now();
            let stretch = Stretch { domain: self.domain, before, after };
            let RetentionStep { removed, place, more } =
                self.app.store.retire(self.what, &stretch, Removal::Remove).await?;
            self.app.metrics.retention.removed(self.what.as_str(), removed);
            after = place.or(after);
            if !more || is_over(self.app, self.until) {
                return Ok((after, !more));
            }
            pause(begun, PAUSE).await;
        }
    }
}

/// There are few, so once a day all of them are gone through.
async fn letters(app: &App, terms: &Terms, ends: Instant) -> Result<(), StoreError> {
    let now = app.store.shared_now().await?;
    if app.retention.with(|inner| inner.letters_at.is_some_and(|at| now.since(at) < DAY)) {
        return Ok(());
    }
    let named = terms.domains.iter().map(|(domain, kept)| (Some(domain), *kept));
    for (domain, kept) in named.chain([(None, terms.of_nobody())]) {
        let (before, bodies_before) = (now.minus(kept.metadata), now.minus(kept.bodies));
        let mut after = None;
        loop {
            let begun = Instant::now();
            let letters = Letters { domain, before, bodies_before, after };
            let step = app.store.retire_letters(&letters, Removal::Remove).await?;
            app.metrics.retention.removed("dead_letters", step.removed);
            after = step.place.or(after);
            if is_over(app, ends) {
                return Ok(());
            }
            if !step.more {
                break;
            }
            pause(begun, PAUSE).await;
        }
    }
    app.retention.with(|inner| inner.letters_at = Some(now));
    Ok(())
}

/// Each cut is a row of the log itself, so it is not cut for less than a day's rows.
async fn audit(app: &App, terms: &Terms, ends: Instant) -> Result<(), StoreError> {
    let before = app.store.shared_now().await?.minus(terms.all.audit());
    if !pruning::is_due(app, before.minus(DAY)).await? && pruning::is_clean(app).await? {
        return Ok(());
    }
    loop {
        let begun = Instant::now();
        let (rows, more) = pruning::step(app, before, Removal::Remove, ACTOR).await?;
        app.metrics.retention.removed("audit_rows", rows);
        if !more || is_over(app, ends) {
            return Ok(());
        }
        pause(begun, PAUSE).await;
    }
}
