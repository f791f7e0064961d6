//! How often passwords, second factors and tokens may be tried: a decision without I/O.
//!
//! Three bounds, because one alone is either no help or a weapon. **Account from a network**: five tries are free, then
//! it is locked, for a minute at first and twice as long with each further failure. Nobody locks an account for others
//! by this. **Network**: what one may try on all accounts together. **Account**: what all networks together may try on
//! it, so that many machines do not add up; a network from which its owner has signed in is exempt from this bound alone.
//! So guessing is slow from anywhere, and no guesser keeps an owner out of where he was before.
//!
//! Tries are counted when they begin, so that many at once are no way around; what turns out to be no guess is given
//! back. An account that does not exist is counted like one that does. Everything is bounded; times come in as arguments,
//! and a clock that was set back never holds longer than the longest wait.

mod bucket;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::account::MAX_EMAIL;
use crate::clock::Timestamp;
use crate::recent::Recent;
use bucket::{Bucket, Pace};

/// Failures that an account takes from a network before it is locked there.
pub const FREE_TRIES: u32 = 5;

const FIRST_LOCK: Duration = Duration::from_mins(1);
const LONGEST_LOCK: Duration = Duration::from_mins(15);
/// After so long without a try, failures from a network are forgotten.
const FORGET: Duration = Duration::from_hours(24);

const NETWORK: Pace = Pace { burst: 60, interval: Duration::from_secs(5) };
const PASSWORD: Pace = Pace { burst: 30, interval: Duration::from_secs(10) };
/// Six digits are soon guessed by somebody who has the password: 720 a day is one in 500 within a day.
const SECOND_FACTOR: Pace = Pace { burst: 10, interval: Duration::from_mins(2) };
const RESET_MAIL: Pace = Pace { burst: 3, interval: Duration::from_mins(20) };

/// Entries of each kind.
const BOUND: usize = 10_000;

/// Where somebody calls from, as far as one party is told from another: an IPv4 address, or an IPv6 /64, which is what a
/// single host is given.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Network(IpAddr);

impl Network {
    /// The network of an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self(IpAddr::V6((u128::from(v6) >> 64 << 64).into())),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

/// What is tried.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Factor {
    Password,
    Second,
}

/// The text that was given as an account's address.
type Account = Box<str>;

/// One try.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Try {
    network: Network,
    account: Option<(Account, Factor)>,
}

impl Try {
    /// A password for an account, whether there is such an account or not.
    pub fn password(account: &str, network: Network) -> Self {
        Self { network, account: Some((named(account), Factor::Password)) }
    }

    /// A second factor for an account.
    pub fn second_factor(account: &str, network: Network) -> Self {
        Self { network, account: Some((named(account), Factor::Second)) }
    }

    /// Something that names no account: a token.
    pub const fn token(network: Network) -> Self {
        Self { network, account: None }
    }
}

/// Addresses are compared in lower case; more bytes than the longest has are not kept.
fn named(account: &str) -> Account {
    let lower = account.to_lowercase();
    lower[..lower.floor_char_boundary(MAX_EMAIL)].into()
}

/// Why a try must wait, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Held {
    /// The account is locked for this network.
    Locked(Duration),
    /// There are too many tries from this network, or on this account.
    Slowed(Duration),
}

#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    failures: u32,
    locked_until: Timestamp,
    last: Timestamp,
}

impl Pair {
    fn wait(&self, now: Timestamp) -> Duration {
        self.locked_until.since(now).min(LONGEST_LOCK)
    }

    fn charge(&mut self, now: Timestamp) {
        if now.since(self.last) >= FORGET {
            *self = Self::default();
        }
        self.failures = self.failures.saturating_add(1);
        self.last = now;
        if let Some(doublings) = self.failures.checked_sub(FREE_TRIES) {
            let lock = FIRST_LOCK.saturating_mul(1 << doublings.min(16)).min(LONGEST_LOCK);
            self.locked_until = now.plus(lock);
        }
    }

    fn give_back(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_sub(1);
        self.locked_until = self.locked_until.min(now);
    }
}

