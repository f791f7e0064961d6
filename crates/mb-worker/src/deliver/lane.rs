//! A destination's lane: what waits for it, who sends to it, and the connections that are open to it.
//!
//! As many runners as the destination bears take what waits, one after the other, each on a connection of its own. There are
//! runners only while there is something to send.

mod trying;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mb_api::dto::delivery::{AttemptReport, HeldDelivery, KnownTarget, LeasedDelivery, Target};
use mb_core::delivery::Signal;
use mb_core::{AttemptClass, AttemptId, DestinationId, LeaseId, MessageId};
use mb_crypto::random;
use mb_runtime::lifecycle::Criticality;
use tokio::time::Instant;

use super::Deliverer;
use super::aim::Aim;
use super::connect::Connection;
use super::exchange::{Shot, describe};
use super::report::Said;

/// How much waits at most for each runner, unless the destination is quick.
const PER_RUNNER: usize = 8;
/// How much waits at most.
const MOST: usize = 4000;
/// The time over which is seen how quick a destination is.
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
    /// With the time at which each came.
    waiting: VecDeque<(LeasedDelivery, Instant)>,
    /// What is being sent.
    under_way: HashMap<MessageId, HeldDelivery>,
    runners: u32,
    idle: Vec<Connection>,
    /// Failures in a row.
    ill: u32,
    /// When the next request may go, where there is a rate.
    next: Instant,
    /// Sent in the second that began then, and in the one before.
    second: (Instant, usize, usize),
    /// When it last had something to do.
    used: Instant,
    /// The last who asked was told that it needs no more.
    said_full: bool,
}

impl Lane {
    pub(crate) fn new(id: DestinationId, aim: Aim) -> Self {
        let now = Instant::now();
        let inner = Inner {
            aim: Arc::new(aim),
            waiting: VecDeque::new(),
            under_way: HashMap::new(),
            runners: 0,
            idle: Vec::new(),
            ill: 0,
            next: now,
            second: (now, 0, 0),
            used: now,
            said_full: false,
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
        inner.runners == 0 && inner.waiting.is_empty() && inner.used.elapsed() >= FORGOTTEN
    }

    /// Whether no more is to be asked for.
    pub(crate) fn is_full(&self) -> bool {
        let mut inner = self.inner();
        inner.said_full = inner.waiting.len() >= inner.enough();
        inner.said_full
    }

    /// Whether it said that it needs no more, and half of that is gone.
    fn eases(&self) -> bool {
        let mut inner = self.inner();
        let eases = inner.said_full && inner.waiting.len() * 2 <= inner.enough();
        inner.said_full &= !eases;
        eases
    }

    /// Takes deliveries over.
    pub(crate) fn take(self: &Arc<Self>, deliverer: &Arc<Deliverer>, deliveries: Vec<LeasedDelivery>) {
        let now = Instant::now();
        let mut inner = self.inner();
        inner.waiting.extend(deliveries.into_iter().map(|delivery| (delivery, now)));
        let wanted = u32::try_from(inner.waiting.len()).unwrap_or(u32::MAX);
        let more = wanted.min(inner.aim.concurrency.saturating_sub(inner.runners));
        inner.runners += more;
        drop(inner);
        for _ in 0..more {
            let (lane, own) = (Arc::clone(self), Arc::clone(deliverer));
            deliverer.lifecycle.spawn("delivery", Criticality::Ordinary, async move { lane.run(&own).await });
        }
    }

    /// How many are being sent.
    pub(crate) fn in_flight(&self) -> u64 {
        self.inner().under_way.len() as u64
    }

    /// What is held here, for the heartbeat.
    pub(crate) fn held(&self) -> Vec<HeldDelivery> {
        let inner = self.inner();
        inner.waiting.iter().map(|(delivery, _)| held(delivery)).chain(inner.under_way.values().copied()).collect()
    }

    /// The destination as it is known here.
    pub(crate) fn known(&self) -> KnownTarget {
        KnownTarget { id: self.id, version: self.inner().aim.version }
    }

    /// Lets go of what waits and is somebody else's by now.
    pub(crate) fn let_go(&self, lost: &HashSet<(MessageId, LeaseId)>) -> Vec<LeasedDelivery> {
        let mut inner = self.inner();
        let waiting = std::mem::take(&mut inner.waiting);
        let is_lost = |(delivery, _): &(LeasedDelivery, Instant)| lost.contains(&(delivery.message_id, delivery.lease));
        let (lost, kept): (VecDeque<_>, VecDeque<_>) = waiting.into_iter().partition(is_lost);
        inner.waiting = kept;
        lost.into_iter().map(|(delivery, _)| delivery).collect()
    }

    /// Gives what waits back untried, and closes what is idle.
    pub(crate) async fn give_back(&self, deliverer: &Deliverer) {
        let (waiting, idle) = {
            let mut inner = self.inner();
            (std::mem::take(&mut inner.waiting), std::mem::take(&mut inner.idle))
        };
        drop(idle);
        for (delivery, _) in &waiting {
            deliverer.say(Said::Released(held(delivery))).await;
        }
        deliverer.done_with(waiting.iter().map(|(delivery, _)| delivery));
    }

    async fn run(&self, deliverer: &Deliverer) {
        loop {
            let Some(Next { delivery, taken, aim, at }) = self.next() else { return };
            if self.eases() {
                deliverer.ease();
            }
            tokio::time::sleep_until(at).await;
            let now = deliverer.clock.now();
            let expired = delivery.expires_at.is_some_and(|at| at <= now);
            if expired || !deliverer.still_holds(taken) {
                self.inner().under_way.remove(&delivery.message_id);
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

    /// The next delivery; `None` ends the runner.
    fn next(&self) -> Option<Next> {
        let mut inner = self.inner();
        // One too many, since the destination bears fewer than before, ends.
        let delivery = (inner.runners <= inner.aim.concurrency).then(|| inner.waiting.pop_front()).flatten();
        let Some((delivery, taken)) = delivery else {
            inner.runners -= 1;
            return None;
        };
        inner.under_way.insert(delivery.message_id, held(&delivery));
        let now = Instant::now();
        let at = match inner.aim.rate {
            None => now,
            Some(rate) => {
                let at = inner.next.max(now);
                inner.next = at + SECOND / rate.max(1);
                at
            }
        };
        Some(Next { delivery, taken, aim: Arc::clone(&inner.aim), at })
    }

    /// Takes in what came of one; whether what waits is to be given back.
    fn sent(&self, delivery: &LeasedDelivery, class: AttemptClass) -> bool {
        let mut inner = self.inner();
        inner.under_way.remove(&delivery.message_id);
        inner.turn_second(Instant::now());
        inner.second.1 += 1;
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
    /// When it may go.
    at: Instant,
}

impl Inner {
    /// How many may wait: two seconds' worth of a quick one.
    fn enough(&mut self) -> usize {
        self.turn_second(Instant::now());
        let least = self.aim.concurrency as usize * PER_RUNNER;
        (2 * self.second.1.max(self.second.2)).clamp(least, MOST)
    }

    fn turn_second(&mut self, now: Instant) {
        let (begun, this, _) = self.second;
        let passed = now.saturating_duration_since(begun);
        if passed >= 2 * SECOND {
            self.second = (now, 0, 0);
        } else if passed >= SECOND {
            self.second = (now, 0, this);
        }
    }
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
