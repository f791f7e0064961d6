//! A destination's lane: what waits for it, who sends to it, and the connections that are open to it.
//!
//! As many runners as the destination bears take what waits, one after the other, each on a connection of its own. There are
//! runners only while there is something to send.

mod load;
mod trying;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mb_api::dto::delivery::{AttemptReport, HeldDelivery, KnownTarget, LeasedDelivery, Target};
use mb_core::delivery::Signal;
use mb_core::{AttemptClass, AttemptId, DestinationId, MessageId};
use mb_crypto::random;
use mb_runtime::lifecycle::Criticality;
use tokio::time::Instant;

use super::aim::Aim;
use super::connect::Connection;
use super::exchange::{Shot, describe};
use super::report::Said;
use super::{Deliverer, Room};
use load::{Key, Load};

/// The time of a rate.
const SECOND: Duration = Duration::from_secs(1);
/// A connection that was not used for so long is not used again: the other end may be about to close it.
const IDLE: Duration = Duration::from_secs(20);
/// A lane that had nothing to do for so long is taken down; what comes then brings its target along.
const FORGOTTEN: Duration = Duration::from_mins(10);
/// After so many failures in a row what waits is given back: the breaker has opened by then.
const GIVES_UP: u32 = 10;

#[derive(Debug)]
pub(crate) struct Lane {
    id: DestinationId,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    aim: Arc<Aim>,
    load: Load,
    runners: u32,
    idle: Vec<Connection>,
    /// Failures in a row.
    ill: u32,
    /// When the next request may go, where there is a rate.
    next: Instant,
    /// When it last had something to do.
    used: Instant,
}

