//! What is on its way, and who carries it: journals, the queue, lanes to destinations, workers.

use askama::Template;
use mb_api::dto::worker::QueueKind;
use mb_api::dto::{DestinationLanes, Lane, QueueReport, WorkerRow, WorkerState};
use mb_core::{DestinationState, Timestamp};

use crate::person::Admin;
use crate::respond::page;
use crate::shell::{Section, Shell};
use crate::stop::Answer;
use crate::view::{grouped, lasted};

/// Counted so far and no further.
const COUNTED: u64 = 1000;

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage {
    shell: Shell,
    report: QueueReport,
    workers: Vec<WorkerRow>,
    now: Timestamp,
}

impl QueuePage {
    fn set_aside(&self) -> u64 {
        let aside = self.report.set_aside;
        aside.damaged + aside.stale + aside.refused
    }

    /// For how long the oldest message has waited.
    fn oldest(&self) -> Option<String> {
        self.report.oldest_at.map(|at| lasted(self.now.since(at)))
    }
}

pub(crate) async fn get(Admin(person): Admin) -> Answer {
    let (report, workers) = tokio::try_join!(person.client.queue(), person.client.workers())?;
    let now = person.now;
    page(&QueuePage { shell: person.shell(Section::Queue), report, workers: workers.data, now })
}

/// How a worker stands: the badge's tone and word.
const fn standing(state: WorkerState) -> (&'static str, &'static str) {
    match state {
        WorkerState::Healthy => ("delivered", "works"),
        WorkerState::Failing => ("failed", "failing"),
        WorkerState::Away => ("cancelled", "away"),
    }
}

/// How a destination stands: the badge's tone.
const fn tone(state: DestinationState) -> &'static str {
    match state {
        DestinationState::Enabled => "delivered",
        DestinationState::Paused => "warning",
        DestinationState::Disabled => "cancelled",
    }
}

/// What carries the queue.
const fn kind(backend: QueueKind) -> &'static str {
    match backend {
        QueueKind::Embedded => "embedded",
        QueueKind::Redis => "Redis",
    }
}

/// How many wait in a lane, as far as they were counted.
fn waiting(lane: &Lane) -> String {
    let more = if lane.waiting >= COUNTED { "+" } else { "" };
    format!("{}{more}", grouped(&lane.waiting))
}

/// For how long the first of both lanes has been due.
fn overdue(row: &DestinationLanes, now: Timestamp) -> Option<String> {
    let due = row.fresh.due_at.into_iter().chain(row.tried.due_at).min().filter(|at| *at < now)?;
    Some(lasted(now.since(due)))
}

/// For how long something has failed.
fn failing(seconds: u64) -> String {
    lasted(std::time::Duration::from_secs(seconds))
}
