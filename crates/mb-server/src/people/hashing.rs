//! Where passwords are hashed: off the threads that answer requests, few at a time, with a short line.
//!
//! A hash takes tens of milliseconds of a core and 19 MiB. Half of the cores may hash, so that everything else keeps the
//! other half however many people sign in at once; who would wait for long is told to come back instead.

use std::sync::Arc;

use mb_api::dto::SecretText;
use mb_api::problem::{ApiError, ProblemCode};
use mb_crypto::{CryptoError, password};
use tokio::sync::Semaphore;

/// Past so many that wait, one more is refused.
const LINE: usize = 64;
/// What the line takes to empty, about.
const COME_BACK: u32 = 2;
/// More at once would only take memory.
const MOST: usize = 4;

#[derive(Debug)]
pub(crate) struct Hashing {
    at_once: Arc<Semaphore>,
    line: Semaphore,
}

impl Hashing {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let at_once = (cores / 2).clamp(1, MOST);
        Self { at_once: Arc::new(Semaphore::new(at_once)), line: Semaphore::new(at_once + LINE) }
    }

    /// Whether the password is the one behind `hash`; without a hash it is none, and that takes as long.
    ///
    /// # Errors
    /// 503 if too many wait.
    pub(crate) async fn verify(&self, password: &SecretText, hash: Option<String>) -> Result<bool, ApiError> {
        let password = password.secret().clone();
        let verified = self.run(move || password::verify_or_dummy(password.expose(), hash.as_deref())).await?;
        verified.map_err(ApiError::internal)
    }

    /// Hashes a new password; `pointer` is the member that it came in.
    ///
    /// # Errors
    /// 422 if it breaks the rule, 503 if too many wait.
    pub(crate) async fn hash(&self, password: &SecretText, pointer: &'static str) -> Result<String, ApiError> {
        let weak = |error: &CryptoError| {
            ApiError::invalid(vec![mb_core::FieldError::new(pointer, "weak_password", error.to_string())])
        };
        // Before it takes a place in the line.
        password::check_rule(password.secret().expose()).map_err(|error| weak(&error))?;
        let password = password.secret().clone();
        let hashed = self.run(move || password::hash(password.expose())).await?;
        hashed.map_err(ApiError::internal)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let busy = || ApiError::new(ProblemCode::Overloaded, "too many people sign in at once").retry_after(COME_BACK);
        let _place = self.line.try_acquire().map_err(|_| busy())?;
        let turn = Arc::clone(&self.at_once).acquire_owned().await.map_err(ApiError::internal)?;
        // The turn ends with the work, also if the request is given up meanwhile.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(ApiError::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn past_the_line_one_more_is_told_to_come_back() {
        let hashing = Hashing::new();
        let all = hashing.at_once.available_permits();
        let held = hashing.at_once.acquire_many(u32::try_from(all).expect("few")).await.expect("open");
        let wrong = SecretText::new("x".repeat(2000));
        let mut waiting = Vec::new();
        for _ in 0..all + LINE {
            let mut one = Box::pin(hashing.verify(&wrong, None));
            assert!(is_pending(one.as_mut()).await);
            waiting.push(one);
        }
        let refused = hashing.verify(&wrong, None).await.expect_err("refused");
        assert_eq!(refused.code(), ProblemCode::Overloaded);
        drop(waiting.pop());
        drop(held);
        // In their order: a turn goes to who has waited for longest.
        for one in waiting {
            assert!(!one.await.expect("its turn came"));
        }
        assert!(!hashing.verify(&wrong, None).await.expect("there is a place again"));
    }

    /// Polls once.
    async fn is_pending<T>(mut one: std::pin::Pin<&mut impl Future<Output = T>>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(one.as_mut().poll(context).is_pending())).await
    }

    #[tokio::test]
    async fn a_hash_is_of_its_password_and_a_weak_one_names_its_member() {
        let hashing = Hashing::new();
        let good = SecretText::new("Correct horse 1".into());
        let hash = hashing.hash(&good, "/password").await.expect("hashed");
        assert!(hashing.verify(&good, Some(hash)).await.expect("verifies"));
        let weak = hashing.hash(&SecretText::new("short".into()), "/password").await.expect_err("refused");
        assert_eq!(weak.problem(None).errors[0].pointer, "/password");
    }
}
