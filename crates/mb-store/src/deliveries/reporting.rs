//! Reporting: what was tried is kept, and what follows from it is done, in one transaction for a whole batch.
//!
//! A worker's attempt is kept once, whatever lease it was made under. It decides about its delivery if its lease still holds
//! it; without the lease only a success does, and only while the delivery is open: it was taken, whoever holds it now. A
//! consumer is believed of what it holds alone: what it says of anything else changes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use mb_core::delivery::{Decision, Outcome, Tried};
use mb_core::{
    AttemptClass, AttemptId, DeliveryState, DestinationId, DestinationState, LeaseId, MessageId, NoticeKind,
    NoticeLevel, Timestamp,
};
use serde_json::json;

use super::expunging;
use super::finishing::{self, Change, Delivery};
use super::holding::{self, Held, by_lease};
use crate::Store;
use crate::backend::Transaction;
use crate::bulk::Bulk;
use crate::counters::Instance;
use crate::destinations::{self, DestinationChange, DestinationRow};
use crate::error::StoreError;
use crate::messages::{self, id_values, with_ids};
use crate::notices::{self, NewNotice};
use crate::retrying::retrying;
use crate::statement::Dialects;
use crate::value::Value;

/// How long what was given back rests. Whoever gives something back again and again is not given it again at once.
const REST: Duration = Duration::from_secs(1);
/// The longest text that is kept of what went wrong.
const MAX_DETAIL: usize = 500;

/// An attempt that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttemptReport {
    /// Its id.
    pub attempt: AttemptId,
    /// The message.
    pub message: MessageId,
    /// Where to.
    pub destination: DestinationId,
    /// The lease that it was made under.
    pub lease: LeaseId,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// How it ended.
    pub class: AttemptClass,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What the receiver asked for.
    pub retry_after: Option<Duration>,
    /// What went wrong, in words.
    pub detail: Option<String>,
    /// What was answered, sealed.
    pub answer: Option<Vec<u8>>,
}

/// Who reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reporter {
    /// A worker, or the main server itself.
    Worker,
    /// A consumer of a pull destination.
    Consumer,
}

/// What is reported at once.
#[derive(Clone, Debug)]
pub struct Reports<'a> {
    /// Attempts, in the order in which they ended.
    pub attempts: &'a [AttemptReport],
    /// Deliveries that are given back untried.
    pub released: &'a [Held],
    /// Deliveries that are given back untried because their time is over.
    pub expired: &'a [Held],
    /// Who reports.
    pub by: Reporter,
    /// Its name, in leases, too.
    pub worker: &'a str,
    /// Under whose name to count.
    pub instance: &'a Instance,
    /// A random factor from 0 to 1 for each attempt.
    pub jitter: &'a [f64],
}

impl Reports<'_> {
    fn are_believed(&self, report: &AttemptReport, delivery: &Delivery) -> bool {
        match self.by {
            Reporter::Worker => true,
            Reporter::Consumer => {
                delivery.lease == Some(report.lease) && delivery.holder.as_deref() == Some(self.worker)
            }
        }
    }
}

/// What came of a report.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reported {
    /// Destinations that were disabled by it, with the reason.
    pub disabled: Vec<(DestinationRow, &'static str)>,
    /// Breakers that went another way.
    pub turned: Vec<DestinationRow>,
    /// Whether something may be leased sooner than it looked before.
    pub wakes: bool,
    /// What was reported of that is not there, or that the consumer did not hold.
    pub refused: Vec<MessageId>,
}

static INSERT: LazyLock<Bulk<10>> = LazyLock::new(|| {
    Bulk::new(
        "attempts (message_id, attempt_id, destination_id, at, duration_us, class, status, detail, answer, worker)",
    )
});

pub(crate) const KNOWN: Dialects = Dialects {
    sqlite: with_ids!("SELECT message_id, attempt_id FROM ids CROSS JOIN attempts ON message_id = wanted"),
    mysql: "SELECT message_id, attempt_id FROM attempts WHERE message_id IN (?1)",
};

