//! Delivering: what was leased goes out, what came of it goes back.
//!
//! Deliveries come with the answers of register calls, or are waited for. Each destination has a lane of its own, so that
//! a slow one holds up nobody else; what a lane cannot send soon is not asked for. Reports go back in batches: while one is
//! on its way the next gathers.

mod aim;
mod connect;
mod exchange;
mod lane;
mod names;
mod report;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mb_api::client::Client;
use mb_api::dto::delivery::{LeaseRequest, LeasedDeliveries, LeasedDelivery, Probe, RegisterQuery, Target};
use mb_core::{Clock, DestinationId, Egress};
use mb_runtime::lifecycle::{Criticality, Lifecycle};
use rustls::RootCertStore;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::WorkerMetrics;
pub(crate) use aim::Aim;
use lane::Lane;
use names::Names;
use report::Said;

/// Deliveries that a worker holds at most.
const ROOM: usize = 20_000;
/// Bytes of them, about.
const ROOM_BYTES: usize = 64 << 20;
/// What is kept beside that for destinations of which nothing is held: however many are slow, the others go on.
const KEPT: usize = 2000;
/// Bytes of that, about.
const KEPT_BYTES: usize = 32 << 20;
/// Deliveries that one question asks for at most.
const ASK: usize = 1000;
/// Below this room nothing is asked for: many small questions are worth less than one.
const LEAST: usize = 100;
/// How long the main server is to wait for something to do.
const WAIT: u64 = 25;
/// The pause after a question that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// What was not prolonged for so long may be another worker's: a lease ends a minute after the main server gave or prolonged
/// it, and the answer was on its way for a while.
const HOLDS: Duration = Duration::from_secs(55);
/// How often leases are prolonged.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How much room there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Room {
    /// For all.
    Enough,
    /// Half of it is taken: those that are slow have no more of it than what they are sent.
    Short,
    /// What is left is for those that hold nothing.
    Kept,
}

/// What delivering needs.
#[derive(Clone, Debug)]
pub struct DeliveryConfig {
    /// Where webhooks may connect to.
    pub egress: Egress,
    /// Whom to trust where a destination names no authority of its own.
    pub roots: Arc<RootCertStore>,
}

/// The worker's deliveries.
#[derive(Debug)]
pub(crate) struct Deliverer {
    name: String,
    server: Client,
    pub(crate) config: DeliveryConfig,
    pub(crate) names: Names,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<WorkerMetrics>,
    pub(crate) lifecycle: Lifecycle,
    soft: CancellationToken,
    lanes: Mutex<HashMap<DestinationId, Arc<Lane>>>,
    /// Deliveries that wait or are being sent, and their bytes.
    held: AtomicUsize,
    bytes: AtomicUsize,
    /// Attempts since the start.
    attempts: AtomicU64,
    /// Room has become short.
    crowded: Notify,
    /// There is room again that the question under way did not know of.
    eased: Notify,
    /// As of which version of the destinations everything here is.
    knows: AtomicU64,
    /// When what was held then was last prolonged.
    prolonged: Mutex<Instant>,
    said: mpsc::Sender<Said>,
}

impl Deliverer {
    /// Starts to wait for deliveries.
    pub(crate) fn start(
        name: String,
        config: DeliveryConfig,
        server: Client,
        clock: Clock,
        metrics: Arc<WorkerMetrics>,
        lifecycle: &Lifecycle,
    ) -> Arc<Self> {
        let (said, heard) = mpsc::channel(report::WAITING);
        let deliverer = Arc::new(Self {
            name,
            server,
            config,
            names: Names::new(),
            clock,
            metrics,
            lifecycle: lifecycle.clone(),
            soft: lifecycle.soft(),
            lanes: Mutex::default(),
            held: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            attempts: AtomicU64::new(0),
            crowded: Notify::new(),
            eased: Notify::new(),
            knows: AtomicU64::new(0),
            prolonged: Mutex::new(Instant::now()),
            said,
        });
        lifecycle.spawn("deliveries", Criticality::Critical, Arc::clone(&deliverer).ask());
        lifecycle.spawn("delivery room", Criticality::Critical, Arc::clone(&deliverer).make_room());
        lifecycle.spawn("delivery reports", Criticality::Critical, Arc::clone(&deliverer).report(heard));
        lifecycle.spawn("delivery leases", Criticality::Critical, Arc::clone(&deliverer).prolong());
        deliverer
    }

