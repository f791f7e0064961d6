//! Cutting the audit log's oldest rows off, and keeping what is left verifiable.
//!
//! The cut is made at a checkpoint, whose signature goes on to prove the hash that the first row left follows. The log's new
//! beginning is written down first, under the chain's key; the rows before it go afterwards, in steps. So it may be broken
//! off anywhere. What does not verify is not cut off: it is evidence. When a checkpoint was made is believed because it is
//! signed, and only as far as the rows say the same: who can write to the database must not age what he wants to be gone.

use mb_core::Timestamp;
use mb_crypto::audit::Start;
use mb_store::{AuditCheckpoint, Removal, StoreError};
use serde_json::json;

use super::start::{self, Beginning};
use super::verify::is_genuine;
use crate::app::App;
use crate::notices;

/// Rows that are removed in one transaction.
const STEP: u32 = 200;
/// Rows that are checked at once.
const ROWS: u32 = 500;
/// Rows between two cuts, unless a single checkpoint covers more: each cut is a row of the log itself.
const CUT: u64 = 5000;
/// Checkpoints that are looked through for a cut.
const CHECKPOINTS: u32 = 500;

/// What a step has done: rows that went or would go, and whether there may be more.
pub(crate) type Pruned = (u64, bool);

/// Removes some rows that were signed before then; or counts all of them.
pub(crate) async fn step(app: &App, before: Timestamp, removal: Removal, actor: &str) -> Result<Pruned, StoreError> {
    let beginning = start::read(app).await?;
    if beginning.is_broken {
        mb_runtime::logging::limited("audit start", || {
            tracing::error!("the audit log's beginning is not genuine, nothing of it is removed");
        });
        return Ok((0, false));
    }
    if removal == Removal::Count {
        let last = cuts(app, &beginning.start, before, u64::MAX).await?;
        return Ok((last.map_or(0, |cut| cut.position - beginning.start.position), false));
    }
    let gone = match beginning.start.position {
        0 => 0,
        position => app.store.prune_audit(position, STEP).await?,
    };
    if gone > 0 {
        return Ok((gone, true));
    }
    let Some(cut) = cuts(app, &beginning.start, before, CUT).await? else { return Ok((0, false)) };
    if !is_genuine(&cut, &app.keys.anchors()) {
        return kept(app, &cut).await;
    }
    match verified(app, &beginning.start, &cut).await? {
        None => kept(app, &cut).await,
        // Clocks differ: what is old by the signature alone is so by its own time soon.
        Some(at) if at >= before => Ok((0, false)),
        Some(_) => Ok((0, cut_at(app, &beginning, &cut, actor).await?)),
    }
}

/// Whether something was signed so long ago that it is to go.
pub(crate) async fn is_due(app: &App, before: Timestamp) -> Result<bool, StoreError> {
    let beginning = start::read(app).await?;
    Ok(!beginning.is_broken && cuts(app, &beginning.start, before, 1).await?.is_some())
}

/// Whether nothing is left of what was cut off.
pub(crate) async fn is_clean(app: &App) -> Result<bool, StoreError> {
    let position = start::read(app).await?.start.position;
    let first = app.store.audit_chain(0, 1).await?.pop();
    Ok(first.is_none_or(|row| row.position > position))
}

/// The last checkpoint to cut at that leaves `most` rows or fewer behind it, or the first of all. The last row is never cut
/// off: the chain goes on behind it.
async fn cuts(app: &App, start: &Start, before: Timestamp, most: u64) -> Result<Option<AuditCheckpoint>, StoreError> {
    let end = app.store.audit_head().await?.position;
    let (mut found, mut behind) = (None, start.position);
    loop {
        let old = app.store.old_checkpoints(behind, before, CHECKPOINTS).await?;
        let full = old.len() == CHECKPOINTS as usize;
        for checkpoint in old {
            let rows = checkpoint.position - start.position;
            if checkpoint.position >= end || (rows > most && found.is_some()) {
                return Ok(found);
            }
            behind = checkpoint.position;
            found = Some(checkpoint);
        }
        if !full {
            return Ok(found);
        }
    }
}

/// Tells that what is to go is kept.
async fn kept(app: &App, cut: &AuditCheckpoint) -> Result<Pruned, StoreError> {
    mb_runtime::logging::limited("audit start", || {
        tracing::error!(position = cut.position, "the oldest part of the audit log does not verify, it is kept");
    });
    notices::audit_kept(app, cut.position).await?;
    Ok((0, false))
}

/// Whether the log begins there from now on.
async fn cut_at(app: &App, from: &Beginning, cut: &AuditCheckpoint, actor: &str) -> Result<bool, StoreError> {
    let all = from.checkpoints(app).await?;
    let checkpoints = all - app.store.checkpoint_count(cut.position).await?;
    let (position, audit_id, hash) = (cut.position, cut.audit_id, cut.hash);
    let start = Start { position, audit_id, hash, checkpoints };
    let detail = json!({ "position": position, "rows": position - from.start.position, "signed_at": cut.at });
    let text = start.to_text(&app.audit.key);
    app.store.move_audit_start(from.text.as_deref(), text.as_bytes(), detail, actor).await
}

/// When the last row up to the cut was written, if all of them are those that were chained.
async fn verified(app: &App, start: &Start, cut: &AuditCheckpoint) -> Result<Option<Timestamp>, StoreError> {
    let (mut position, mut hash, mut at) = (start.position, start.hash, None);
    while position < cut.position {
        let rows = app.store.audit_chain(position, ROWS).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        for row in rows.into_iter().take_while(|row| row.position <= cut.position) {
            let linked = app.audit.key.link(&hash, &row.entry.record());
            if row.position != position + 1 || row.prev_hash != hash || row.hash != linked {
                return Ok(None);
            }
            (position, hash, at) = (row.position, row.hash, Some(row.entry.at));
        }
    }
    Ok(at.filter(|_| hash == cut.hash))
}
