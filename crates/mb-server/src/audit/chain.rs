//! Chaining the audit log: whoever leads gives every new row its place within a second, and signs where the chain ends.
//!
//! Signing costs a row and a signature, so it is done for what a minute brought together, or for a thousand rows, and at
//! the end: what lies behind the newest checkpoint is chained, not yet signed.

use std::time::Duration;

use mb_core::{Secret, Timestamp, hex};
use mb_crypto::CryptoError;
use mb_crypto::audit::{Checkpoint, CheckpointSigner};
use mb_store::{AuditCheckpoint, StoreError};

use super::at;
use super::head::Witness;
use crate::app::App;

/// Rows that are chained in one transaction.
const ROWS: u32 = 500;
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
pub(crate) async fn extend(app: &App) -> Result<(), StoreError> {
    loop {
        let rows = app.store.unchained_audit(ROWS).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let head = app.store.audit_head().await?;
        let mut hash = head.hash;
        let links = rows.iter().map(|row| {
            hash = app.audit.key.link(&hash, &row.record());
            (row.id, hash)
        });
        let links = links.collect::<Vec<_>>();
        if !app.store.chain_audit(&head, &links).await? || rows.len() < ROWS as usize {
            return Ok(());
        }
    }
}

/// Chains, signs, and takes down outside the database where the chain ends.
#[derive(Debug)]
pub(crate) struct Keeper {
    notary: Notary,
    witness: Witness,
}

impl Keeper {
    pub(crate) fn new(notary: Notary) -> Self {
        Self { notary, witness: Witness::default() }
    }

    /// One pass, where this process leads.
    pub(crate) async fn keep(&mut self, app: &App, urgency: Urgency) -> Result<(), StoreError> {
        self.adopt(app);
        extend(app).await?;
        if self.witness.is_new() {
            // A checkpoint without the file beside it looks like a log whose end was cut off.
            self.witness.note(app).await?;
        }
        if self.notary.sign(app, urgency).await? {
            self.witness.count_anew();
        }
        self.witness.note(app).await
    }

    /// One pass where another leads: that it is chained is its business, where the chain ends is everybody's.
    pub(crate) async fn follow(&mut self, app: &App) -> Result<(), StoreError> {
        self.adopt(app);
        self.notary.last = None;
        self.witness.note(app).await
    }

    fn adopt(&mut self, app: &App) {
        if let Some(notary) = app.audit.adopted() {
            self.notary = notary;
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
        let newest = app.store.last_checkpoint().await?;
        let last = newest.map(|kept| Signed { at: kept.at, position: kept.position }).unwrap_or_default();
        self.last = Some(last);
        Ok(last)
    }
}
