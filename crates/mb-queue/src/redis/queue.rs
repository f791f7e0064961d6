//! The worker's half as workers see it. It touches no network: claims wait for what the [`QueueKeeper`] brings, and what is
//! acknowledged is left for it to tell. So a claim can be given up at any moment, and an ack never waits for Redis.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mb_core::Clock;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::config::RedisConfig;
use super::held::{Held, Settled};
use super::keeper::QueueKeeper;
use super::link::RedisHealth;
use crate::journal::window::Tag;
use crate::queue::{Claim, Claimed};

/// Units whose end Redis was not told yet; of more the oldest are forgotten, and come back when their lease ends.
const MAX_SETTLED: usize = 10_000;

/// A queue on Redis, as a worker uses it; clones share it.
#[derive(Clone, Debug)]
pub struct RedisQueue {
    pub(super) shared: Arc<Shared>,
}

/// What claims and the keeper share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Arc<RedisConfig>,
    pub(super) health: RedisHealth,
    state: Mutex<State>,
    /// Wakes claims.
    ready: Notify,
    /// Wakes the keeper: somebody wants more...
    pub(super) demand: Notify,
    /// ...or something is settled.
    pub(super) settling: Notify,
}

#[derive(Debug)]
struct State {
    held: Held,
    settled: Vec<Settled>,
    /// Entries that waiting claims would take.
    wanted: usize,
    /// The last search found units that others let lie: there may be more.
    abandoned: bool,
    closed: bool,
}

impl RedisQueue {
    /// A queue for one worker, named so in Redis, and its keeper, which has to run for it to bring anything.
    pub fn new(config: RedisConfig, worker: &str, clock: Clock) -> (Self, QueueKeeper) {
        let state = State {
            held: Held::new(config.claim_idle),
            settled: Vec::new(),
            wanted: 0,
            abandoned: false,
            closed: false,
        };
        let shared = Arc::new(Shared {
            config: Arc::new(config),
            health: RedisHealth::new(clock),
            state: Mutex::new(state),
            ready: Notify::new(),
            demand: Notify::new(),
            settling: Notify::new(),
        });
        let keeper = QueueKeeper::new(Arc::clone(&shared), worker);
        (Self { shared }, keeper)
    }

    /// How its Redis fares.
    pub fn health(&self) -> RedisHealth {
        self.shared.health.clone()
    }

    pub(crate) async fn claim(&self, max: Claim) -> Claimed {
        loop {
            let mut ready = std::pin::pin!(self.shared.ready.notified());
            ready.as_mut().enable();
            let _demand = {
                let mut state = self.shared.lock();
                if state.closed {
                    return Claimed::default();
                }
                let State { held, settled, .. } = &mut *state;
                let claimed = held.claim(now(), max, settled);
                self.shared.wake(&state);
                if !claimed.entries.is_empty() {
                    return claimed;
                }
                Demand::of(&self.shared, &mut state, max.entries.max(1))
            };
            ready.await;
        }
    }

    pub(crate) fn ack(&self, tags: &[Tag]) {
        let mut state = self.shared.lock();
        let State { held, settled, .. } = &mut *state;
        held.ack(now(), tags, settled);
        self.shared.wake(&state);
    }

    pub(crate) fn nack(&self, tags: &[Tag]) {
        let mut state = self.shared.lock();
        let State { held, settled, .. } = &mut *state;
        held.give_back(now(), tags, settled);
        self.shared.wake(&state);
    }
}

/// A claim that waits; the keeper brings no more than such claims want.
struct Demand<'a> {
    shared: &'a Shared,
    entries: usize,
}

impl<'a> Demand<'a> {
    fn of(shared: &'a Shared, state: &mut State, entries: usize) -> Self {
        state.wanted += entries;
        shared.demand.notify_one();
        Self { shared, entries }
    }
}

impl Drop for Demand<'_> {
    fn drop(&mut self) {
        self.shared.lock().wanted -= self.entries;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, state: &State) {
        if state.held.has_waiting() {
            self.ready.notify_one();
        }
        if !state.settled.is_empty() || state.closed {
            self.settling.notify_one();
        }
    }

    /// Entries that waiting claims would take; none as long as there is something that they are about to find, or that was
    /// given back and is older than anything new.
    pub(super) fn wanted(&self) -> usize {
        let state = self.lock();
        if state.held.has_waiting() || state.settled.iter().any(Settled::is_back) { 0 } else { state.wanted }
    }

    /// Whether there may be more units that others let lie.
    pub(super) fn may_take_over(&self) -> bool {
        self.lock().abandoned
    }

    pub(super) fn set_may_take_over(&self, abandoned: bool) {
        self.lock().abandoned = abandoned;
    }

    /// Takes a unit from Redis; how many envelopes it has, `None` if it is no unit and was thrown away.
    pub(super) fn put(&self, id: String, bytes: Vec<u8>, deliveries: u32) -> Option<usize> {
        let mut state = self.lock();
        let put = state.held.put(now(), id, bytes, deliveries);
        let count = put.map_err(|settled| state.settled.push(settled)).ok();
        self.wake(&state);
        count
    }

    pub(super) fn holds(&self, id: &str) -> bool {
        self.lock().held.holds(id)
    }

    /// What is to be told to Redis, oldest first. It is kept until [`Shared::told`].
    pub(super) fn settled(&self) -> Vec<Settled> {
        let mut state = self.lock();
        let excess = state.settled.len().saturating_sub(MAX_SETTLED);
        state.settled.drain(..excess);
        state.settled.clone()
    }

    /// Redis was told so many of them.
    pub(super) fn told(&self, count: usize) {
        let mut state = self.lock();
        // While the main server is away the same few units go back and forth. If new ones were taken instead, in the end
        // all would have been held, and the last of them be registered first.
        if state.settled.drain(..count).any(|settled| settled.is_back()) {
            state.abandoned = true;
            self.demand.notify_one();
        }
    }

    /// Ends all claims and gives back what was not handed out.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let State { held, settled, .. } = &mut *state;
        held.give_back_waiting(settled);
        self.wake(&state);
        self.ready.notify_waiters();
    }

    /// Whether workers are done with everything and Redis was told.
    pub(super) fn is_done(&self) -> bool {
        let mut state = self.lock();
        state.held.expire(now());
        state.held.is_empty() && state.settled.is_empty()
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
