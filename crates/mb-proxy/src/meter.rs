//! How many messages each client still may send here: the buckets, and what an answer says of them.
//!
//! A token is taken before a message is looked at, so that a client over its limit costs next to nothing, and given back
//! if the message is not accepted: a refusal is not what a limit is for. A request that breaks off keeps its tokens, for
//! it may have been accepted.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::rate::{Allowance, Bucket, RateLimit, Token, WINDOW};
use mb_core::recent::Recent;
use mb_core::{ClientName, Clock};

use crate::admission::Admitted;

/// Clients whose tokens are counted at once; what exceeds this makes the one that was silent for longest start afresh.
const CLIENTS: usize = 100_000;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The tokens of all clients.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Messages per [`WINDOW`] where the policy says nothing; 0 is no limit.
    own: AtomicU32,
    clock: Clock,
    buckets: Mutex<Recent<ClientName, Bucket>>,
}

/// The tokens of a client that may act.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota<'a> {
    meter: &'a Meter,
    /// The client.
    pub(crate) admitted: &'a Admitted,
    /// `None` if nothing is counted.
    limit: Option<RateLimit>,
}

/// What a message cost; nothing where there is no limit.
#[derive(Debug)]
pub(crate) struct Charge(Option<Token>);

impl Meter {
    pub(crate) fn new(own: u32, clock: Clock) -> Self {
        Self { own: AtomicU32::new(own), clock, buckets: Mutex::new(Recent::new(CLIENTS)) }
    }

    /// From now on this is the limit where the policy says nothing. What a client has used up stays used up.
    pub(crate) fn set_own(&self, own: u32) {
        self.own.store(own, Ordering::Relaxed);
    }

    /// The tokens of a client, by the policy that let it in.
    pub(crate) fn quota<'a>(&'a self, admitted: &'a Admitted) -> Quota<'a> {
        let limit = admitted.policy.limits.of(&admitted.client, &admitted.domain, self.own.load(Ordering::Relaxed));
        Quota { meter: self, admitted, limit }
    }

    fn buckets(&self) -> MutexGuard<'_, Recent<ClientName, Bucket>> {
        // Nothing panics while it is held.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Quota<'_> {
    /// Takes a message's token.
    ///
    /// # Errors
    /// `rate_limited` if none is left.
    pub(crate) fn charge(&self) -> Result<Charge, ApiError> {
        let Some(limit) = self.limit else { return Ok(Charge(None)) };
        let now = self.meter.clock.now();
        let mut buckets = self.meter.buckets();
        let bucket = buckets.touch(&self.admitted.client);
        match bucket.take(limit, now) {
            Some(token) => Ok(Charge(Some(token))),
            None => Err(refusal(bucket.allowance(limit, now))),
        }
    }

    /// Undoes a charge: the message was not accepted.
    pub(crate) fn give_back(&self, charge: &Charge) {
        if let Some(token) = charge.0
            && let Some(bucket) = self.meter.buckets().peek_mut(&self.admitted.client)
        {
            bucket.give_back(token);
        }
    }

    /// Says on an answer how the client stands; nothing where there is no limit.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let Some(limit) = self.limit else { return };
        let allowance = self.meter.buckets().touch(&self.admitted.client).allowance(limit, self.meter.clock.now());
        headers.insert(LIMIT, HeaderValue::from(allowance.limit));
        headers.insert(REMAINING, HeaderValue::from(allowance.remaining));
        headers.insert(RESET, HeaderValue::from(seconds(allowance.reset)));
    }
}

fn refusal(allowance: Allowance) -> ApiError {
    let detail = format!("this client may send {} messages in {} seconds here", allowance.limit, WINDOW.as_secs());
    ApiError::new(ProblemCode::RateLimited, detail).retry_after(seconds(allowance.reset))
}

/// Rounded up: who waits that long has not waited for nothing.
fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}
