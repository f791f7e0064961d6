//! How many messages a client may send: tokens, one per message (contract, section 3).
//!
//! A bucket is full again 60 s after its first token was taken, all at once and not by drops: so what remains and when
//! the rest comes back are exact and can be told. The price is that a client may empty it just before and just after.
//! The bucket does not know its limit, which may change while tokens are out.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock::Timestamp;

/// The time that a limit is about.
pub const WINDOW: Duration = Duration::from_mins(1);

/// The most messages per [`WINDOW`] that one proxy takes from a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLimit(NonZeroU32);

impl RateLimit {
    /// A proxy's share of `limit` messages while there are `proxies`, rounded up: a client that is spread over all of them
    /// is never held to less than its limit. `None` for 0, which is no limit. Before a proxy is known there is one.
    pub fn share(limit: u32, proxies: u32) -> Option<Self> {
        NonZeroU32::new(limit.div_ceil(proxies.max(1))).map(Self)
    }

    /// Messages per [`WINDOW`].
    pub const fn messages(self) -> u32 {
        self.0.get()
    }
}

/// One client's tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bucket {
    /// When the first of the tokens that are out was taken.
    since: Timestamp,
    /// Tokens that are out.
    out: u32,
}

/// One token that was taken, for giving it back if no message comes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token(Timestamp);

/// What a client may be told of its bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// Tokens in the full bucket.
    pub limit: u32,
    /// Tokens that are left.
    pub remaining: u32,
    /// When the bucket is full again; zero if it is.
    pub reset: Duration,
}

impl Bucket {
    /// Takes a token; `None` if none is left.
    pub fn take(&mut self, limit: RateLimit, now: Timestamp) -> Option<Token> {
        self.refill(now);
        if self.out >= limit.messages() {
            return None;
        }
        if self.out == 0 {
            self.since = now;
        }
        self.out += 1;
        Some(Token(self.since))
    }

    /// Takes a token back, unless its time is over and the bucket was filled without it.
    pub fn give_back(&mut self, token: Token) {
        if token.0 == self.since {
            self.out = self.out.saturating_sub(1);
        }
    }

    /// How the bucket stands.
    pub fn allowance(&mut self, limit: RateLimit, now: Timestamp) -> Allowance {
        self.refill(now);
        Allowance {
            limit: limit.messages(),
            remaining: limit.messages().saturating_sub(self.out),
            reset: if self.out == 0 { Duration::ZERO } else { self.since.plus(WINDOW).since(now) },
        }
    }

    /// A clock that was set back fills it, too: nobody is held to a time that has not come yet.
    fn refill(&mut self, now: Timestamp) {
        if now < self.since || now >= self.since.plus(WINDOW) {
            self.out = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEGUN: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn after(seconds: u64) -> Timestamp {
        BEGUN.plus(Duration::from_secs(seconds))
    }

    fn limit(messages: u32) -> RateLimit {
        RateLimit::share(messages, 1).expect("a limit")
    }

    #[test]
    fn an_empty_bucket_is_full_again_a_minute_after_its_first_token() {
        let mut bucket = Bucket::default();
        let limit = limit(2);
        assert!(bucket.take(limit, after(0)).is_some() && bucket.take(limit, after(50)).is_some());
        assert_eq!(bucket.take(limit, after(59)), None);
        let (remaining, reset) = (0, Duration::from_secs(1));
        assert_eq!(bucket.allowance(limit, after(59)), Allowance { limit: 2, remaining, reset });
        let (remaining, reset) = (2, Duration::ZERO);
        assert_eq!(bucket.allowance(limit, after(60)), Allowance { limit: 2, remaining, reset });
        assert!(bucket.take(limit, after(61)).is_some());
        assert_eq!(bucket.allowance(limit, after(61)).reset, WINDOW);
    }

    #[test]
    fn a_token_comes_back_only_into_the_bucket_that_it_was_taken_from() {
        let mut bucket = Bucket::default();
        let early = bucket.take(limit(1), after(0)).expect("full");
        bucket.give_back(early);
        let early = bucket.take(limit(1), after(1)).expect("given back");
        bucket.take(limit(1), after(90)).expect("full again");
        bucket.give_back(early);
        assert_eq!(bucket.take(limit(1), after(91)), None);
    }

    #[test]
    fn a_limit_that_changes_counts_at_once_and_a_clock_set_back_locks_nobody_out() {
        let mut bucket = Bucket::default();
        assert!((0..5).all(|_| bucket.take(limit(5), after(0)).is_some()));
        assert_eq!(bucket.allowance(limit(3), after(1)).remaining, 0);
        assert!(bucket.take(limit(6), after(1)).is_some());
        assert!(bucket.take(limit(5), BEGUN.minus(WINDOW * 60)).is_some());
    }

    proptest! {
        #[test]
        fn shares_add_up_to_the_limit_and_hardly_more(messages in 0_u32..2_000_000, proxies in 0_u32..200) {
            let share = RateLimit::share(messages, proxies).map_or(0, RateLimit::messages);
            let together = u64::from(share) * u64::from(proxies.max(1));
            prop_assert!((u64::from(messages)..u64::from(messages + proxies.max(1))).contains(&together));
        }

        #[test]
        fn within_a_window_no_more_are_taken_than_the_limit(
            messages in 1_u32..20,
            gaps in prop::collection::vec(0_u64..30, 1..200),
        ) {
            let (mut bucket, mut now, mut begun, mut taken) = (Bucket::default(), BEGUN, BEGUN, 0);
            for gap in gaps {
                now = now.plus(Duration::from_secs(gap));
                if taken == 0 || now >= begun.plus(WINDOW) {
                    (begun, taken) = (now, 0);
                }
                let token = bucket.take(limit(messages), now);
                taken += u32::from(token.is_some());
                prop_assert!(taken <= messages);
                let allowance = bucket.allowance(limit(messages), now);
                prop_assert_eq!(allowance.remaining, messages - taken);
                prop_assert_eq!(allowance.reset, begun.plus(WINDOW).since(now));
            }
        }
    }
}
