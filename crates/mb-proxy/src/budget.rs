//! Memory for the bodies and answers of requests: how much all take together, and how much one client may.
//!
//! A share grows with what has really arrived or been written: announcing a large body takes nothing from others. It is
//! held until the answer has gone out, because who does not read its answers makes them pile up here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::ClientName;

/// What may be in memory at once, beyond what is small: 128 MiB.
const TOTAL: usize = 128 << 20;
/// How much of it one client may take, so that it does not shut others out.
const PER_CLIENT: usize = TOTAL / 2;
/// The most batches of one client that are in work at once.
const BATCHES_PER_CLIENT: usize = 256;

/// Up to this size nothing is counted: the bound on requests in flight bounds them.
const SMALL: usize = 16 << 10;
/// The step in which larger shares grow.
const STEP: usize = 64 << 10;

/// The books of what is taken.
#[derive(Debug)]
pub(crate) struct Budget(Mutex<Books>);

#[derive(Debug)]
struct Books {
    free: usize,
    clients: HashMap<ClientName, Usage>,
}

/// What one client's requests take together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Usage {
    bytes: usize,
    batches: usize,
}

/// One request's share.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    client: ClientName,
    held: Usage,
}

impl Budget {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Books { free: TOTAL, clients: HashMap::new() })))
    }

    /// An empty share.
    pub(crate) fn share(self: &Arc<Self>, client: &ClientName) -> Share {
        Share { budget: Arc::clone(self), client: client.clone(), held: Usage::default() }
    }

    /// An empty share of a request that may stay for minutes.
    ///
    /// # Errors
    /// `overloaded` if the client has too many of them already.
    pub(crate) fn batch(self: &Arc<Self>, client: &ClientName) -> Result<Share, ApiError> {
        let mut share = self.share(client);
        share.take(Usage { bytes: 0, batches: 1 })?;
        Ok(share)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that nobody holds.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.books().free
    }
}

impl Share {
    /// Makes the share large enough for `bytes`.
    ///
    /// # Errors
    /// `overloaded` if nothing is left, for all or for this client.
    pub(crate) fn cover(&mut self, bytes: usize) -> Result<(), ApiError> {
        if bytes <= SMALL.max(self.held.bytes) {
            return Ok(());
        }
        let more = bytes.next_multiple_of(STEP) - self.held.bytes;
        self.take(Usage { bytes: more, batches: 0 })
    }

    fn take(&mut self, more: Usage) -> Result<(), ApiError> {
        let mut books = self.budget.books();
        if more.bytes > books.free {
            return Err(overloaded("too many large requests at once"));
        }
        let usage = books.clients.get(&self.client).copied().unwrap_or_default().plus(more);
        if usage.bytes > PER_CLIENT {
            return Err(overloaded("this client's requests hold too much memory at once"));
        }
        if usage.batches > BATCHES_PER_CLIENT {
            return Err(overloaded("this client has too many batches in work at once"));
        }
        books.free -= more.bytes;
        books.clients.insert(self.client.clone(), usage);
        drop(books);
        self.held = self.held.plus(more);
        Ok(())
    }

    /// A body that holds the share until its last byte has gone out.
    pub(crate) fn answer(self, text: String) -> Body {
        Body::from(Bytes::from_owner(Answer { text, _share: self }))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.held == Usage::default() {
            return;
        }
        let mut books = self.budget.books();
        books.free += self.held.bytes;
        let left = books.clients.get(&self.client).copied().unwrap_or_default().minus(self.held);
        if left == Usage::default() {
            books.clients.remove(&self.client);
        } else {
            books.clients.insert(self.client.clone(), left);
        }
    }
}

impl Usage {
    const fn plus(self, more: Self) -> Self {
        Self { bytes: self.bytes + more.bytes, batches: self.batches + more.batches }
    }

    const fn minus(self, less: Self) -> Self {
        Self { bytes: self.bytes.saturating_sub(less.bytes), batches: self.batches.saturating_sub(less.batches) }
    }
}

/// An answer's text, with what it takes from the budget.
struct Answer {
    text: String,
    _share: Share,
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

fn overloaded(detail: &'static str) -> ApiError {
    ApiError::new(ProblemCode::Overloaded, detail)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn client(name: &str) -> ClientName {
        ClientName::parse(name).expect("a name")
    }

    #[test]
    fn one_client_cannot_take_all_and_gives_back_what_it_took() {
        let budget = Budget::new();
        let (mut greedy, mut other) = (budget.share(&client("greedy")), budget.share(&client("other")));
        assert!(greedy.cover(PER_CLIENT).is_ok());
        assert!(budget.share(&client("greedy")).cover(SMALL).is_ok(), "small ones are not counted");
        assert!(budget.share(&client("greedy")).cover(SMALL + 1).is_err());
        assert!(other.cover(PER_CLIENT).is_ok());
        assert!(budget.share(&client("third")).cover(SMALL + 1).is_err(), "nothing is left");
        drop((greedy, other));
        assert_eq!(budget.free(), TOTAL);
        assert!(budget.books().clients.is_empty());
    }

    #[test]
    fn too_many_batches_of_one_client_leave_others_alone() {
        let budget = Budget::new();
        let mut held: Vec<_> = (0..BATCHES_PER_CLIENT).map(|_| budget.batch(&client("one")).expect("room")).collect();
        assert!(budget.batch(&client("one")).is_err());
        assert!(budget.batch(&client("two")).is_ok());
        held.pop();
        assert!(budget.batch(&client("one")).is_ok());
    }

    #[tokio::test]
    async fn a_share_is_held_until_the_answer_has_gone_out() {
        let budget = Budget::new();
        let mut share = budget.share(&client("one"));
        share.cover(100 << 10).expect("room");
        let body = share.answer("{}".to_owned());
        let sent = body.collect().await.expect("a body").to_bytes();
        assert_eq!((&sent[..], budget.free()), (&b"{}"[..], TOTAL - (128 << 10)));
        drop(sent);
        assert_eq!(budget.free(), TOTAL);
    }
}
