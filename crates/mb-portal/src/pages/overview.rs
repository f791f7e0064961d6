//! The first page: how things are, over time, and the newest messages. It is brought up to date while it is looked at.

use std::time::Duration;

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::State;
use mb_api::Query;
use mb_api::dto::{MessageQuery, MessageRow, Overview, OverviewPeriod, OverviewQuery};
use mb_core::MessageState;
use tokio::time::{Instant, sleep};

use crate::Portal;
use crate::chart::Chart;
use crate::field::spoken;
use crate::live::{self, Say};
use crate::person::{Person, Watcher};
use crate::respond::page;
use crate::shell::{Section, Shell};
use crate::stop::{Answer, Stop};
use crate::view::{grouped, percent, span};

/// How many messages are shown.
const LATEST: u32 = 10;
/// How often the figures are read again.
const REFRESH: Duration = Duration::from_secs(5);
/// After so long the browser asks anew.
const LONGEST: Duration = Duration::from_mins(10);

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    shell: Shell,
    period: OverviewPeriod,
    /// `None`: there is no client whose messages could be here.
    figures: Option<Figures>,
}

impl OverviewPage {
    /// The tabs: word, label, whether it is this one.
    fn periods(&self) -> [(&'static str, &'static str, bool); 3] {
        OverviewPeriod::ALL.map(|period| (period.as_str(), called(period), period == self.period))
    }
}

/// The part that changes.
#[derive(Template)]
#[template(path = "overview_figures.html")]
struct Figures {
    shell: Shell,
    admin: bool,
    overview: Overview,
    chart: Chart,
    shares: Vec<Share>,
    latest: Vec<MessageRow>,
    may_send: bool,
}

impl HtmlSafe for Figures {}

impl Figures {
    /// How long the delivery has been due that waits longest, if one does.
    fn oldest(&self) -> Option<String> {
        let seconds = self.overview.waiting.oldest_due_seconds.filter(|seconds| *seconds > 0)?;
        Some(span(&seconds.saturating_mul(1000)))
    }

    /// Of how many messages the figures are, if not of all.
    fn newest_only(&self) -> Option<String> {
        self.overview.newest_only.map(|newest| grouped(&newest.into()))
    }
}

/// Messages of one state.
struct Share {
    state: MessageState,
    count: u64,
    /// Of all messages, in hundredths.
    percent: u64,
}

#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
pub(crate) struct Period {
    #[serde(default)]
    period: Option<OverviewPeriod>,
}

pub(crate) async fn get(person: Person, Query(query): Query<Period>) -> Answer {
    let period = query.period.unwrap_or_default();
    let bound = person.is_admin() || person.profile().client_id.is_some();
    let sees = bound && person.shell(Section::Overview).sees_messages();
    let figures = if sees { Some(figures(&person, period).await?) } else { None };
    page(&OverviewPage { shell: person.shell(Section::Overview), period, figures })
}

/// The figures, again and again.
pub(crate) async fn stream(
    State(portal): State<Portal>,
    person: Result<Watcher, Stop>,
    Query(query): Query<Period>,
) -> Answer {
    let person = match person {
        Ok(Watcher(person)) => person,
        Err(Stop::SignIn { .. }) => return Ok(live::once(Say::signed_out("/"), portal.stopping)),
        Err(error) => return Err(error),
    };
    let watching = Watching {
        person,
        period: query.period.unwrap_or_default(),
        last: String::new(),
        until: Instant::now() + LONGEST,
    };
    Ok(live::respond(watching, portal.stopping, Watching::next))
}

struct Watching {
    person: Person,
    period: OverviewPeriod,
    last: String,
    until: Instant,
}

impl Watching {
    async fn next(mut self) -> (Say, Self) {
        if !self.last.is_empty() {
            sleep(REFRESH).await;
        }
        if Instant::now() >= self.until {
            return (Say::End, self);
        }
        let say = match figures(&self.person, self.period).await.map(|figures| figures.render()) {
            Ok(Ok(part)) if part != self.last => Say::Part(part),
            Err(Stop::SignIn { .. }) => Say::signed_out("/"),
            // What is shown stands, with its time, until the main server is back.
            _ => Say::Nothing,
        };
        if let Say::Part(part) = &say {
            self.last.clone_from(part);
        }
        (say, self)
    }
}

async fn figures(person: &Person, period: OverviewPeriod) -> Result<Figures, Stop> {
    let overview = person.client.overview(&OverviewQuery { period: Some(period), domain: None }).await?;
    let query = MessageQuery { limit: Some(LATEST), ..MessageQuery::default() };
    let latest = person.client.messages(&query).await?.data;
    let total: u64 = overview.messages_by_status.values().sum();
    let share = |state: MessageState| {
        let count = overview.messages_by_status.get(state.as_str()).copied().unwrap_or_default();
        Share { state, count, percent: count.saturating_mul(100).div_ceil(total.max(1)).min(100) }
    };
    Ok(Figures {
        shell: person.shell(Section::Overview),
        admin: person.is_admin(),
        chart: Chart::new(&overview, &person.zone()),
        shares: MessageState::ALL.into_iter().map(share).filter(|share| share.state != MessageState::Queued).collect(),
        latest,
        overview,
        may_send: person.may_send(),
    })
}

/// A period as the tabs call it.
const fn called(period: OverviewPeriod) -> &'static str {
    match period {
        OverviewPeriod::Day => "24 hours",
        OverviewPeriod::Week => "7 days",
        OverviewPeriod::Month => "30 days",
    }
}
