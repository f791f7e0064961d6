//! A run that somebody asked for, one bounded request of it: goes through everything from the oldest on, whatever the
//! leader has done, and says where the next request goes on.

use std::time::Duration;

use mb_api::dto::RetentionProgress;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::retention::Kept;
use mb_core::{DomainName, Timestamp};
use mb_store::{Letters, Removal, RetentionStep, Retired, StoreError, Stretch};
use tokio::time::Instant;

use super::place::Place;
use super::{Terms, pause};
use crate::app::App;
use crate::audit::pruning;
use crate::routes::store_fault;

/// How long one request goes on.
const BUDGET: Duration = Duration::from_secs(2);
/// Pauses, in lengths of the step before: somebody waits for it.
const PAUSE: u32 = 3;

/// Goes on behind `cursor`.
pub(crate) async fn run(
    app: &App,
    cursor: Option<&str>,
    removal: Removal,
    actor: &str,
) -> Result<RetentionProgress, ApiError> {
    let terms = Terms::read(app).await.map_err(store_fault)?;
    let now = app.store.shared_now().await.map_err(store_fault)?;
    let domains = terms.domains.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let unknown = || ApiError::new(ProblemCode::ValidationFailed, "cursor must be a value of 'next'");
    let begin = || Ok(Place::behind(None, &domains));
    let mut place = Some(cursor.map_or_else(begin, |text| Place::parse(text).ok_or_else(unknown))?);
    let run = Run { app, terms: &terms, now, removal, actor };
    let mut done = RetentionProgress::default();
    let started = Instant::now();
    while let Some(at) = place.take() {
        if started.elapsed() > BUDGET || app.stopping.is_cancelled() {
            done.next = Some(at.to_text());
            break;
        }
        let step = Instant::now();
        place = match run.step(&at, &mut done).await.map_err(store_fault)? {
            Some(further) => Some(further),
            None => at.next(&domains),
        };
        if removal == Removal::Remove {
            pause(step, PAUSE).await;
        }
    }
    Ok(done)
}

struct Run<'a> {
    app: &'a App,
    terms: &'a Terms,
    now: Timestamp,
    removal: Removal,
    actor: &'a str,
}

impl Run<'_> {
    /// Does a step; where it goes on within the same part, if there is more.
    async fn step(&self, at: &Place, done: &mut RetentionProgress) -> Result<Option<Place>, StoreError> {
        match at {
            Place::Messages(what, domain, after) => {
                let before = self.now.minus(self.kept(Some(domain)).of(*what));
                let stretch = Stretch { domain, before, after: *after };
                let RetentionStep { removed, place, more } =
                    self.app.store.retire(*what, &stretch, self.removal).await?;
                *match what {
                    Retired::Bodies => &mut done.bodies,
                    Retired::Messages => &mut done.messages,
                } += self.counted(what.as_str(), removed);
                Ok(more.then(|| Place::Messages(*what, domain.clone(), place.or(*after))))
            }
            Place::Letters(domain, after) => {
                let kept = self.kept(domain.as_ref());
                let letters = Letters {
                    domain: domain.as_ref(),
                    before: self.now.minus(kept.metadata),
                    bodies_before: self.now.minus(kept.bodies),
                    after: *after,
                };
                let RetentionStep { removed, place, more } =
                    self.app.store.retire_letters(&letters, self.removal).await?;
                done.dead_letters += self.counted("dead_letters", removed);
                Ok(more.then(|| Place::Letters(domain.clone(), place.or(*after))))
            }
            Place::Audit => {
                let before = self.now.minus(self.terms.all.audit());
                let (rows, more) = pruning::step(self.app, before, self.removal, self.actor).await?;
                done.audit_rows += self.counted("audit_rows", rows);
                Ok(more.then_some(Place::Audit))
            }
        }
    }

    fn counted(&self, what: &'static str, count: u64) -> u64 {
        if self.removal == Removal::Remove {
            self.app.metrics.retention.removed(what, count);
        }
        count
    }

    /// A domain that came meanwhile has nothing old.
    fn kept(&self, domain: Option<&DomainName>) -> Kept {
        let found = domain.and_then(|name| self.terms.domains.iter().find(|(known, _)| known == name));
        found.map_or_else(|| self.terms.of_nobody(), |(_, kept)| *kept)
    }
}
