//! `/admin/stats`: figures from counters that only count up; nothing here counts messages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use mb_api::dto::{Stats, StatsPeriod, StatsQuery};
use mb_api::problem::ApiError;
use mb_api::{Query, paths};
use mb_core::{MessageState, Timestamp};
use mb_store::CounterEvent;

use super::store_fault;
use crate::app::App;
use crate::caller::Caller;

#[utoipa::path(
    get, path = paths::STATS, tag = "stats", operation_id = "stats",
    summary = "Figures",
    params(StatsQuery),
    responses((status = 200, body = Stats)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn stats(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<StatsQuery>,
) -> Result<Json<Stats>, ApiError> {
    caller.admin()?;
    let (period, domain, now) = (query.period.unwrap_or_default(), query.domain.as_ref(), app.clock.now());
    // Hours are whole: the one that runs now counts, so the period ends with it.
    let end = now.plus(HOUR);
    let from = days(period).map_or(Timestamp::default(), |days| end.minus(days));
    let counts = app.store.event_counts(domain, from, end).await.map_err(store_fault)?;
    let messages = app.store.message_stats(domain).await.map_err(store_fault)?;
    let clients = app.store.client_counts(domain).await.map_err(store_fault)?;
    let of = |event| counts.get(&event).copied().unwrap_or(0);
    Ok(Json(Stats {
        period,
        at: now,
        total_messages: of(CounterEvent::Registered),
        messages_by_status: by_status(of),
        dead_lettered: of(CounterEvent::DeadLettered),
        messages_last_24h: messages.last_24h,
        messages_last_7d: messages.last_7d,
        messages_last_30d: messages.last_30d,
        total_clients: clients.total,
        active_clients: clients.active,
        suspended_clients: clients.suspended,
        archived_clients: clients.archived,
        revoked_clients: clients.revoked,
    }))
}

const HOUR: Duration = Duration::from_hours(1);

const fn days(period: StatsPeriod) -> Option<Duration> {
    match period {
        StatsPeriod::Day => Some(Duration::from_hours(24)),
        StatsPeriod::Week => Some(Duration::from_hours(7 * 24)),
        StatsPeriod::Month => Some(Duration::from_hours(30 * 24)),
        StatsPeriod::All => None,
    }
}

/// What came into each state. A message that became final in the period may have been registered before it, so what is
/// left in work is never less than nothing; a queued one is not in the store.
fn by_status(of: impl Fn(CounterEvent) -> u64) -> BTreeMap<String, u64> {
    let closed = [CounterEvent::Delivered, CounterEvent::Failed, CounterEvent::Expired, CounterEvent::Cancelled];
    let open = closed.into_iter().fold(of(CounterEvent::Registered), |left, event| left.saturating_sub(of(event)));
    let count = |state| match state {
        MessageState::Queued => 0,
        MessageState::Processing => open,
        MessageState::Delivered => of(CounterEvent::Delivered),
        MessageState::Failed => of(CounterEvent::Failed),
        MessageState::Expired => of(CounterEvent::Expired),
        MessageState::Cancelled => of(CounterEvent::Cancelled),
    };
    MessageState::ALL.into_iter().map(|state| (state.as_str().to_owned(), count(state))).collect()
}
