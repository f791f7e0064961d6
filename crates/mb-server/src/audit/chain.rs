//! Chaining the audit log: whoever leads gives every new row its place within a second, and signs where the chain ends.
//! Where it does not, because it has died, any other main server gives rows their places.
//!
//! Signing costs a row and a signature, so it is done for what a minute brought together, or for a thousand rows, and at
//! the end: what lies behind the newest checkpoint is chained, not yet signed.

use std::time::Duration;

use mb_core::{Secret, Timestamp, hex};
use mb_crypto::CryptoError;
use mb_crypto::audit::{Checkpoint, CheckpointSigner};
use mb_store::{AuditCheckpoint, AuditEntry, StoreError};

use super::at;
use super::head::Witness;
use super::missing::Missing;
use super::verify::is_genuine;
use crate::app::App;

/// Rows that are chained in one transaction.
const ROWS: u32 = 500;
/// How long a row is seen without a place before it is taken that nobody leads: twice as long as a leader takes.
const LEADER_MISSED: Duration = Duration::from_millis(500);
/// How long a chained row waits at most to be signed.
const SIGN_AFTER: Duration = Duration::from_mins(1);
/// How many rows wait at most.
const SIGN_ROWS: u64 = 1000;

/// Signs checkpoints: the main server's certificate with its key.
#[derive(Debug)]
pub struct Notary {
    signer: CheckpointSigner,
    certificate_pem: String,
    /// Of the newest checkpoint; `None` until it was looked for.
    last: Option<Signed>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Signed {
    at: Timestamp,
    position: u64,
}

/// Whether there is time to wait for more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Urgency {
    /// Sign once enough has come together.
    Collect,
    /// Sign what there is.
    Now,
}

/// Gives every row that has none its place. Another that does the same at once is noticed and left to it.
#[cfg(test)]
pub(crate) async fn extend(app: &App) -> Result<(), StoreError> {
    while link(app, &app.store.unchained_audit(ROWS).await?).await? {}
    Ok(())
}

/// Puts rows at the chain's end; whether there may be more.
async fn link(app: &App, rows: &[AuditEntry]) -> Result<bool, StoreError> {
    if rows.is_empty() {
        return Ok(false);
    }
    let head = app.store.audit_head().await?;
    let mut hash = head.hash;
    let links = rows.iter().map(|row| {
        hash = app.audit.key.link(&hash, &row.record());
        (row.id, hash)
    });
    let links = links.collect::<Vec<_>>();
    Ok(app.store.chain_audit(&head, &links).await? && rows.len() >= ROWS as usize)
}

/// Chains, signs, and takes down outside the database where the chain ends.
#[derive(Debug)]
pub(crate) struct Keeper {
    notary: Notary,
    witness: Witness,
    missing: Missing,
    /// The first row without a place, and since when it is seen.
    waits: Option<(i64, Timestamp)>,
}

impl Keeper {
    pub(crate) fn new(notary: Notary) -> Self {
        Self { notary, witness: Witness::default(), missing: Missing::default(), waits: None }
    }

    /// One pass, where this process leads.
    pub(crate) async fn keep(&mut self, app: &App, urgency: Urgency) -> Result<(), StoreError> {
        self.begin(app).await?;
        self.extend(app).await?;
        if self.witness.is_new() {
            // A checkpoint without the file beside it looks like a log whose end was cut off.
            self.witness.note(app).await?;
        }
        if self.notary.sign(app, urgency).await? {
            self.witness.count_anew();
        }
        self.end(app).await
    }

    /// One pass where another leads. It chains, and if it is dead, whoever is left does: signing can wait for the next
    /// leader, a place in the chain cannot.
    pub(crate) async fn follow(&mut self, app: &App) -> Result<(), StoreError> {
        self.begin(app).await?;
        self.notary.last = None;
        let now = app.clock.now();
        let first = app.store.unchained_audit(1).await?.pop().map(|row| row.id);
        self.waits = first.map(|id| self.waits.filter(|(seen, _)| *seen == id).unwrap_or((id, now)));
        if self.waits.is_some_and(|(_, since)| now.since(since) >= LEADER_MISSED) {
            self.extend(app).await?;
        }
        self.end(app).await
    }

