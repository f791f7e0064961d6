//! How often passwords, second factors and tokens may be tried: a decision without I/O.
//!
//! Three bounds, because one alone is either no help or a weapon. **Account from a network**: five tries are free, then
//! it is locked, for a minute at first and twice as long with each further failure. Nobody locks an account for others
//! by this. **Network**: what one may try on all accounts together. **Account**: what all networks together may try on
//! it, so that many machines do not add up; a network from which its owner has signed in is exempt from the last two. Who
//! has a session already is asked as its account alone. So guessing is slow from anywhere, and no guesser keeps an owner
//! out of where he was before. Tokens that are none have a measure of their own, which keeps nobody from a password.
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

/// Ways in that are measured apart, so that who fills one keeps nobody from another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Way {
    SignIn,
    Token,
    Mail,
}

/// The text that was given as an account's address.
type Account = Box<str>;

/// One try.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Try {
    /// None: it is made in a session of the account.
    network: Option<(Way, Network)>,
    account: Option<(Account, Factor)>,
}

impl Try {
    /// A password for an account, whether there is such an account or not.
    pub fn password(account: &str, network: Network) -> Self {
        Self { network: Some((Way::SignIn, network)), account: Some((named(account), Factor::Password)) }
    }

    /// A second factor for an account.
    pub fn second_factor(account: &str, network: Network) -> Self {
        Self { network: Some((Way::SignIn, network)), account: Some((named(account), Factor::Second)) }
    }

    /// The password of one's own account, given in a session of it: no stranger comes so far as to fill this measure.
    pub fn own_password(account: &str) -> Self {
        Self { network: None, account: Some((named(account), Factor::Password)) }
    }

    /// A second factor that one's own account is to get, given in a session of it.
    pub fn own_factor(account: &str) -> Self {
        Self { network: None, account: Some((named(account), Factor::Second)) }
    }

    /// A token that turned out to be none.
    pub const fn token(network: Network) -> Self {
        Self { network: Some((Way::Token, network)), account: None }
    }

    /// Asking for a mail.
    pub const fn mail(network: Network) -> Self {
        Self { network: Some((Way::Mail, network)), account: None }
    }

    fn pair(&self) -> Option<(Factor, Account, Option<Network>)> {
        let (account, factor) = self.account.as_ref()?;
        Some((*factor, account.clone(), self.network.map(|(_, network)| network)))
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
    pairs: Recent<(Factor, Account, Option<Network>), Pair>,
    accounts: Recent<(Factor, Account), Bucket>,
    networks: Recent<(Way, Network), Bucket>,
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
        if let Some(pair) = attempt.pair() {
            self.pairs.touch(&pair).charge(now);
        }
        if let Some(network) = self.stranger(attempt) {
            self.networks.touch(&network).take(NETWORK, now);
            if let Some((account, factor)) = &attempt.account {
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
        let pair = attempt.pair().and_then(|pair| self.pairs.peek(&pair));
        let locked = pair.map_or(Duration::ZERO, |pair| pair.wait(now));
        if !locked.is_zero() {
            return Err(Held::Locked(locked));
        }
        let Some(network) = self.stranger(attempt) else { return Ok(()) };
        let mut slowed = self.networks.peek(&network).map_or(Duration::ZERO, |used| used.wait(NETWORK, now));
        if let Some((account, factor)) = &attempt.account
            && let Some(used) = self.accounts.peek(&(*factor, account.clone()))
        {
            slowed = slowed.max(used.wait(pace(*factor), now));
        }
        if slowed.is_zero() { Ok(()) } else { Err(Held::Slowed(slowed)) }
    }

    /// Gives back a try that was no guess: it was right and more is to be proven, or it could not be judged.
    pub fn give_back(&mut self, attempt: &Try, now: Timestamp) {
        if let Some(pair) = attempt.pair().and_then(|pair| self.pairs.peek_mut(&pair)) {
            pair.give_back(now);
        }
        let Some(network) = self.stranger(attempt) else { return };
        if let Some(used) = self.networks.peek_mut(&network) {
            used.give_back(NETWORK);
        }
        if let Some((account, factor)) = &attempt.account
            && let Some(used) = self.accounts.peek_mut(&(*factor, account.clone()))
        {
            used.give_back(pace(*factor));
        }
    }

    /// Ends a try by which somebody has proven to be the account's owner: what failed from this network is forgotten.
    pub fn succeeded(&mut self, attempt: &Try, now: Timestamp) {
        self.give_back(attempt, now);
        if let Some((account, _)) = &attempt.account {
            let network = attempt.network.map(|(_, network)| network);
            for factor in [Factor::Password, Factor::Second] {
                self.pairs.remove(&(factor, account.clone(), network));
            }
            if let Some(network) = network {
                self.familiar.touch(&(account.clone(), network));
            }
        }
    }

    /// Notes that the account's owner has been here, as somebody else remembers.
    pub fn remember(&mut self, account: &str, network: Network) {
        self.familiar.touch(&(named(account), network));
    }

    /// Forgets what failed on an account, wherever it was tried: its password is another one now.
    pub fn forgive(&mut self, account: &str) {
        let account = named(account);
        self.pairs.retain(|(_, of, _)| *of != account);
        for factor in [Factor::Password, Factor::Second] {
            self.accounts.remove(&(factor, account.clone()));
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

    /// Where a try comes from, unless that is where the account's owner has been, or the try is made in a session.
    fn stranger(&self, attempt: &Try) -> Option<(Way, Network)> {
        let (way, network) = attempt.network?;
        let known = |account: &Account| self.familiar.peek(&(account.clone(), network)).is_some();
        let familiar = attempt.account.as_ref().is_some_and(|(account, _)| known(account));
        (!familiar).then_some((way, network))
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
