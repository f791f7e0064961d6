//! What is shown once, between the form that made it and the page that shows it: keys, secrets, tokens.
//!
//! The page is another request, so that loading it again makes nothing (Post/Redirect/Get). Until then the secret is here:
//! in memory alone, for minutes at most, for the person who asked, and taken out by being shown. A portal that is stopped
//! meanwhile, or another one that is asked, does not have it; the person then makes another one.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mb_api::dto::{GeneratedCertificate, SecretText};
use mb_core::{ClientName, Timestamp, UserId};

/// How long something waits to be shown.
const LIFETIME: Duration = Duration::from_mins(5);
/// Things that wait at once; one more takes the place of the oldest.
const MOST: usize = 64;

/// A certificate with its key.
#[derive(Debug)]
pub(crate) struct Issued {
    /// Whose it is.
    pub(crate) name: ClientName,
    pub(crate) certificate: GeneratedCertificate,
}

/// What messages to a destination are signed with.
#[derive(Debug)]
pub(crate) struct SigningSecret {
    pub(crate) secret: SecretText,
    /// Until when the one before is used too.
    pub(crate) overlap_until: Option<Timestamp>,
}

struct Waiting<T> {
    until: Instant,
    by: UserId,
    id: String,
    what: T,
}

/// What waits. Cheap to clone.
pub(crate) struct HandingOut<T>(Arc<Mutex<VecDeque<Waiting<T>>>>);

impl<T> HandingOut<T> {
    /// Keeps what the person made under an id.
    pub(crate) fn put(&self, by: UserId, id: String, what: T, now: Instant) {
        let mut waiting = self.fresh(now);
        if waiting.len() == MOST {
            waiting.pop_front();
        }
        waiting.push_back(Waiting { until: now + LIFETIME, by, id, what });
    }

    /// Takes the person's of this id out; `None` if there is none, or none any more.
    pub(crate) fn take(&self, by: UserId, id: &str, now: Instant) -> Option<T> {
        let mut waiting = self.fresh(now);
        let at = waiting.iter().position(|entry| entry.by == by && entry.id == id)?;
        waiting.remove(at).map(|entry| entry.what)
    }

    fn fresh(&self, now: Instant) -> MutexGuard<'_, VecDeque<Waiting<T>>> {
        // Nothing panics while it is held.
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|entry| now < entry.until);
        waiting
    }
}

impl<T> Default for HandingOut<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for HandingOut<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for HandingOut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandingOut").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_once_to_who_made_it_and_within_minutes() {
        let (out, now, ann, bob) = (HandingOut::default(), Instant::now(), UserId::new(1), UserId::new(2));
        out.put(ann, "01".into(), "KEY", now);
        assert!(out.take(bob, "01", now).is_none() && out.take(ann, "02", now).is_none());
        assert_eq!(out.take(ann, "01", now), Some("KEY"));
        assert!(out.take(ann, "01", now).is_none(), "once");
        out.put(ann, "03".into(), "KEY", now);
        assert!(out.take(ann, "03", now + LIFETIME).is_none(), "too late");
    }

    #[test]
    fn those_that_wait_are_bounded() {
        let (out, now, ann) = (HandingOut::default(), Instant::now(), UserId::new(1));
        for id in 0..=MOST {
            out.put(ann, id.to_string(), (), now);
        }
        assert!(out.take(ann, "0", now).is_none());
        assert!(out.take(ann, "1", now).is_some());
    }
}