/// What was tried lately.
#[derive(Clone, Debug)]
pub struct Throttle {
    pairs: Recent<(Factor, Account, Network), Pair>,
    accounts: Recent<(Factor, Account), Bucket>,
    networks: Recent<Network, Bucket>,
    /// Where accounts were signed in from: only a right password makes an entry.
    familiar: Recent<(Account, Network), ()>,
    mails: Recent<Account, Bucket>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

impl Throttle {
    /// Nothing was tried yet.
    pub fn new() -> Self {
        Self::bounded(BOUND)
    }

    fn bounded(bound: usize) -> Self {
        Self {
            pairs: Recent::new(bound),
            accounts: Recent::new(bound),
            networks: Recent::new(bound),
            familiar: Recent::new(bound),
            mails: Recent::new(bound),
        }
    }

    /// Begins a try and counts it, unless it has to wait.
    ///
    /// # Errors
    /// How long; a try that has to wait is not counted.
    pub fn begin(&mut self, attempt: &Try, now: Timestamp) -> Result<(), Held> {
        self.ready(attempt, now)?;
        self.networks.touch(&attempt.network).take(NETWORK, now);
        if let Some((account, factor)) = &attempt.account {
            self.pairs.touch(&(*factor, account.clone(), attempt.network)).charge(now);
            if !self.is_familiar(account, attempt.network) {
                self.accounts.touch(&(*factor, account.clone())).take(pace(*factor), now);
            }
        }
        Ok(())
    }

    /// Whether a try could begin; counts nothing.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn ready(&self, attempt: &Try, now: Timestamp) -> Result<(), Held> {
        let mut slowed = self.networks.peek(&attempt.network).map_or(Duration::ZERO, |used| used.wait(NETWORK, now));
        if let Some((account, factor)) = &attempt.account {
            let pair = self.pairs.peek(&(*factor, account.clone(), attempt.network));
            let locked = pair.map_or(Duration::ZERO, |pair| pair.wait(now));
            if !locked.is_zero() {
                return Err(Held::Locked(locked));
            }
            if !self.is_familiar(account, attempt.network)
                && let Some(used) = self.accounts.peek(&(*factor, account.clone()))
            {
                slowed = slowed.max(used.wait(pace(*factor), now));
            }
        }
        if slowed.is_zero() { Ok(()) } else { Err(Held::Slowed(slowed)) }
    }

    /// Gives back a try that was no guess: it was right and more is to be proven, or it could not be judged.
    pub fn give_back(&mut self, attempt: &Try, now: Timestamp) {
        if let Some(used) = self.networks.peek_mut(&attempt.network) {
            used.give_back(NETWORK);
        }
        if let Some((account, factor)) = &attempt.account {
            if let Some(pair) = self.pairs.peek_mut(&(*factor, account.clone(), attempt.network)) {
                pair.give_back(now);
            }
            if !self.is_familiar(account, attempt.network)
                && let Some(used) = self.accounts.peek_mut(&(*factor, account.clone()))
            {
                used.give_back(pace(*factor));
            }
        }
    }

    /// Ends a try by which somebody has proven to be the account's owner: what failed from this network is forgotten.
    pub fn succeeded(&mut self, attempt: &Try, now: Timestamp) {
        self.give_back(attempt, now);
        if let Some((account, _)) = &attempt.account {
            for factor in [Factor::Password, Factor::Second] {
                self.pairs.remove(&(factor, account.clone(), attempt.network));
            }
            self.familiar.touch(&(account.clone(), attempt.network));
        }
    }

    /// Whether one more reset mail may go to the account; counts it.
    pub fn may_mail(&mut self, account: &str, now: Timestamp) -> bool {
        let used = self.mails.touch(&named(account));
        let may = used.wait(RESET_MAIL, now).is_zero();
        if may {
            used.take(RESET_MAIL, now);
        }
        may
    }

    fn is_familiar(&self, account: &Account, network: Network) -> bool {
        self.familiar.peek(&(account.clone(), network)).is_some()
    }
}

const fn pace(factor: Factor) -> Pace {
    match factor {
        Factor::Password => PASSWORD,
        Factor::Second => SECOND_FACTOR,
    }
}

#[cfg(test)]
mod tests;
