//! One attempt: a request on a connection of the lane's, or on a new one, and its answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use mb_api::dto::delivery::{Probe, ProbeReport};
use mb_core::{AttemptClass, Timestamp};
use tokio::time::Instant;

use super::super::Deliverer;
use super::super::aim::Aim;
use super::super::connect::{Connection, Failure};
use super::super::exchange::{self, Answered, CONNECTING, Shot, TOTAL, describe};
use super::{IDLE, Lane};

/// What came of an attempt.
pub(super) struct Attempted {
    pub(super) outcome: Result<Answered, Failure>,
    peer: Option<std::net::SocketAddr>,
    sent: HeaderMap,
    pub(super) took: Duration,
}

impl Lane {
    /// Sends once, on an idle connection if there is one. One that the other end has closed meanwhile says nothing about
    /// the destination: then it is sent on a new one.
    pub(super) async fn attempt(
        &self,
        deliverer: &Deliverer,
        aim: &Arc<Aim>,
        shot: &Shot<'_>,
        now: Timestamp,
    ) -> Attempted {
        let begun = Instant::now();
        let mut attempted = Attempted {
            outcome: Err(Failure::new(AttemptClass::Unsendable, "")),
            peer: None,
            sent: HeaderMap::new(),
            took: Duration::ZERO,
        };
        attempted.outcome = self.try_send(deliverer, aim, shot, now, &mut attempted).await;
        attempted.took = begun.elapsed();
        attempted
    }

    async fn try_send(
        &self,
        deliverer: &Deliverer,
        aim: &Arc<Aim>,
        shot: &Shot<'_>,
        now: Timestamp,
        attempted: &mut Attempted,
    ) -> Result<Answered, Failure> {
        let place = aim.place.as_ref().map_err(|reason| Failure::new(AttemptClass::Unsendable, reason))?;
        let begun = Instant::now();
        let deadline = begun + TOTAL;
        let request = exchange::request(place, shot, now)?;
        attempted.sent = request.headers().clone();
        if let Some(mut connection) = self.idle(aim) {
            attempted.peer = Some(connection.peer);
            match exchange::send(&mut connection, request.clone(), deadline).await {
                Err(Failure { class: AttemptClass::Broken, .. }) => {}
                outcome => return Ok(self.keep(aim, connection, outcome?)),
            }
        }
        let connecting = (Instant::now() + CONNECTING).min(deadline);
        let (names, egress) = (&deliverer.names, &deliverer.config.egress);
        let mut connection = Connection::open(place, names, egress, connecting, &deliverer.lifecycle).await?;
        attempted.peer = Some(connection.peer);
        let answered = exchange::send(&mut connection, request, deadline).await?;
        Ok(self.keep(aim, connection, answered))
    }

    /// A connection to the place that is aimed at, open as far as can be told.
    fn idle(&self, aim: &Arc<Aim>) -> Option<Connection> {
        let mut inner = self.inner();
        if !Arc::ptr_eq(aim, &inner.aim) {
            return None;
        }
        while let Some(connection) = inner.idle.pop() {
            if !connection.sender.is_closed() && connection.used.elapsed() < IDLE {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps it for the next one, unless that goes to another place.
    fn keep(&self, aim: &Arc<Aim>, connection: Connection, answered: Answered) -> Answered {
        let mut inner = self.inner();
        if answered.reusable && Arc::ptr_eq(aim, &inner.aim) && inner.idle.len() < inner.aim.concurrency as usize {
            inner.idle.push(connection);
        }
        answered
    }

    /// Makes a trial, on the same way.
    pub(crate) async fn try_out(&self, deliverer: &Deliverer, probe: &Probe) -> ProbeReport {
        let aim = Arc::clone(&self.inner().aim);
        let now = deliverer.clock.now();
        let shot = Shot { id: &probe.webhook_id, body: Bytes::from(probe.payload.clone()) };
        let attempted = self.attempt(deliverer, &aim, &shot, now).await;
        let exchange = describe(&attempted.outcome, now, attempted.took, &deliverer.clock);
        let none = HeaderMap::new();
        ProbeReport {
            id: probe.id,
            exchange,
            peer: attempted.peer.map(|peer| peer.to_string()),
            request_headers: shown(&attempted.sent),
            response_headers: shown(attempted.outcome.as_ref().map_or(&none, |answered| &answered.headers)),
        }
    }
}

fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}