    /// The last pass where another leads: that one may have ended too, so nothing is left to it.
    pub(crate) async fn leave(&mut self, app: &App) -> Result<(), StoreError> {
        self.begin(app).await?;
        self.extend(app).await?;
        self.end(app).await
    }

    async fn begin(&mut self, app: &App) -> Result<(), StoreError> {
        if let Some(notary) = app.audit.adopted() {
            self.notary = notary;
        }
        self.missing.compare(app).await?;
        self.witness.look(app).await
    }

    /// The rows that were just given a place are compared once more, and are safe from then on.
    async fn end(&mut self, app: &App) -> Result<(), StoreError> {
        self.missing.compare(app).await?;
        self.witness.note(app).await
    }

    async fn extend(&mut self, app: &App) -> Result<(), StoreError> {
        loop {
            let rows = app.store.unchained_audit(ROWS).await?;
            // What that records is to be chained as well.
            let recorded = self.missing.look_for_gaps(app, &rows).await?;
            if !link(app, &rows).await? && !recorded {
                return Ok(());
            }
        }
    }
}

impl Notary {
    /// Takes the main server's certificate and its key, PEM.
    ///
    /// # Errors
    /// [`CryptoError`] if a part is broken, they do not belong together, or it is no main server's.
    pub fn from_pem(certificate_pem: &str, key_pem: &Secret<String>) -> Result<Self, CryptoError> {
        let signer = CheckpointSigner::from_pem(certificate_pem, key_pem.expose())?;
        Ok(Self { signer, certificate_pem: certificate_pem.to_owned(), last: None })
    }

    /// Signs the chain's head if that is due; whether it did.
    async fn sign(&mut self, app: &App, urgency: Urgency) -> Result<bool, StoreError> {
        let last = match self.last {
            Some(last) => last,
            None => self.newest(app).await?,
        };
        let (head, now) = (app.store.audit_head().await?, app.clock.now());
        let rows = head.position.saturating_sub(last.position);
        let due = urgency == Urgency::Now || now.since(last.at) >= SIGN_AFTER || rows >= SIGN_ROWS;
        if rows == 0 || !due {
            return Ok(false);
        }
        let Some(row) = at(&app.store, head.position).await? else { return Ok(false) };
        let checkpoint = Checkpoint { at: now, last_id: row.entry.id, hash: row.hash };
        let signature = match self.signer.sign(&checkpoint) {
            Ok(signature) => signature,
            Err(error) => {
                mb_runtime::logging::limited("checkpoint", || tracing::error!(%error, "audit checkpoint not signed"));
                return Ok(false);
            }
        };
        let kept = AuditCheckpoint {
            at: now,
            position: row.position,
            audit_id: row.entry.id,
            hash: row.hash,
            signature,
            certificate_pem: self.certificate_pem.clone(),
        };
        app.store.insert_checkpoint(&kept).await?;
        // In the log too, which lies elsewhere: there it shows a chain whose end was cut off with its checkpoints.
        tracing::info!(position = row.position, hash = hex::encode(&row.hash), "audit checkpoint signed");
        self.last = Some(Signed { at: now, position: row.position });
        Ok(true)
    }

    async fn newest(&mut self, app: &App) -> Result<Signed, StoreError> {
        let anchors = app.keys.anchors();
        let newest = app.store.last_checkpoint().await?.filter(|kept| is_genuine(kept, &anchors));
        let last = newest.map(|kept| Signed { at: kept.at, position: kept.position }).unwrap_or_default();
        self.last = Some(last);
        Ok(last)
    }
}
