//! The first page: how things are for those who run the broker, the last messages for everybody else.

use askama::Template;
use mb_api::Query;
use mb_api::dto::{MessageQuery, MessageRow, Stats, StatsPeriod, StatsQuery};
use mb_core::MessageState;

use crate::person::Person;
use crate::respond::page;
use crate::shell::{Section, Shell};
use crate::stop::Answer;
use crate::view::grouped;

/// How many messages are shown.
const LATEST: u32 = 10;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    shell: Shell,
    figures: Option<Figures>,
    latest: Vec<MessageRow>,
    admin: bool,
    /// Whether there is a client whose messages could be here.
    bound: bool,
}

/// The figures of an admin's overview.
struct Figures {
    stats: Stats,
    periods: Vec<(StatsPeriod, &'static str, &'static str)>,
    shares: Vec<Share>,
}

/// Messages of one state.
struct Share {
    state: MessageState,
    count: u64,
    /// Of all messages, in hundredths.
    percent: u64,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
pub(crate) struct Period {
    #[serde(default)]
    period: Option<StatsPeriod>,
}

pub(crate) async fn get(person: Person, Query(query): Query<Period>) -> Answer {
    let admin = person.is_admin();
    let figures = if admin { Some(figures(&person, query.period.unwrap_or(StatsPeriod::Day)).await?) } else { None };
    let bound = admin || person.profile().client_id.is_some();
    let query = MessageQuery { limit: Some(LATEST), ..MessageQuery::default() };
    let latest = if bound { person.client.messages(&query).await?.data } else { Vec::new() };
    page(&OverviewPage { shell: person.shell(Section::Overview), figures, latest, admin, bound })
}

async fn figures(person: &Person, period: StatsPeriod) -> Result<Figures, crate::stop::Stop> {
    let stats = person.client.stats(&StatsQuery { period: Some(period), domain: None }).await?;
    let share = |state: MessageState| {
        let count = stats.messages_by_status.get(state.as_str()).copied().unwrap_or_default();
        Share { state, count, percent: (count.saturating_mul(100)).div_ceil(stats.total_messages.max(1)).min(100) }
    };
    let shares = MessageState::ALL.into_iter().map(share).collect();
    let periods = vec![
        (StatsPeriod::Day, "24h", "24 hours"),
        (StatsPeriod::Week, "7d", "7 days"),
        (StatsPeriod::Month, "30d", "30 days"),
        (StatsPeriod::All, "all", "All time"),
    ];
    Ok(Figures { stats, periods, shares })
}
