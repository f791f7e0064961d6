//! Checking the audit log, one bounded stretch at a time: rows against the chain, checkpoints against both.
//!
//! A row is judged by the hash that it claims to follow, so that one changed row is one fault and not one for every row
//! behind it. What the chain alone cannot show - all of it made anew, or its end cut off - a checkpoint shows, and
//! [`Ending`] where the checkpoints are gone too.

use std::collections::HashMap;

use mb_api::cursor::{Cursor, List};
use mb_api::dto::{AuditFault, AuditFaultKind, AuditReport};
use mb_api::problem::ApiError;
use mb_core::Timestamp;
use mb_crypto::audit::{ChainKey, Checkpoint, Start, verify_checkpoint};
use mb_crypto::{TrustAnchors, pem};
use mb_store::{AuditCheckpoint, ChainedEntry, StoreError};

use super::ending::Ending;
use super::{at, missing, start};
use crate::app::App;
use crate::routes::store_fault;

/// Rows of one stretch.
const ROWS: u32 = 5000;
/// Checkpoints of one stretch; each costs the check of a signature.
const CHECKPOINTS: u32 = 500;
/// Faults that are told.
const FAULTS: usize = 100;

/// Where a stretch begins: behind a place of the chain and behind a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    position: u64,
    checkpoint: i64,
}

impl Place {
    pub(crate) const START: Self = Self { position: 0, checkpoint: 0 };

    /// Reads [`Place::cursor`].
    pub(crate) fn from_cursor(cursor: Cursor) -> Self {
        let both = u128::from_be_bytes(cursor.id);
        let half = |bits: u128| i64::try_from(bits & u128::from(u64::MAX)).unwrap_or(i64::MAX);
        Self { position: half(both >> 64).unsigned_abs(), checkpoint: half(both) }
    }

    fn cursor(self) -> Cursor {
        let both = u128::from(self.position) << 64 | u128::from(self.checkpoint.unsigned_abs());
        Cursor { at: Timestamp::default(), id: both.to_be_bytes() }
    }
}

/// What the check of a stretch found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) faults: Vec<AuditFault>,
    rows: u64,
    checkpoints: u64,
    last_position: Option<u64>,
    signed_position: Option<u64>,
    unchained: u64,
    pub(crate) next: Option<Place>,
}

impl Found {
    pub(crate) fn report(self) -> AuditReport {
        AuditReport {
            intact: self.faults.is_empty(),
            rows: self.rows,
            checkpoints: self.checkpoints,
            last_position: self.last_position,
            signed_position: self.signed_position,
            unchained: self.unchained,
            faults: self.faults,
            next: self.next.map(|place| place.cursor().encode(List::AuditCheck)),
        }
    }

    fn fault(&mut self, kind: AuditFaultKind, position: u64, detail: impl Into<String>) {
        if self.faults.len() < FAULTS {
            self.faults.push(AuditFault { kind, position, detail: detail.into() });
        }
    }
}

/// Checks the stretch behind `place`.
pub(crate) async fn stretch(app: &App, place: Place) -> Result<Found, ApiError> {
    let anchors = app.keys.anchors();
    let stretch = Stretch::read(app, place).await.map_err(store_fault)?;
    let key = app.audit.key.clone();
    // Thousands of hashes and hundreds of signatures: not on a thread that serves requests.
    let checking = tokio::task::spawn_blocking(move || stretch.check(&key, &anchors));
    checking.await.map_err(ApiError::internal)
}

/// Whether a main server of this installation signed this checkpoint.
pub(super) fn is_genuine(kept: &AuditCheckpoint, anchors: &TrustAnchors) -> bool {
    let signed = Checkpoint { at: kept.at, last_id: kept.audit_id, hash: kept.hash };
    pem::certificates(&kept.certificate_pem).is_ok_and(|chain| {
        chain.first().is_some_and(|leaf| verify_checkpoint(&signed, leaf, &kept.signature, anchors).is_ok())
    })
}

/// What is read before anything is checked.
struct Stretch {
    /// Where the log begins, and whether the checkpoint is missed that signs it.
    start: Start,
    is_unsigned: bool,
    place: Place,
    /// The row at the place itself.
    before: Option<ChainedEntry>,
    rows: Vec<ChainedEntry>,
    /// Those that this stretch checks, with their ids, and the rows at their places that are not among `rows`.
    checkpoints: Vec<(i64, AuditCheckpoint)>,
    others: HashMap<u64, ChainedEntry>,
    ending: Ending,
    next: Option<Place>,
}

