//! Turns for those who watch messages: so many in all, and so many of each, so that nobody takes them from the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mb_api::problem::{ApiError, ProblemCode};

use crate::actor::Actor;

/// The most who watch at a time.
const ALL: usize = 256;
/// The most of them who are one account or certificate: some browsers with some pages each.
const OF_ONE: usize = 8;
/// When one of its own may have ended.
const RETRY_AFTER: u32 = 5;

/// Who watches, and how often.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<BTreeMap<Box<str>, usize>>);

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    watchers: Arc<Watchers>,
    actor: Box<str>,
}

impl Watchers {
    /// Takes a turn.
    ///
    /// # Errors
    /// 503 `overloaded`.
    pub(super) fn take(self: &Arc<Self>, actor: &Actor) -> Result<Turn, ApiError> {
        let full = |detail| ApiError::new(ProblemCode::Overloaded, detail);
        let mut watching = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if watching.values().sum::<usize>() >= ALL {
            return Err(full("too many watch already; try again"));
        }
        let own = watching.entry(actor.as_str().into()).or_default();
        if *own >= OF_ONE {
            return Err(full("you watch in too many places already: close one of them").retry_after(RETRY_AFTER));
        }
        *own += 1;
        Ok(Turn { watchers: Arc::clone(self), actor: actor.as_str().into() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut watching = self.watchers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = watching.get_mut(&self.actor) {
            *own -= 1;
            if *own == 0 {
                watching.remove(&self.actor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_watches_everywhere_keeps_nobody_from_watching() {
        let (watchers, ann, bob) = (Arc::<Watchers>::default(), Actor::user("ann@x"), Actor::user("bob@x"));
        let mut turns = (0..OF_ONE).map(|_| watchers.take(&ann).expect("a turn")).collect::<Vec<_>>();
        let refused = watchers.take(&ann).expect_err("eight are enough");
        assert_eq!(refused.code(), ProblemCode::Overloaded);
        assert!(watchers.take(&bob).is_ok());
        turns.pop();
        turns.push(watchers.take(&ann).expect("one has ended"));
        drop(turns);
        assert!(watchers.0.lock().expect("whole").is_empty(), "nothing is remembered of who has gone");
    }

    #[test]
    fn all_together_are_bounded() {
        let watchers = Arc::<Watchers>::default();
        let take = |n: usize| watchers.take(&Actor::user(&format!("{}@x", n / OF_ONE)));
        let turns = (0..ALL).map(|n| take(n).expect("a turn")).collect::<Vec<_>>();
        assert!(take(ALL).is_err());
        drop(turns);
    }
}
