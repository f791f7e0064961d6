//! Checking where the audit log ends: against the head outside the database, and whether the end is chained and signed as
//! soon as it must be. What lies behind the last signature proves least, so it has to be short.

use std::time::Duration;

use mb_api::dto::{AuditFault, AuditFaultKind};
use mb_store::{AuditHead, StoreError};

use super::head::{Kept, lacks};
use super::verify::is_genuine;
use super::{at, start};
use crate::app::App;

/// Rows without a place that are counted.
const UNCHAINED: u32 = 1000;
/// How long a row stays without a place at most. It gets one within a second; clocks of main servers differ by more.
const CHAINED_WITHIN: Duration = Duration::from_secs(30);
/// How long a row stays unsigned at most.
const SIGNED_WITHIN: Duration = Duration::from_mins(2);
/// How many rows stay unsigned at most.
const SIGNED_ROWS: u64 = 2000;

/// How the log ends.
#[derive(Debug, Default)]
pub(super) struct Ending {
    pub(super) unchained: u64,
    pub(super) faults: Vec<AuditFault>,
}

impl Ending {
    /// `kept` was read before anything of the database, which therefore holds at least as much.
    pub(super) async fn read(app: &App, kept: Option<Kept>) -> Result<Self, StoreError> {
        let mut ending = Self::default();
        ending.check_kept(app, kept).await?;
        ending.check_signed(app).await?;
        ending.check_chained(app).await?;
        Ok(ending)
    }

    async fn check_kept(&mut self, app: &App, kept: Option<Kept>) -> Result<(), StoreError> {
        let beginning = start::read(app).await?;
        let checkpoints = beginning.checkpoints(app).await?;
        match kept {
            Some(Kept::Head(head)) => {
                if let Some(detail) = lacks(app, &head, &beginning, checkpoints).await? {
                    self.fault(AuditFaultKind::CutOff, head.position, detail);
                }
            }
            // Where the first checkpoint came meanwhile, so did the file, which comes before it.
            Some(Kept::Absent) if checkpoints > 0 && is_absent(app) => {
                self.fault(AuditFaultKind::NoHead, 0, "the log's head outside the database is gone");
            }
            Some(Kept::Unusable(error)) => {
                self.fault(AuditFaultKind::NoHead, 0, format!("the log's head outside the database: {error}"));
            }
            Some(Kept::Absent) | None => {}
        }
        Ok(())
    }

    async fn check_signed(&mut self, app: &App) -> Result<(), StoreError> {
        let signed = app.store.last_checkpoint().await?.map_or(0, |checkpoint| checkpoint.position);
        let AuditHead { position: end, .. } = app.store.audit_head().await?;
        let (Some(first), Some(last)) = (at(&app.store, signed + 1).await?, at(&app.store, end).await?) else {
            return Ok(());
        };
        let now = match app.audit.runs_since() {
            // What was left by one that died is signed by the next that leads.
            Some(since) if app.clock.now().since(since) < signed_within(app) => return Ok(()),
            Some(_) => app.clock.now(),
            None => last.entry.at,
        };
        if now.since(first.entry.at) > signed_within(app) || end.saturating_sub(signed) > SIGNED_ROWS {
            let detail = format!("rows {} to {end} should be signed by a checkpoint and are not", signed + 1);
            self.fault(AuditFaultKind::Unsigned, signed + 1, detail);
        }
        Ok(())
    }

    /// Every main server gives old rows a place, so one without is a fault whoever leads. Where none runs, the newest row
    /// says how late it was when the last one did.
    async fn check_chained(&mut self, app: &App) -> Result<(), StoreError> {
        let rows = app.store.unchained_audit(UNCHAINED).await?;
        self.unchained = rows.len() as u64;
        let now = match app.audit.runs_since() {
            Some(since) if app.clock.now().since(since) <= CHAINED_WITHIN => return Ok(()),
            Some(_) => app.clock.now(),
            None => app.store.audit_log(None, 1).await?.pop().map(|row| row.at).unwrap_or_default(),
        };
        if let Some(row) = rows.iter().find(|row| now.since(row.at) > CHAINED_WITHIN) {
            let detail = format!("row {} of {} should have a place in the chain and has none", row.id, row.at);
            self.fault(AuditFaultKind::Unchained, 0, detail);
        }
        Ok(())
    }

    fn fault(&mut self, kind: AuditFaultKind, position: u64, detail: impl Into<String>) {
        self.faults.push(AuditFault { kind, position, detail: detail.into() });
    }
}

/// How long a row stays unsigned at most, also if the one that leads dies.
fn signed_within(app: &App) -> Duration {
    SIGNED_WITHIN.max(app.lease * 2)
}

/// Whether rows wait for a checkpoint that whoever leads should have signed long ago, or the newest is nobody's of us.
pub(crate) async fn is_neglected(app: &App) -> Result<bool, StoreError> {
    let newest = app.store.last_checkpoint().await?;
    // Who can write to the database can write checkpoints too, and none that a main server has signed.
    if newest.as_ref().is_some_and(|checkpoint| !is_genuine(checkpoint, &app.keys.anchors())) {
        return Ok(true);
    }
    let signed = newest.map_or(0, |checkpoint| checkpoint.position);
    let first = at(&app.store, signed + 1).await?;
    Ok(first.is_some_and(|first| app.clock.now().since(first.entry.at) > signed_within(app)))
}

/// Whether there is still no file.
fn is_absent(app: &App) -> bool {
    app.audit.head.as_ref().is_some_and(|file| matches!(file.read(&app.audit.key), Kept::Absent))
}
