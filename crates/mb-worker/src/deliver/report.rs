//! Reports: what came of deliveries goes back to the main server, in batches that gather while the one before is on its
//! way. A report that fails is sent again until it is heard or the process ends; attempts are known by their ids.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use mb_api::client::ClientError;
use mb_api::dto::delivery::{AttemptReport, HeldDelivery, MAX_REPORTED, ProbeReport, ReportAnswer, ReportRequest};
use mb_core::{DestinationId, LeaseId, MessageId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Deliverer, HEARTBEAT, HOLDS};
use crate::register::patience;

/// What waits to be reported at most; whoever has more to say waits.
pub(super) const WAITING: usize = 2 * MAX_REPORTED;
/// Bytes of answers in one report at most.
const MAX_BYTES: usize = 8 << 20;
/// So often the main server has to say that it cannot take a report before that is believed.
const REFUSALS: u32 = 3;
/// The first pause after a report that failed, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// What there is to say.
#[derive(Debug)]
pub(crate) enum Said {
    /// An attempt was made.
    Attempt(AttemptReport),
    /// A delivery is given back untried.
    Released(HeldDelivery),
    /// A delivery's time is over before it was tried.
    Expired(HeldDelivery),
    /// A trial was made.
    Probe(ProbeReport),
}

impl Deliverer {
    /// Reports until nobody has anything to say any more: after the soft stop, when the last runner is done.
    pub(super) async fn report(self: Arc<Self>, mut heard: mpsc::Receiver<Said>) {
        loop {
            let first = tokio::select! {
                biased;
                first = heard.recv() => first,
                () = self.soft.cancelled() => self.last_words(&mut heard).await,
            };
            let Some(first) = first else { return };
            let mut report = ReportRequest { worker: self.name.clone(), ..ReportRequest::default() };
            let mut bytes = add(&mut report, first);
            while count(&report) < MAX_REPORTED && bytes < MAX_BYTES {
                let Ok(more) = heard.try_recv() else { break };
                bytes += add(&mut report, more);
            }
            let told = told(&report);
            self.send(report).await;
            for (id, these) in told {
                if let Some(lane) = self.lane(id) {
                    lane.reported(&these);
                }
            }
        }
    }

    /// Prolongs what is held, until the soft stop. If that was not possible for too long, because this process was frozen or
    /// the main server away, what waits is somebody else's by now: it is not sent, but given back.
    pub(super) async fn prolong(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(HEARTBEAT);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while self.soft.run_until_cancelled(ticks.tick()).await.is_some() {
            let begun = Instant::now();
            self.tidy();
            if !self.still_holds(begun.checked_sub(HOLDS).unwrap_or(begun)) {
                for lane in self.all_lanes() {
                    lane.give_back(&self).await;
                }
            }
            self.catch_up().await;
        }
    }

    /// Has all that is held prolonged, and goes by what the main server says of it and of the destinations; whether it did.
    pub(super) async fn catch_up(&self) -> bool {
        let (begun, lanes) = (Instant::now(), self.all_lanes());
        let targets = lanes.iter().map(|lane| lane.known()).collect::<Vec<_>>();
        let held = lanes.iter().flat_map(|lane| lane.held()).collect::<Vec<_>>();
        let (mut targets, mut held) = (targets.chunks(MAX_REPORTED), held.chunks(MAX_REPORTED));
        let mut knows = None;
        loop {
            let (targets, held) = (targets.next(), held.next());
            // Once at least, to learn the version.
            if targets.is_none() && held.is_none() && knows.is_some() {
                break;
            }
            let (targets, held) = (targets.unwrap_or_default().to_vec(), held.unwrap_or_default().to_vec());
            let report = ReportRequest { worker: self.name.clone(), targets, held, ..ReportRequest::default() };
            match self.server.report_deliveries(&report).await {
                Ok(answer) => {
                    // What was changed between two answers is told by the next question's.
                    knows = Some(knows.map_or(answer.version, |knows: u64| knows.min(answer.version)));
                    self.go_by(answer).await;
                }
                Err(error) => {
                    mb_runtime::logging::limited("delivery leases", || {
                        tracing::warn!(%error, "leases not prolonged");
                    });
                    return false;
                }
            }
        }
        self.knows.store(knows.unwrap_or_default(), Ordering::Relaxed);
        *self.prolonged.lock().unwrap_or_else(PoisonError::into_inner) = begun;
        true
    }

