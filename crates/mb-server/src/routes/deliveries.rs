//! `/internal/deliveries`: a worker takes what is due, and reports what came of it.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mb_api::dto::delivery::{
    HeldDelivery, LeaseRequest, LeasedDeliveries, LeasedDelivery, MAX_LEASED, MAX_REPORTED, MAX_WAIT, ReportAnswer,
    ReportRequest,
};
use mb_api::paths;
use mb_api::peer::Peer;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{LeaseId, Role};
use mb_crypto::random;
use mb_crypto::sealed_value::{self, Purpose};
use mb_store::{AttemptReport, Held, LEASE, LeaseAsk, Leased, NextDue, Reported, Reporter, Reports, Whose};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

use super::{store_fault, workers};
use crate::actor;
use crate::app::App;
use crate::delivering::{opened, probes};

/// The most bytes of a question.
const MAX_ASK: usize = 256 << 10;
/// The most bytes of a report: answers are most of it.
const MAX_REPORT: usize = 64 << 20;
/// How long is waited at most before the store is asked again: another main server's changes wake nobody here.
const LOOK: Duration = Duration::from_secs(1);

#[utoipa::path(
    post, path = paths::DELIVERIES_LEASE, tag = "internal", operation_id = "lease_deliveries",
    summary = "Wait for deliveries",
    request_body = LeaseRequest,
    responses((status = 200, body = LeasedDeliveries)),
    security(("certificate" = ["worker"])),
)]
pub(crate) async fn lease(
    State(app): State<Arc<App>>,
    peer: Peer,
    body: Body,
) -> Result<Json<LeasedDeliveries>, ApiError> {
    actor::require(&app, &peer, &[Role::Worker])?;
    let request: LeaseRequest = mb_runtime::body::read_json(body, MAX_ASK).await?;
    let deadline = Instant::now() + Duration::from_secs(request.wait_seconds.min(MAX_WAIT));
    let (mut woken, mut behind) = (app.delivering.woken(), None);
    app.delivering.workers.ask(&request.worker, request.knows);
    loop {
        woken.mark_unchanged();
        // It may have waited: who was taken out meanwhile is given nothing.
        actor::require(&app, &peer, &[Role::Worker])?;
        let version = app.delivering.known().version;
        let ask = LeaseAsk {
            lease: new_lease(),
            holder: &request.worker,
            limit: request.limit.min(MAX_LEASED),
            whose: Whose::Webhooks { except: &request.except, behind },
        };
        // Who has no room waits for changes and trials alone.
        let leasing = match request.limit {
            0 => None,
            _ => Some(app.store.lease_deliveries(&ask).await.map_err(store_fault)?),
        };
        let (leased, next) = leasing.map_or((Vec::new(), NextDue::Never), |leasing| {
            behind = leasing.last;
            (leasing.deliveries, leasing.next)
        });
        let answer = LeasedDeliveries { version, ..answer(&app, leased).await? };
        actor::require(&app, &peer, &[Role::Worker])?;
        let until = match next {
            NextDue::Now => Instant::now(),
            NextDue::At { due, now } => Instant::now() + due.since(now).min(LOOK),
            NextDue::Never => Instant::now() + LOOK,
        };
        let is_news = !answer.is_empty() || version > request.knows;
        if is_news || Instant::now() >= deadline || app.stopping.is_cancelled() {
            return Ok(Json(answer));
        }
        tokio::select! {
            () = app.stopping.cancelled() => {}
            () = tokio::time::sleep_until(until.min(deadline)) => {}
            _ = woken.changed() => {}
        }
    }
}

#[utoipa::path(
    post, path = paths::DELIVERIES_REPORT, tag = "internal", operation_id = "report_deliveries",
    summary = "Report what came of deliveries",
    request_body = ReportRequest,
    responses((status = 200, body = ReportAnswer)),
    security(("certificate" = ["worker"])),
)]
pub(crate) async fn report(
    State(app): State<Arc<App>>,
    peer: Peer,
    body: Body,
) -> Result<Json<ReportAnswer>, ApiError> {
    actor::require(&app, &peer, &[Role::Worker])?;
    let request: ReportRequest = mb_runtime::body::read_json(body, MAX_REPORT).await?;
    actor::require(&app, &peer, &[Role::Worker])?;
    if request.attempts.len() > MAX_REPORTED {
        return Err(ApiError::new(ProblemCode::TooManyItems, format!("at most {MAX_REPORTED} attempts per report")));
    }
    let answer = prolong(&app, &request).await?;
    if let Some(status) = &request.status {
        workers::note(&app, &peer, &request.worker, status).await?;
    }
    for probe in &request.probes {
        probes::report(&app, probe).await?;
    }
    let (released, expired) = (given_back(&request.released), given_back(&request.expired));
    let attempts = request.attempts.into_iter().map(|attempt| keep(&app, attempt)).collect::<Result<Vec<_>, _>>()?;
    if attempts.is_empty() && released.is_empty() && expired.is_empty() {
        return Ok(Json(answer));
    }
    let jitter = attempts.iter().map(|_| factor()).collect::<Vec<_>>();
    let reports = Reports {
        by: Reporter::Worker,
        attempts: &attempts,
        released: &released,
        expired: &expired,
        worker: &request.worker,
        instance: &app.instance,
        jitter: &jitter,
    };
    let reported = app.store.report_attempts(&reports).await.map_err(store_fault)?;
    take_in(&app, &reported).await?;
    Ok(Json(answer))
}

