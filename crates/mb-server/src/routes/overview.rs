//! `/portal/overview`: how things are, in figures. An admin's come from counters and tallies that only count up; a user's
//! from so many of its client's newest messages that reading them always costs the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use mb_api::dto::{FailureCount, Overview, OverviewPeriod, OverviewPoint, OverviewQuery, TimeToDeliver, Waiting};
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::{Query, paths};
use mb_core::spread::{Band, percentile};
use mb_core::{ClientName, DestinationKind, DomainName, MessageState, Timestamp};
use mb_store::{CounterEvent, ShortMessage};

use super::store_fault;
use crate::app::App;
use crate::caller::{Caller, View};

/// The most of a client's messages that are looked at.
const NEWEST: u32 = 1000;
/// Reasons that are told apart.
const REASONS: usize = 10;
const HOUR: Duration = Duration::from_hours(1);

#[utoipa::path(
    get, path = paths::PORTAL_OVERVIEW, tag = "stats", operation_id = "overview",
    summary = "How things are, in figures",
    description = "An admin's figures are of all messages, to the hour; a user's of its client's newest messages, up to 1000.",
    params(OverviewQuery),
    responses((status = 200, body = Overview)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn overview(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<OverviewQuery>,
) -> Result<Json<Overview>, ApiError> {
    let steps = Steps::new(query.period.unwrap_or_default(), app.clock.now());
    match caller.view()? {
        View::All => of_all(&app, &steps, query.domain.as_ref()).await.map(Json),
        View::Client(client) if query.domain.is_none() => of_client(&app, &steps, &client).await.map(Json),
        View::Client(_) => Err(ApiError::new(ProblemCode::Forbidden, "only admins ask for a domain's figures")),
    }
}

/// A period cut into steps of whole hours; the hour that runs is in the last one.
struct Steps {
    period: OverviewPeriod,
    now: Timestamp,
    from: Timestamp,
    end: Timestamp,
    step: Duration,
}

impl Steps {
    fn new(period: OverviewPeriod, now: Timestamp) -> Self {
        let (hours, per_step) = period.hours();
        let began = now.seconds().div_euclid(3600).saturating_mul(3_600_000_000);
        let end = Timestamp::from_micros(began).plus(HOUR);
        Self { period, now, end, from: end.minus(HOUR * hours), step: HOUR * per_step }
    }

    fn points(&self) -> Vec<OverviewPoint> {
        let (hours, per_step) = self.period.hours();
        let at = |n: u32| OverviewPoint { at: self.from.plus(self.step * n), ..OverviewPoint::default() };
        (0..hours / per_step).map(at).collect()
    }

    /// The place of the step that contains this time.
    fn place(&self, at: Timestamp) -> Option<usize> {
        let place = at.since(self.from).as_secs().checked_div(self.step.as_secs())?;
        usize::try_from(place).ok().filter(|_| at >= self.from && at < self.end)
    }
}

async fn of_all(app: &App, steps: &Steps, domain: Option<&DomainName>) -> Result<Overview, ApiError> {
    let (store, from, end) = (&app.store, steps.from, steps.end);
    let hours = store.hour_counts(domain, from, end).await.map_err(store_fault)?;
    let mut points = steps.points();
    let mut sums = BTreeMap::<CounterEvent, u64>::new();
    for hour in hours {
        *sums.entry(hour.event).or_default() += hour.count;
        if let Some(point) = steps.place(hour.at).and_then(|place| points.get_mut(place)) {
            match hour.event {
                CounterEvent::Registered => point.accepted += hour.count,
                CounterEvent::Delivered => point.delivered += hour.count,
                CounterEvent::Failed | CounterEvent::Expired => point.failed += hour.count,
                _ => {}
            }
        }
    }
    let messages = store.message_stats(domain).await.map_err(store_fault)?;
    let bands = store.times_to_deliver(domain, from, end).await.map_err(store_fault)?;
    let failures = store.failures(domain, from, end).await.map_err(store_fault)?;
    let figures = store.destination_figures().await.map_err(store_fault)?;
    let oldest = DestinationKind::ALL.into_iter().map(|kind| figures.overdue(kind).as_secs()).max();
    let open = messages.by_status.iter().find(|(state, _)| *state == MessageState::Processing);
    let of = |event| sums.get(&event).copied().unwrap_or(0);
    let closed = [
        (MessageState::Delivered, of(CounterEvent::Delivered)),
        (MessageState::Failed, of(CounterEvent::Failed)),
        (MessageState::Expired, of(CounterEvent::Expired)),
        (MessageState::Cancelled, of(CounterEvent::Cancelled)),
    ];
    let ended = closed.iter().map(|(_, count)| count).sum::<u64>();
    let processing = (MessageState::Processing, of(CounterEvent::Registered).saturating_sub(ended));
    let by_status = closed.into_iter().chain([processing]).collect();
    Ok(Overview {
        period: steps.period,
        at: steps.now,
        newest_only: None,
        messages_last_24h: messages.last_24h,
        messages_last_7d: messages.last_7d,
        messages_last_30d: messages.last_30d,
        delivery_rate: rate(&by_status),
        messages_by_status: named(&by_status),
        time_to_deliver: time_to_deliver(&bands),
        failures: commonest(failures),
        points,
        waiting: Waiting {
            messages: open.map_or(0, |(_, count)| *count),
            oldest_due_seconds: oldest.filter(|_| domain.is_none()),
        },
    })
}

async fn of_client(app: &App, steps: &Steps, client: &ClientName) -> Result<Overview, ApiError> {
    let (hours, _) = OverviewPeriod::Month.hours();
    let since = steps.end.minus(HOUR * hours);
    let newest = app.store.newest_messages(client, since, NEWEST).await.map_err(store_fault)?;
    let cut = newest.len() >= NEWEST as usize;
    let within = |days: u32| {
        let from = steps.end.minus(HOUR * (days * 24));
        newest.iter().filter(|message| message.queued_at >= from).count() as u64
    };
    let mut points = steps.points();
    let mut by_status = BTreeMap::<MessageState, u64>::new();
    let (mut bands, mut failures) = (BTreeMap::<Band, u64>::new(), BTreeMap::<String, u64>::new());
    for message in newest.iter().filter(|message| message.queued_at >= steps.from) {
        *by_status.entry(state(message, steps.now)).or_default() += 1;
        if let Some(point) = steps.place(message.queued_at).and_then(|place| points.get_mut(place)) {
            point.accepted += 1;
            point.delivered += u64::from(message.status == MessageState::Delivered);
            point.failed += u64::from(matches!(message.status, MessageState::Failed | MessageState::Expired));
        }
        if let Some(at) = message.delivered_at {
            let began = message.deliver_at.map_or(message.queued_at, |at| at.max(message.queued_at));
            *bands.entry(Band::of(at.since(began))).or_default() += 1;
        }
        if message.status == MessageState::Failed {
            let reason = message.last_error.as_deref().and_then(|text| text.split([' ', ':']).next());
            *failures.entry(reason.unwrap_or("unknown").to_owned()).or_default() += 1;
        }
    }
    let open = newest.iter().filter(|message| !state(message, steps.now).is_final()).count() as u64;
    let mut failures: Vec<_> = failures.into_iter().collect();
    failures.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Ok(Overview {
        period: steps.period,
        at: steps.now,
        newest_only: cut.then_some(NEWEST),
        messages_last_24h: within(1),
        messages_last_7d: within(7),
        messages_last_30d: within(30),
        delivery_rate: rate(&by_status),
        messages_by_status: named(&by_status),
        time_to_deliver: time_to_deliver(&bands.into_iter().collect::<Vec<_>>()),
        failures: commonest(failures),
        points,
        waiting: Waiting { messages: open, oldest_due_seconds: None },
    })
}

/// What nothing waits for is stored as delivered at a later time, and is queued until then.
fn state(message: &ShortMessage, now: Timestamp) -> MessageState {
    let scheduled = message.status == MessageState::Delivered && message.delivered_at.is_some_and(|at| at > now);
    if scheduled { MessageState::Queued } else { message.status }
}

fn named(by_status: &BTreeMap<MessageState, u64>) -> BTreeMap<String, u64> {
    let count = |state: &MessageState| by_status.get(state).copied().unwrap_or(0);
    MessageState::ALL.iter().map(|state| (state.as_str().to_owned(), count(state))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "beyond 2^52 a share of one hardly matters")]
fn rate(by_status: &BTreeMap<MessageState, u64>) -> Option<f64> {
    let count = |state| by_status.get(&state).copied().unwrap_or(0);
    let delivered = count(MessageState::Delivered);
    let all = delivered + count(MessageState::Failed) + count(MessageState::Expired);
    (all > 0).then(|| delivered as f64 / all as f64)
}

fn time_to_deliver(bands: &[(Band, u64)]) -> Option<TimeToDeliver> {
    let ms = |share| percentile(bands, share).map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    Some(TimeToDeliver { p50_ms: ms(0.5)?, p95_ms: ms(0.95)? })
}

/// The first reasons by name, the others as one.
fn commonest(failures: Vec<(String, u64)>) -> Vec<FailureCount> {
    let rest: u64 = failures.iter().skip(REASONS).map(|(_, count)| count).sum();
    let named = failures.into_iter().take(REASONS).map(|(reason, count)| FailureCount { reason, count });
    let other = (rest > 0).then(|| FailureCount { reason: "other".to_owned(), count: rest });
    named.chain(other).collect()
}
