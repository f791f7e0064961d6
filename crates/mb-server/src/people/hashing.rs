//! Where passwords are hashed: off the threads that answer requests, few at a time, with a short line.
//!
//! A hash takes tens of milliseconds of a core and 19 MiB. Half of the cores may hash, so that everything else keeps the
//! other half however many people sign in at once; who would wait for long is told to come back instead.

use std::sync::Arc;

use mb_api::dto::SecretText;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::FieldError;
use mb_crypto::password;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Past so many that wait, one more is refused.
const LINE: usize = 64;
/// What the line takes to empty, about.
const COME_BACK: u32 = 2;
/// More at once would only take memory. Fewer than the tries that an account's owner has before it is locked, so that
/// right passwords that come at once never lock it.
const MOST: usize = 4;
const _: () = assert!(MOST < mb_core::throttle::FREE_TRIES as usize);

#[derive(Debug)]
pub(crate) struct Hashing {
    at_once: Arc<Semaphore>,
    line: Semaphore,
}

/// The right to hash once.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    core: OwnedSemaphorePermit,
    _place: SemaphorePermit<'a>,
}

impl Hashing {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let at_once = (cores / 2).clamp(1, MOST);
        Self { at_once: Arc::new(Semaphore::new(at_once)), line: Semaphore::new(at_once + LINE) }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// 503 if too many wait.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, ApiError> {
        let busy = |_| ApiError::new(ProblemCode::Overloaded, "too many people sign in at once").retry_after(COME_BACK);
        let place = self.line.try_acquire().map_err(busy)?;
        let core = Arc::clone(&self.at_once).acquire_owned().await.map_err(ApiError::internal)?;
        Ok(Turn { core, _place: place })
    }

    /// Hashes a new password; `pointer` is the member that it came in.
    ///
    /// # Errors
    /// 422 if it breaks the rule, 503 if too many wait.
    pub(crate) async fn hash(&self, password: &SecretText, pointer: &'static str) -> Result<String, ApiError> {
        // Before it takes a place in the line.
        password::check_rule(password.secret().expose())
            .map_err(|error| ApiError::invalid(vec![FieldError::new(pointer, "weak_password", error.to_string())]))?;
        let password = password.secret().clone();
        let hashed = self.turn().await?.run(move || password::hash(password.expose())).await?;
        hashed.map_err(ApiError::internal)
    }
}

impl Turn<'_> {
    /// Whether the password is the one behind `hash`; without a hash it is none, and that takes as long.
    ///
    /// # Errors
    /// 500.
    pub(crate) async fn verify(self, password: &SecretText, hash: Option<String>) -> Result<bool, ApiError> {
        let password = password.secret().clone();
        let verified = self.run(move || password::verify_or_dummy(password.expose(), hash.as_deref())).await?;
        verified.map_err(ApiError::internal)
    }

    async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let core = self.core;
        // The turn ends with the work, also if the request is given up meanwhile.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(core);
            done
        });
        done.await.map_err(ApiError::internal)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::task::Poll;

    use super::*;

    async fn is_pending<T>(mut one: Pin<&mut impl Future<Output = T>>) -> bool {
        poll_fn(|context| Poll::Ready(one.as_mut().poll(context).is_pending())).await
    }

    #[tokio::test]
    async fn past_the_line_one_more_is_told_to_come_back() {
        let hashing = Hashing::new();
        let all = hashing.at_once.available_permits();
        let held = hashing.at_once.acquire_many(u32::try_from(all).expect("few")).await.expect("open");
        let mut waiting = Vec::new();
        for _ in 0..all + LINE {
            let mut one = Box::pin(hashing.turn());
            assert!(is_pending(one.as_mut()).await);
            waiting.push(one);
        }
        assert_eq!(hashing.turn().await.expect_err("refused").code(), ProblemCode::Overloaded);
        drop(waiting.pop());
        let mut last = Box::pin(hashing.turn());
        assert!(is_pending(last.as_mut()).await, "there is a place again");
        drop(held);
        // In their order: a turn goes to who has waited for longest.
        for one in waiting {
            one.await.expect("its turn came");
        }
        last.await.expect("its turn came");
    }

    #[tokio::test]
    async fn a_hash_is_of_its_password_and_a_weak_one_names_its_member() {
        let hashing = Hashing::new();
        let good = SecretText::new("Correct horse 1".into());
        let hash = hashing.hash(&good, "/password").await.expect("hashed");
        assert!(hashing.turn().await.expect("free").verify(&good, Some(hash)).await.expect("verifies"));
        let weak = hashing.hash(&SecretText::new("short".into()), "/password").await.expect_err("refused");
        assert_eq!(weak.problem(None).errors[0].pointer, "/password");
    }
}
