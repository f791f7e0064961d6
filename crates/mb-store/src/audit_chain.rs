//! The hash chain over the audit log, and signed checkpoints of it.
//!
//! Rows are inserted without a place in the chain, so that recording never waits for another row; whoever leads chains
//! them soon after. The chain has its own order, which is that of the ids as far as rows became visible in it. Hashes are
//! made elsewhere, over [`AuditEntry::record`]; here they are only put where the chain ends, and nowhere else.

use mb_core::Timestamp;
use mb_core::audit::GENESIS;

use crate::Store;
use crate::audit::{self, AuditEntry};
use crate::error::StoreError;
use crate::value::{Row, Value};

/// Where the chain ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuditHead {
    /// The last row's place, from 1; 0 if nothing is chained.
    pub position: u64,
    /// The last row's hash; [`GENESIS`] if nothing is chained.
    pub hash: [u8; 32],
}

/// A row with its place in the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChainedEntry {
    /// Its place, from 1.
    pub position: u64,
    /// The hash of the row before, as it was when this one was chained.
    pub prev_hash: [u8; 32],
    /// Its own hash.
    pub hash: [u8; 32],
    /// The row.
    pub entry: AuditEntry,
}

/// A signed statement of where the chain ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditCheckpoint {
    /// When it was made.
    pub at: Timestamp,
    /// The place of the last row.
    pub position: u64,
    /// The id of the last row.
    pub audit_id: i64,
    /// The hash of the last row.
    pub hash: [u8; 32],
    /// The signature; opaque here.
    pub signature: Vec<u8>,
    /// The signer's certificate, PEM.
    pub certificate_pem: String,
}

const HEAD: &str = "SELECT position, hash FROM audit_log WHERE position IS NOT NULL ORDER BY position DESC LIMIT 1";
const UNCHAINED: &str = "SELECT id, at, actor, action, object, detail FROM audit_log WHERE position IS NULL \
                         ORDER BY id LIMIT ?";
const CHAINED: &str = "SELECT id, at, actor, action, object, detail, position, prev_hash, hash FROM audit_log \
                       WHERE position > ? ORDER BY position LIMIT ?";
const LINK: &str = "UPDATE audit_log SET position = ?, prev_hash = ?, hash = ? WHERE id = ? AND position IS NULL";
const CHECKPOINTS: &str = "SELECT at, position, audit_id, hash, signature, certificate, id FROM audit_checkpoints \
                           WHERE id > ? ORDER BY id LIMIT ?";
const LAST_CHECKPOINT: &str = "SELECT at, position, audit_id, hash, signature, certificate, id \
                               FROM audit_checkpoints ORDER BY id DESC LIMIT 1";

fn read_head(row: Option<&Row>) -> Result<AuditHead, StoreError> {
    row.map_or(Ok(AuditHead { position: 0, hash: GENESIS }), |row| {
        Ok(AuditHead { position: row.unsigned(0)?, hash: row.array(1)? })
    })
}

/// What is no hash any more reads as one that fits nothing: it is for the chain's check to find, not to stumble over.
fn read_chained(row: &Row) -> Result<ChainedEntry, StoreError> {
    let hash = |at| row.array(at).unwrap_or_default();
    Ok(ChainedEntry { position: row.unsigned(6)?, prev_hash: hash(7), hash: hash(8), entry: audit::read(row)? })
}

fn read_checkpoint(row: &Row) -> Result<AuditCheckpoint, StoreError> {
    Ok(AuditCheckpoint {
        at: row.time(0)?,
        position: row.unsigned(1)?,
        audit_id: row.int(2)?,
        hash: row.array(3)?,
        signature: row.blob(4)?.to_vec(),
        certificate_pem: row.text(5)?.to_owned(),
    })
}

impl Store {
    /// Where the chain ends.
    pub async fn audit_head(&self) -> Result<AuditHead, StoreError> {
        read_head(self.backend().fetch_optional(HEAD, []).await?.as_ref())
    }

    /// Rows that are not chained yet, at most `limit`, in the order in which they are to be.
    pub async fn unchained_audit(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.backend().fetch(UNCHAINED, [Value::Int(limit.into())]).await?.iter().map(audit::read).collect()
    }

    /// Puts rows, each by id and hash, behind `head`. `false`, and nothing is chained, if the chain ends elsewhere by now
    /// or one of the rows is chained: another was faster.
    pub async fn chain_audit(&self, head: &AuditHead, links: &[(i64, [u8; 32])]) -> Result<bool, StoreError> {
        let mut tx = self.backend().begin().await?;
        if read_head(tx.fetch_optional(HEAD, []).await?.as_ref())? != *head {
            tx.rollback().await?;
            return Ok(false);
        }
        let mut end = *head;
        for (id, hash) in links {
            let position = end.position + 1;
            let values = [Value::unsigned(position), Value::Blob(&end.hash), Value::Blob(hash), Value::Int(*id)];
            if tx.execute(LINK, values).await? != 1 {
                tx.rollback().await?;
                return Ok(false);
            }
            end = AuditHead { position, hash: *hash };
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Chained rows behind place `after` (0: from the first), in the chain's order, at most `limit`.
    pub async fn audit_chain(&self, after: u64, limit: u32) -> Result<Vec<ChainedEntry>, StoreError> {
        let values = [Value::unsigned(after), Value::Int(limit.into())];
        self.backend().fetch(CHAINED, values).await?.iter().map(read_chained).collect()
    }

    /// Stores a checkpoint.
    pub async fn insert_checkpoint(&self, checkpoint: &AuditCheckpoint) -> Result<(), StoreError> {
        let sql = "INSERT INTO audit_checkpoints (at, position, audit_id, hash, signature, certificate) \
                   VALUES (?, ?, ?, ?, ?, ?)";
        let values = [
            Value::Time(checkpoint.at),
            Value::unsigned(checkpoint.position),
            Value::Int(checkpoint.audit_id),
            Value::Blob(&checkpoint.hash),
            Value::Blob(&checkpoint.signature),
            Value::Text(&checkpoint.certificate_pem),
        ];
        let mut tx = self.backend().begin().await?;
        tx.execute(sql, values).await?;
        tx.commit().await
    }

    /// Checkpoints with their ids, oldest first, behind the id `after` (0: from the first), at most `limit`.
    pub async fn checkpoints(&self, after: i64, limit: u32) -> Result<Vec<(i64, AuditCheckpoint)>, StoreError> {
        let rows = self.backend().fetch(CHECKPOINTS, [Value::Int(after), Value::Int(limit.into())]).await?;
        rows.iter().map(|row| Ok((row.int(6)?, read_checkpoint(row)?))).collect()
    }

    /// How many checkpoints there are at `position` and behind it.
    pub async fn checkpoint_count(&self, position: u64) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) FROM audit_checkpoints WHERE position >= ?";
        let row = self.backend().fetch_optional(sql, [Value::unsigned(position)]).await?;
        row.map_or(Ok(0), |row| row.unsigned(0))
    }

    /// The newest checkpoint.
    pub async fn last_checkpoint(&self) -> Result<Option<AuditCheckpoint>, StoreError> {
        self.backend().fetch_optional(LAST_CHECKPOINT, []).await?.as_ref().map(read_checkpoint).transpose()
    }
}