    /// What a register call may bring along.
    pub(crate) fn takes(&self) -> RegisterQuery {
        if self.soft.is_cancelled() {
            return RegisterQuery::default();
        }
        let except = self.full().iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        RegisterQuery {
            worker: Some(self.name.clone()),
            deliveries: Some(u32::try_from(self.room()).unwrap_or(u32::MAX)),
            except: (!except.is_empty()).then_some(except),
        }
    }

    /// Takes deliveries over.
    pub(crate) fn accept(self: &Arc<Self>, leased: LeasedDeliveries) {
        let LeasedDeliveries { targets, deliveries, probes, version: _ } = leased;
        for target in targets {
            self.aim(&target);
        }
        self.held.fetch_add(deliveries.len(), Ordering::Relaxed);
        self.bytes.fetch_add(deliveries.iter().map(size).sum(), Ordering::Relaxed);
        let mut groups = HashMap::<DestinationId, Vec<LeasedDelivery>>::new();
        for delivery in deliveries {
            groups.entry(delivery.destination).or_default().push(delivery);
        }
        for (destination, deliveries) in groups {
            match self.lane(destination) {
                Some(lane) => lane.take(self, deliveries),
                // An answer names the destinations of its deliveries; one that does not is given back by its leases' end.
                None => self.done_with(&deliveries),
            }
        }
        for probe in probes {
            self.try_out(probe);
        }
        if self.is_short() {
            self.crowded.notify_one();
        }
    }

    /// Has those that are slow give back what waits there, whenever room is short.
    async fn make_room(self: Arc<Self>) {
        let crowded = async {
            loop {
                self.crowded.notified().await;
                for lane in self.all_lanes() {
                    if !self.is_short() {
                        break;
                    }
                    lane.make_room(&self).await;
                }
                // Whether one is slow shows after a while.
                tokio::time::sleep(PAUSE).await;
                if self.is_short() {
                    self.crowded.notify_one();
                }
            }
        };
        self.soft.run_until_cancelled(crowded).await;
    }