    /// Sends nothing more to where nothing is sent, nor what somebody else has, and the rest to where it goes now.
    async fn go_by(&self, answer: ReportAnswer) {
        let ReportAnswer { version: _, closed, targets, lost } = answer;
        for target in &targets {
            self.aim(target);
        }
        for lane in closed.into_iter().filter_map(|id| self.lane(id)) {
            lane.give_back(self).await;
        }
        let mut by_lane = HashMap::<DestinationId, HashSet<(MessageId, LeaseId)>>::new();
        for lost in lost {
            by_lane.entry(lost.destination).or_default().insert((lost.message_id, lost.lease));
        }
        for (id, lost) in by_lane {
            if let Some(lane) = self.lane(id) {
                self.done_with(&lane.let_go(&lost));
            }
        }
    }

    /// What is said after the soft stop, until everything that was held is done with.
    async fn last_words(&self, heard: &mut mpsc::Receiver<Said>) -> Option<Said> {
        loop {
            if self.is_idle() {
                return heard.try_recv().ok();
            }
            if let Ok(said) = tokio::time::timeout(PAUSES.0, heard.recv()).await {
                return said;
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.held.load(Ordering::Relaxed) == 0
    }

    /// Sends a report until it is heard. One that the main server answers it cannot take goes again in halves, so that one
    /// attempt that it chokes on keeps no other from being told; that one alone is dropped, and its lease ends.
    async fn send(&self, report: ReportRequest) {
        let mut parts = vec![report];
        while let Some(report) = parts.pop() {
            let Some(error) = self.send_one(&report).await else { continue };
            if count(&report) < 2 {
                tracing::error!(%error, "the main server cannot take this report, it is dropped");
            } else {
                parts.extend(halves(report));
            }
        }
    }

    /// Why the main server cannot take the report, if it says so again and again.
    async fn send_one(&self, report: &ReportRequest) -> Option<ClientError> {
        let ((mut pause, longest), mut refusals) = (PAUSES, 0);
        loop {
            let error = self.server.report_deliveries(report).await.err()?;
            mb_runtime::logging::limited("delivery reports", || {
                tracing::warn!(%error, attempts = report.attempts.len(), "report not heard, will try again");
            });
            refusals += u32::from(!patience::is_passing(&error));
            if refusals >= REFUSALS {
                return Some(error);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

/// What a report tells of, by destination.
fn told(report: &ReportRequest) -> HashMap<DestinationId, Vec<HeldDelivery>> {
    let attempts = report.attempts.iter().map(|attempt| attempt.of);
    let mut told = HashMap::<_, Vec<_>>::new();
    for held in attempts.chain(report.released.iter().copied()).chain(report.expired.iter().copied()) {
        told.entry(held.destination).or_default().push(held);
    }
    told
}

/// Two reports that say the same together, of a report that says more than one thing; either says less.
fn halves(mut report: ReportRequest) -> [ReportRequest; 2] {
    let mut kept = count(&report) / 2;
    let mut second = ReportRequest { worker: report.worker.clone(), ..ReportRequest::default() };
    second.attempts = beyond(&mut report.attempts, &mut kept);
    second.released = beyond(&mut report.released, &mut kept);
    second.expired = beyond(&mut report.expired, &mut kept);
    second.probes = beyond(&mut report.probes, &mut kept);
    [report, second]
}

/// Takes out what comes after the first `kept`, of which so many fewer are left for the next list.
fn beyond<T>(list: &mut Vec<T>, kept: &mut usize) -> Vec<T> {
    let here = list.len().min(*kept);
    *kept -= here;
    list.split_off(here)
}

fn count(report: &ReportRequest) -> usize {
    report.attempts.len() + report.released.len() + report.expired.len() + report.probes.len()
}

/// Adds what was said; how many bytes of answers it has.
fn add(report: &mut ReportRequest, said: Said) -> usize {
    let exchange = match said {
        Said::Attempt(attempt) => {
            report.attempts.push(attempt);
            report.attempts.last().map(|attempt| &attempt.exchange)
        }
        Said::Released(held) => {
            report.released.push(held);
            None
        }
        Said::Expired(held) => {
            report.expired.push(held);
            None
        }
        Said::Probe(probe) => {
            report.probes.push(probe);
            report.probes.last().map(|probe| &probe.exchange)
        }
    };
    exchange.and_then(|exchange| exchange.answer.as_ref()).map_or(0, String::len)
}