impl Store {
    /// Keeps attempts and does what follows from them.
    pub async fn report_attempts(&self, reports: &Reports<'_>) -> Result<Reported, StoreError> {
        retrying(move || self.report(reports)).await
    }

    async fn report(&self, reports: &Reports<'_>) -> Result<Reported, StoreError> {
        let mut tx = self.backend().begin().await?;
        let now = tx.now(self.clock()).await?;
        let mut reported = Reported { wakes: !reports.released.is_empty(), ..Reported::default() };
        for (lease, ids) in by_lease(reports.released) {
            holding::release(&mut tx, lease, &ids, now.plus(REST)).await?;
        }
        for (lease, ids) in by_lease(reports.expired) {
            holding::expire(&mut tx, lease, &ids, now.plus(REST)).await?;
        }
        if !reports.attempts.is_empty() {
            self.apply(&mut tx, reports, now, &mut reported).await?;
        }
        tx.commit().await?;
        Ok(reported)
    }

    async fn apply(
        &self,
        tx: &mut Transaction,
        reports: &Reports<'_>,
        now: Timestamp,
        reported: &mut Reported,
    ) -> Result<(), StoreError> {
        let ids = distinct(reports.attempts.iter().map(|report| report.message));
        let mut deliveries = finishing::deliveries_of(tx, &ids).await?;
        let known = known_attempts(tx, &ids).await?;
        let mut rows = HashMap::new();
        for id in distinct(reports.attempts.iter().map(|report| report.destination)) {
            if let Some(row) = destinations::ever(tx, id).await? {
                rows.insert(id, row);
            }
        }
        let before = rows.iter().map(|(id, row)| (*id, row.breaker.state(now))).collect::<HashMap<_, _>>();
        let (mut kept, mut seen) = (Vec::with_capacity(reports.attempts.len()), known);
        let mut changes = Vec::with_capacity(reports.attempts.len());
        let mut gone = HashSet::new();
        for (report, jitter) in
            reports.attempts.iter().zip(reports.jitter.iter().copied().chain(std::iter::repeat(0.0)))
        {
            // One that is known was counted; one for what is not there can be neither kept nor counted.
            if seen.contains(&(report.message, report.attempt)) {
                continue;
            }
            let delivery = deliveries.get_mut(&(report.message, report.destination));
            let delivery = delivery.filter(|delivery| reports.are_believed(report, delivery));
            let (Some(delivery), Some(row)) = (delivery, rows.get_mut(&report.destination)) else {
                reported.refused.push(report.message);
                continue;
            };
            seen.insert((report.message, report.attempt));
            kept.push(report);
            row.breaker.record(report.class.signal(), now);
            if report.class == AttemptClass::Gone {
                gone.insert(report.destination);
            }
            let change = decide(report, delivery, row, now, jitter);
            reported.wakes |= matches!(change.to, Some((DeliveryState::Open, _)));
            change.apply_to(delivery);
            changes.push(change);
        }
        let emptied = emptied(tx, &kept).await?;
        insert(tx, &kept, &emptied, reports.worker).await?;
        finishing::apply(tx, &changes, &deliveries, reports.instance, now).await?;
        for (id, mut row) in rows.into_iter().collect::<BTreeMap<_, _>>() {
            destinations::keep_breaker(tx, id, &row.breaker).await?;
            let reason =
                if gone.contains(&id) { Some("gone") } else { row.breaker.is_hopeless(now).then_some("failing") };
            if let Some(reason) = reason.filter(|_| row.route.state != DestinationState::Disabled) {
                let change = DestinationChange::State(DestinationState::Disabled, Some(reason));
                destinations::change::apply(tx, self, &row, &change, "system:delivery").await?;
                notices::raise(tx, &told_of(&row, reason), self.now()).await?;
                row.route.state = DestinationState::Disabled;
                reported.disabled.push((row, reason));
            } else if before.get(&id) != Some(&row.breaker.state(now)) {
                reported.turned.push(row);
            }
        }
        Ok(())
    }
}