fn given_back(these: &[HeldDelivery]) -> Vec<Held> {
    these.iter().map(|held| (held.destination, held.lease, held.message_id)).collect()
}

/// A new lease's id.
pub(super) fn new_lease() -> LeaseId {
    LeaseId::from_bytes(random::public_array())
}

/// What a worker is given: the messages opened, each destination once.
pub(super) async fn answer(app: &App, leased: Vec<Leased>) -> Result<LeasedDeliveries, ApiError> {
    let probes = app.delivering.probes.take(&app.store).await.map_err(store_fault)?;
    let mut answer = LeasedDeliveries { probes, ..LeasedDeliveries::default() };
    let mut destinations = leased.iter().map(|delivery| delivery.destination);
    let mut tried = answer.probes.iter().map(|probe| probe.destination);
    let is_unknown = |destination| app.delivering.known().find(destination).is_none();
    if destinations.any(is_unknown) || tried.any(is_unknown) {
        // Another main server made the destination just now.
        app.delivering.refresh(&app.store).await.map_err(store_fault)?;
    }
    let (known, now) = (app.delivering.known(), app.clock.now());
    let mut targets = BTreeMap::new();
    let leased = leased.into_iter().filter(|delivery| known.find(delivery.destination).is_some()).collect();
    for (delivery, payload) in opened::payloads(app, leased).await? {
        if let Some(served) = known.find(delivery.destination) {
            targets.entry(delivery.destination).or_insert_with(|| served.target(now));
        }
        let header = &delivery.message.header;
        answer.deliveries.push(LeasedDelivery {
            message_id: header.message_id,
            destination: delivery.destination,
            lease: delivery.lease,
            expires_at: header.expires_at,
            payload,
        });
    }
    for probe in &answer.probes {
        if let Some(served) = known.find(probe.destination) {
            targets.entry(probe.destination).or_insert_with(|| served.target(now));
        }
    }
    answer.targets = targets.into_values().collect();
    Ok(answer)
}

/// An attempt as it is stored, the answer sealed.
fn keep(app: &App, attempt: mb_api::dto::delivery::AttemptReport) -> Result<AttemptReport, ApiError> {
    let mb_api::dto::delivery::AttemptReport { id, of, exchange } = attempt;
    let seal = |answer: String| {
        let bytes = STANDARD.decode(answer).unwrap_or_default();
        sealed_value::seal(&app.master, Purpose::AttemptAnswer, &id.to_string(), &bytes).map_err(ApiError::internal)
    };
    Ok(AttemptReport {
        attempt: id,
        message: of.message_id,
        destination: of.destination,
        lease: of.lease,
        at: exchange.at,
        duration: Duration::from_micros(exchange.duration_us),
        class: exchange.class,
        status: exchange.status,
        retry_after: exchange.retry_after.map(Duration::from_secs),
        detail: exchange.detail,
        answer: exchange.answer.map(seal).transpose()?,
    })
}

/// Prolongs what is held, and says what of it and of its destinations is not as the worker knows it.
async fn prolong(app: &App, request: &ReportRequest) -> Result<ReportAnswer, ApiError> {
    let known = app.delivering.known();
    let mut answer = ReportAnswer { version: known.version, ..ReportAnswer::default() };
    let now = app.clock.now();
    for target in &request.targets {
        match known.find(target.id).filter(|served| served.is_open()) {
            None => answer.closed.push(target.id),
            Some(served) if served.version(now) > target.version => answer.targets.push(served.target(now)),
            Some(_) => {}
        }
    }
    let held = given_back(&request.held);
    if !held.is_empty() {
        let lost = app.store.prolong_leases(&held, None).await.map_err(store_fault)?.into_iter();
        let lost = lost.map(|(destination, lease, message_id)| HeldDelivery { message_id, destination, lease });
        answer.lost = lost.collect();
    }
    Ok(answer)
}

/// What came of a report reaches those who are concerned.
pub(super) async fn take_in(app: &App, reported: &Reported) -> Result<(), ApiError> {
    app.delivering.note(reported);
    for (row, reason) in &reported.disabled {
        let route = &row.route;
        tracing::warn!(destination.id = %route.id, domain = %route.domain, reason, "destination disabled");
    }
    if !reported.disabled.is_empty() {
        app.delivering.refresh(&app.store).await.map_err(store_fault)?;
    }
    Ok(())
}

/// A random factor from 0 to 1.
fn factor() -> f64 {
    f64::from(u32::from_be_bytes(random::public_array())) / f64::from(u32::MAX)
}

const _: () = assert!(LEASE.as_secs() == 60, "workers prolong every 15 s what they hold");