impl Stretch {
    async fn read(app: &App, place: Place) -> Result<Self, StoreError> {
        let kept = app.audit.head.as_ref().map(|file| file.read(&app.audit.key));
        let store = &app.store;
        let start = start::read(app).await?.start;
        let is_first = place == Place::START && start.position > 0;
        let is_unsigned = is_first && {
            let first = store.old_checkpoints(start.position - 1, Timestamp::from_micros(i64::MAX), 1).await?;
            first.first().is_none_or(|checkpoint| checkpoint.position != start.position)
        };
        // What lies before it goes soon.
        let place = Place { position: place.position.max(start.position), ..place };
        let before = if place.position == start.position { None } else { at(store, place.position).await? };
        let rows = store.audit_chain(place.position, ROWS).await?;
        let whole = rows.len() < ROWS as usize;
        let end = rows.last().map_or(place.position, |row| row.position);
        let mut checkpoints = store.checkpoints(place.checkpoint, CHECKPOINTS).await?;
        let mut more = checkpoints.len() == CHECKPOINTS as usize;
        if !whole && let Some(later) = checkpoints.iter().position(|(_, checkpoint)| checkpoint.position > end) {
            checkpoints.truncate(later);
            more = false;
        }
        let mut others = HashMap::new();
        for (_, AuditCheckpoint { position, .. }) in &checkpoints {
            if (*position <= place.position || *position > end)
                && let Some(row) = at(store, *position).await?
            {
                others.insert(*position, row);
            }
        }
        let next = (!whole || more)
            .then(|| Place { position: end, checkpoint: checkpoints.last().map_or(place.checkpoint, |(id, _)| *id) });
        let ending = if next.is_none() { Ending::read(app, kept).await? } else { Ending::default() };
        Ok(Self { start, is_unsigned, place, before, rows, checkpoints, others, ending, next })
    }

    fn check(self, key: &ChainKey, anchors: &TrustAnchors) -> Found {
        let mut found = Found { unchained: self.ending.unchained, next: self.next, ..Found::default() };
        if self.is_unsigned {
            let detail = "the checkpoint that signs where the log begins is gone";
            found.fault(AuditFaultKind::Missing, self.start.position, detail);
        }
        self.check_rows(key, &mut found);
        for (_, checkpoint) in &self.checkpoints {
            self.check_checkpoint(checkpoint, anchors, &mut found);
        }
        for AuditFault { kind, position, detail } in self.ending.faults {
            found.fault(kind, position, detail);
        }
        found
    }

    fn check_rows(&self, key: &ChainKey, found: &mut Found) {
        let mut position = self.place.position;
        let is_first = position == self.start.position;
        let mut hash = if is_first { Some(self.start.hash) } else { self.before.as_ref().map(|row| row.hash) };
        for row in &self.rows {
            if row.position != position + 1 {
                let detail = format!("places {} to {} have no row", position + 1, row.position - 1);
                found.fault(AuditFaultKind::Missing, position + 1, detail);
                hash = None;
            }
            if hash.is_some_and(|hash| hash != row.prev_hash) {
                let detail = "the row names another hash before it than the one that is there";
                found.fault(AuditFaultKind::Broken, row.position, detail);
            }
            if key.link(&row.prev_hash, &row.entry.record()) != row.hash {
                let detail = format!("row {} is not what it was when it was chained", row.entry.id);
                found.fault(AuditFaultKind::Changed, row.position, detail);
            }
            if let Some((kind, detail)) = missing::fault(&row.entry) {
                found.fault(kind, row.position, detail);
            }
            found.rows += 1;
            (position, hash) = (row.position, Some(row.hash));
        }
        found.last_position = self.rows.last().map(|row| row.position);
    }

    fn check_checkpoint(&self, kept: &AuditCheckpoint, anchors: &TrustAnchors, found: &mut Found) {
        if kept.position < self.start.position {
            return;
        }
        found.checkpoints += 1;
        if !is_genuine(kept, anchors) {
            let detail = "no main server of this installation signed this checkpoint";
            return found.fault(AuditFaultKind::BadSignature, kept.position, detail);
        }
        let cut = (self.start.position > 0 && kept.position == self.start.position)
            .then_some((self.start.audit_id, self.start.hash));
        match cut.or_else(|| self.row(kept.position).map(|row| (row.entry.id, row.hash))) {
            None => {
                let detail = format!("a checkpoint signs row {} here, which is gone", kept.audit_id);
                found.fault(AuditFaultKind::Missing, kept.position, detail);
            }
            Some(row) if row != (kept.audit_id, kept.hash) => {
                let detail = format!("a checkpoint signs row {} here with another hash", kept.audit_id);
                found.fault(AuditFaultKind::BadCheckpoint, kept.position, detail);
            }
            Some(_) => found.signed_position = found.signed_position.max(Some(kept.position)),
        }
    }

    fn row(&self, position: u64) -> Option<&ChainedEntry> {
        let found = self.rows.binary_search_by_key(&position, |row| row.position);
        found.ok().and_then(|index| self.rows.get(index)).or_else(|| self.others.get(&position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_travel_as_cursors() {
        for place in [Place::START, Place { position: 7, checkpoint: 9 }, Place { position: 1 << 40, checkpoint: 0 }] {
            assert_eq!(Place::from_cursor(place.cursor()), place);
        }
        let foreign = Place::from_cursor(Cursor { at: Timestamp::default(), id: [0xff; 16] });
        assert_eq!(foreign, Place { position: i64::MAX.unsigned_abs(), checkpoint: i64::MAX });
    }
}