/// What people are told of a destination that was disabled.
fn told_of(row: &DestinationRow, reason: &str) -> NewNotice {
    NewNotice {
        kind: NoticeKind::DestinationDisabled,
        key: format!("{}/{}", row.route.domain, row.route.name),
        level: NoticeLevel::Error,
        detail: json!({ "id": row.route.id, "reason": reason, "failing_since": row.breaker.failing_since() }),
    }
}

/// What an attempt does to its delivery; a delivery that is final stays so.
fn decide(
    report: &AttemptReport,
    delivery: &Delivery,
    destination: &DestinationRow,
    now: Timestamp,
    jitter: f64,
) -> Change {
    let mut change = Change {
        message: report.message,
        destination: report.destination,
        tried: true,
        error: (report.class != AttemptClass::Taken).then(|| said(report)),
        to: None,
    };
    let holds = delivery.lease == Some(report.lease);
    let taken = report.class.outcome() == Outcome::Delivered;
    if delivery.state.is_final() || !(holds || taken) {
        return change;
    }
    let tried = Tried { class: report.class, number: delivery.attempts + 1, retry_after: report.retry_after };
    change.to = Some(match tried.decide(&destination.settings.retry, now, jitter) {
        Decision::Done => (DeliveryState::Delivered, None),
        Decision::RetryAt(at) => (DeliveryState::Open, Some(at)),
        Decision::DeadLetter(_) => (DeliveryState::Dead, None),
    });
    change
}

/// What went wrong, as it is shown: the class, the status if there was one, and what else is known.
fn said(report: &AttemptReport) -> String {
    let mut text = report.class.as_str().to_owned();
    if let Some(status) = report.status {
        text.push(' ');
        text.push_str(&status.to_string());
    }
    if let Some(detail) = &report.detail {
        text.push_str(": ");
        text.extend(detail.chars().take(MAX_DETAIL));
    }
    text
}

/// The messages among them that were expunged meanwhile: what was answered is often what was sent.
async fn emptied(tx: &mut Transaction, kept: &[&AttemptReport]) -> Result<HashSet<MessageId>, StoreError> {
    let answered = kept.iter().filter(|report| report.answer.is_some()).map(|report| report.message);
    expunging::among(tx, &distinct(answered)).await
}

async fn insert(
    tx: &mut Transaction,
    reports: &[&AttemptReport],
    emptied: &HashSet<MessageId>,
    worker: &str,
) -> Result<(), StoreError> {
    let rows = reports.iter().map(|report| {
        [
            Value::Blob(report.message.as_bytes()),
            Value::Blob(report.attempt.as_bytes()),
            Value::Int(report.destination.get()),
            Value::Time(report.at),
            Value::unsigned(u64::try_from(report.duration.as_micros()).unwrap_or(u64::MAX)),
            Value::Text(report.class.as_str()),
            Value::int(report.status.map(i64::from)),
            Value::text(report.detail.as_deref()),
            Value::blob(report.answer.as_deref().filter(|_| !emptied.contains(&report.message))),
            Value::Text(worker),
        ]
    });
    INSERT.insert(tx, &rows.collect::<Vec<_>>()).await
}

async fn known_attempts(
    tx: &mut Transaction,
    ids: &[MessageId],
) -> Result<HashSet<(MessageId, AttemptId)>, StoreError> {
    let mut known = HashSet::new();
    for chunk in ids.chunks(messages::IDS_PER_STATEMENT) {
        for row in tx.fetch(KNOWN, id_values(chunk)).await? {
            known.insert((row.message_id(0)?, AttemptId::from_bytes(row.array(1)?)));
        }
    }
    Ok(known)
}

fn distinct<T: Copy + Eq + std::hash::Hash>(these: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    these.filter(|this| seen.insert(*this)).collect()
}