    /// How many are held.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed) as u64
    }

    /// How many of them are being sent.
    pub(crate) fn in_flight(&self) -> u64 {
        self.all_lanes().iter().map(|lane| lane.in_flight()).sum()
    }

    /// Attempts since the start.
    pub(crate) fn attempts(&self) -> u64 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// The same, for the gauge.
    #[expect(clippy::cast_precision_loss, reason = "at most a few times the room")]
    pub(crate) fn held_now(&self) -> f64 {
        self.held.load(Ordering::Relaxed) as f64
    }

    /// How many more may be held.
    fn room(&self) -> usize {
        let (held, bytes) = (self.held.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        if held >= ROOM + KEPT || bytes >= ROOM_BYTES + KEPT_BYTES {
            return 0;
        }
        if self.how_much() == Room::Kept { LEAST } else { ROOM - held }
    }

    fn how_much(&self) -> Room {
        let (held, bytes) = (self.held.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        if held + LEAST > ROOM || bytes >= ROOM_BYTES {
            Room::Kept
        } else if held >= ROOM / 2 || bytes >= ROOM_BYTES / 2 {
            Room::Short
        } else {
            Room::Enough
        }
    }

    fn is_short(&self) -> bool {
        self.how_much() != Room::Enough
    }

    fn full(&self) -> Vec<DestinationId> {
        let room = self.how_much();
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.iter().filter(|(_, lane)| lane.is_full(room)).map(|(id, _)| *id).collect()
    }

    fn lane(&self, id: DestinationId) -> Option<Arc<Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn all_lanes(&self) -> Vec<Arc<Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Takes down lanes that nobody needs any more.
    fn tidy(&self) {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, lane| !lane.tidy());
    }

    /// Points a lane at a destination as it is now.
    fn aim(&self, target: &Target) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(&target.id) {
            lane.touch();
            if lane.is_older_than(target) {
                lane.aim(Aim::new(target, &self.config.roots));
            }
        } else {
            let id = target.id;
            lanes.insert(id, Arc::new(Lane::new(id, Aim::new(target, &self.config.roots))));
        }
    }

    /// These are done with.
    pub(crate) fn done_with<'a>(&self, deliveries: impl IntoIterator<Item = &'a LeasedDelivery>) {
        let before = self.how_much();
        let had_room = self.room() >= LEAST;
        for delivery in deliveries {
            self.held.fetch_sub(1, Ordering::Relaxed);
            self.bytes.fetch_sub(size(delivery), Ordering::Relaxed);
        }
        if !had_room || self.how_much() != before {
            self.ease();
        }
    }

    /// A lane that had enough has room again.
    pub(crate) fn ease(&self) {
        self.eased.notify_one();
    }

    /// Whether what came at that time is still this worker's: it may have been frozen, or cut off from the main server.
    pub(crate) fn still_holds(&self, taken: Instant) -> bool {
        let prolonged = *self.prolonged.lock().unwrap_or_else(PoisonError::into_inner);
        taken.max(prolonged).elapsed() < HOLDS
    }

    /// Passes on what came of something. If nobody listens any more, the process ends, and so do the leases.
    pub(crate) async fn say(&self, said: Said) {
        self.attempts.fetch_add(u64::from(matches!(said, Said::Attempt(_))), Ordering::Relaxed);
        let _ = self.said.send(said).await;
    }

    fn try_out(self: &Arc<Self>, probe: Probe) {
        let Some(lane) = self.lane(probe.destination) else { return };
        let deliverer = Arc::clone(self);
        self.lifecycle.spawn("delivery trial", Criticality::Ordinary, async move {
            let report = lane.try_out(&deliverer, &probe).await;
            deliverer.say(Said::Probe(report)).await;
        });
    }

    /// Waits for deliveries until the soft stop; what has not been sent by then is given back. Without room it waits for
    /// changes of the destinations.
    async fn ask(self: Arc<Self>) {
        while !self.soft.is_cancelled() {
            let room = Some(self.room()).filter(|room| *room >= LEAST).unwrap_or(0);
            let ask = self.question(room, WAIT);
            let mut answer = std::pin::pin!(self.server.lease_deliveries(&ask));
            let answered = loop {
                tokio::select! {
                    answered = &mut answer => break Some(answered),
                    () = self.soft.cancelled() => break None,
                    () = self.eased.notified() => match room {
                        // It leases nothing, so nothing is lost with it.
                        0 => break None,
                        _ => self.ask_beside().await,
                    },
                }
            };
            match answered {
                Some(Ok(leased)) => {
                    let is_later = leased.version > self.knows.load(Ordering::Relaxed);
                    self.accept(leased);
                    if is_later && !self.catch_up().await {
                        self.soft.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
                    }
                }
                Some(Err(error)) => {
                    mb_runtime::logging::limited("deliveries", || {
                        tracing::warn!(%error, "deliveries not asked for, will try again");
                    });
                    self.soft.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
                }
                None => {}
            }
        }
        for lane in self.all_lanes() {
            lane.give_back(&self).await;
        }
    }

    fn question(&self, room: usize, wait_seconds: u64) -> LeaseRequest {
        LeaseRequest {
            worker: self.name.clone(),
            limit: u32::try_from(room.min(ASK)).unwrap_or(u32::MAX),
            except: self.full(),
            wait_seconds,
            knows: self.knows.load(Ordering::Relaxed),
        }
    }

    /// Asks for what the question that waits passes by: a lane that was full then has room now. That question is not given up,
    /// because what it has leased may be on its way.
    async fn ask_beside(self: &Arc<Self>) {
        while self.room() >= LEAST && !self.soft.is_cancelled() {
            match self.server.lease_deliveries(&self.question(self.room(), 0)).await {
                Ok(leased) if !leased.deliveries.is_empty() => self.accept(leased),
                Ok(leased) => return self.accept(leased),
                Err(error) => return tracing::debug!(%error, "deliveries not asked for"),
            }
        }
    }
}

fn size(delivery: &LeasedDelivery) -> usize {
    delivery.payload.secret().expose().len()
}
