//! How many questions for messages a consumer has open. They take no turn of those in work, so each consumer has a bound of
//! its own: one that asks ever more often, and reads no answer, is refused before it is a burden to others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The most that one consumer may have open at a main server.
pub(crate) const MOST: u32 = 64;

/// The open questions by whose they are.
#[derive(Clone, Default, Debug)]
pub(crate) struct Polls(Arc<Mutex<HashMap<String, u32>>>);

impl Polls {
    /// One more of `consumer`'s; `None` if it has so many already.
    pub(crate) fn begin(&self, consumer: &str) -> Option<Poll> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(consumer.to_owned()).or_default();
        if *count >= MOST {
            return None;
        }
        *count += 1;
        Some(Poll { polls: self.clone(), consumer: consumer.to_owned() })
    }
}

/// An open question.
#[derive(Debug)]
pub(crate) struct Poll {
    polls: Polls,
    consumer: String,
}

impl Drop for Poll {
    fn drop(&mut self) {
        let mut open = self.polls.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.consumer) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.consumer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_consumer_has_so_many_and_gets_them_back() {
        let polls = Polls::default();
        let mut open: Vec<_> = (0..MOST).map_while(|_| polls.begin("a")).collect();
        assert_eq!(open.len(), MOST as usize);
        assert!(polls.begin("a").is_none() && polls.begin("b").is_some());
        open.pop();
        assert!(polls.begin("a").is_some());
        drop(open);
        assert!(polls.0.lock().expect("not poisoned").is_empty());
    }
}