impl Lane {
    pub(crate) fn new(id: DestinationId, aim: Aim) -> Self {
        let now = Instant::now();
        let inner = Inner {
            aim: Arc::new(aim),
            load: Load::new(now),
            runners: 0,
            idle: Vec::new(),
            ill: 0,
            next: now,
            used: now,
        };
        Self { id, inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_older_than(&self, target: &Target) -> bool {
        self.inner().aim.version < target.version
    }

    /// Sends to another place from now on.
    pub(crate) fn aim(&self, aim: Aim) {
        let mut inner = self.inner();
        inner.aim = Arc::new(aim);
        inner.idle.clear();
    }

    /// Something is about to come.
    pub(crate) fn touch(&self) {
        self.inner().used = Instant::now();
    }

    /// Closes connections that are not used again; whether the lane is of use to nobody any more.
    pub(crate) fn tidy(&self) -> bool {
        let mut inner = self.inner();
        inner.idle.retain(|connection| connection.used.elapsed() < IDLE);
        inner.runners == 0 && inner.load.waits() == 0 && inner.used.elapsed() >= FORGOTTEN
    }

    /// Whether no more is to be asked for.
    pub(crate) fn is_full(&self, room: Room) -> bool {
        let mut inner = self.inner();
        let runners = inner.aim.concurrency;
        inner.load.is_full(runners, room, Instant::now())
    }

    /// Whether it said that it needs no more, and half of that is gone.
    fn eases(&self) -> bool {
        self.inner().load.eases()
    }

    /// Takes deliveries over, but those that it has already.
    pub(crate) fn take(self: &Arc<Self>, deliverer: &Arc<Deliverer>, deliveries: Vec<LeasedDelivery>) {
        let mut inner = self.inner();
        let again = inner.load.take(deliveries, Instant::now());
        let wanted = u32::try_from(inner.load.waits()).unwrap_or(u32::MAX);
        let more = wanted.min(inner.aim.concurrency.saturating_sub(inner.runners));
        inner.runners += more;
        drop(inner);
        for _ in 0..more {
            let (lane, own) = (Arc::clone(self), Arc::clone(deliverer));
            deliverer.lifecycle.spawn("delivery", Criticality::Ordinary, async move { lane.run(&own).await });
        }
        deliverer.done_with(&again);
    }

    /// How many are being sent.
    pub(crate) fn in_flight(&self) -> u64 {
        self.inner().load.under_way() as u64
    }

    /// What is held here, for the heartbeat.
    pub(crate) fn held(&self) -> Vec<HeldDelivery> {
        self.inner().load.held().collect()
    }

    /// The destination as it is known here.
    pub(crate) fn known(&self) -> KnownTarget {
        KnownTarget { id: self.id, version: self.inner().aim.version }
    }

    /// The main server has heard what became of these.
    pub(crate) fn reported(&self, these: &[HeldDelivery]) {
        let keys = these.iter().map(|held| (held.message_id, held.lease));
        self.inner().load.reported(keys, Instant::now());
    }

    /// Lets go of what waits and is somebody else's by now.
    pub(crate) fn let_go(&self, lost: &HashSet<Key>) -> Vec<LeasedDelivery> {
        let mut inner = self.inner();
        let lost = inner.load.give_up(usize::MAX, |key| lost.contains(key));
        inner.load.forget(&lost);
        lost
    }

    /// Gives what waits back untried, and closes what is idle.
    pub(crate) async fn give_back(&self, deliverer: &Deliverer) {
        let (waiting, idle) = {
            let mut inner = self.inner();
            (inner.load.give_up(0, |_| true), std::mem::take(&mut inner.idle))
        };
        drop(idle);
        give_back(deliverer, &waiting).await;
    }

    /// Gives what waits back untried, if it will not be sent soon: others need the room.
    pub(crate) async fn make_room(&self, deliverer: &Deliverer) {
        let waiting = {
            let mut inner = self.inner();
            let Some(keeps) = inner.load.keeps(Instant::now()) else { return };
            inner.load.give_up(keeps, |_| false)
        };
        give_back(deliverer, &waiting).await;
    }

    async fn run(&self, deliverer: &Deliverer) {
        while let Some(at) = self.turn() {
            tokio::time::sleep_until(at).await;
            // Only now: what is given up while its turn comes does not go out any more, nor to where it went before.
            let Some(Next { delivery, taken, aim }) = self.next() else { continue };
            if self.eases() {
                deliverer.ease();
            }
            let now = deliverer.clock.now();
            let expired = delivery.expires_at.is_some_and(|at| at <= now);
            if expired || !deliverer.still_holds(taken) {
                self.inner().load.done(&delivery);
                // Giving back what another holds by now changes nothing.
                let of = held(&delivery);
                deliverer.say(if expired { Said::Expired(of) } else { Said::Released(of) }).await;
                deliverer.done_with([&delivery]);
                continue;
            }
            let id = delivery.message_id.to_string();
            let shot = Shot { id: &id, body: Bytes::from(delivery.payload.secret().expose().clone()) };
            let attempted = self.attempt(deliverer, &aim, &shot, now).await;
            let exchange = describe(&attempted.outcome, now, attempted.took, &deliverer.clock);
            let of = held(&delivery);
            let gives_up = self.sent(&delivery, exchange.class);
            if self.eases() {
                deliverer.ease();
            }
            deliverer.metrics.attempted(exchange.class);
            deliverer.metrics.delivery_seconds.observe_duration(attempted.took);
            log(self.id, exchange.class, delivery.message_id);
            let id = AttemptId::from_bytes(random::public_array());
            deliverer.say(Said::Attempt(AttemptReport { id, of, exchange })).await;
            deliverer.done_with([&delivery]);
            if gives_up || deliverer.soft.is_cancelled() {
                self.give_back(deliverer).await;
            }
        }
    }

    /// When a runner may send next; `None` ends it.
    fn turn(&self) -> Option<Instant> {
        let mut inner = self.inner();
        // One too many, since the destination bears fewer than before, ends.
        if inner.runners > inner.aim.concurrency || inner.load.waits() == 0 {
            inner.runners -= 1;
            return None;
        }
        let now = Instant::now();
        let Some(rate) = inner.aim.rate else { return Some(now) };
        let at = inner.next.max(now);
        inner.next = at + SECOND / rate.max(1);
        Some(at)
    }

    fn next(&self) -> Option<Next> {
        let mut inner = self.inner();
        let (delivery, taken) = inner.load.next(Instant::now())?;
        Some(Next { delivery, taken, aim: Arc::clone(&inner.aim) })
    }

    /// Takes in what came of one; whether what waits is to be given back.
    fn sent(&self, delivery: &LeasedDelivery, class: AttemptClass) -> bool {
        let mut inner = self.inner();
        inner.load.done(delivery);
        inner.load.sent(Instant::now());
        inner.ill = if class.signal() == Signal::Ill { inner.ill + 1 } else { 0 };
        let gives_up = inner.ill >= GIVES_UP;
        if gives_up {
            inner.ill = 0;
        }
        gives_up || class == AttemptClass::Gone
    }
}

/// What a runner does next.
struct Next {
    delivery: LeasedDelivery,
    /// When it came.
    taken: Instant,
    aim: Arc<Aim>,
}

async fn give_back(deliverer: &Deliverer, waiting: &[LeasedDelivery]) {
    for delivery in waiting {
        deliverer.say(Said::Released(held(delivery))).await;
    }
    deliverer.done_with(waiting);
}

fn held(delivery: &LeasedDelivery) -> HeldDelivery {
    let LeasedDelivery { message_id, destination, lease, .. } = *delivery;
    HeldDelivery { message_id, destination, lease }
}

fn log(destination: DestinationId, class: AttemptClass, message: MessageId) {
    if class != AttemptClass::Taken {
        mb_runtime::logging::limited("delivery", || {
            tracing::warn!(destination.id = %destination, class = class.as_str(), message.id = %message, "delivery not taken");
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane() -> Lane {
        let (id, no_secrets) = (DestinationId::new(1), Vec::new());
        let target = Target {
            id,
            version: 1,
            url: "https://h/".into(),
            concurrency: 1,
            rate: None,
            secrets: no_secrets,
            ca: None,
            client_certificate: None,
            client_key: None,
        };
        Lane::new(id, Aim::new(&target, &Arc::new(rustls::RootCertStore::empty())))
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_that_nobody_needs_is_taken_down_in_the_end() {
        let lane = lane();
        tokio::time::advance(FORGOTTEN / 2).await;
        lane.touch();
        tokio::time::advance(FORGOTTEN / 2).await;
        assert!(!lane.tidy(), "something came");
        tokio::time::advance(FORGOTTEN / 2).await;
        assert!(lane.tidy());
        lane.inner().runners = 1;
        assert!(!lane.tidy(), "somebody works on it");
    }
}
