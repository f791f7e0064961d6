//! Backups.

use bytes::Bytes;
use http::Method;
use mb_core::KeyId;

use super::{Client, ClientError, DEADLINE, bare, with_query};
#[cfg(doc)]
use crate::dto::BACKUP_PIECE;
use crate::dto::{BackupFileQuery, BackupJob, Backups, CreateBackup, VerifyBackup};
use crate::paths::{self, with_id};

impl Client {
    /// The backups in the main server's folder.
    pub async fn backups(&self) -> Result<Backups, ClientError> {
        self.get(paths::BACKUPS).await
    }

    /// Begins a backup.
    pub async fn create_backup(&self, ask: &CreateBackup) -> Result<BackupJob, ClientError> {
        self.post(paths::BACKUPS, ask, None).await
    }

    /// Begins the proof of a backup.
    pub async fn verify_backup(&self, ask: &VerifyBackup) -> Result<BackupJob, ClientError> {
        self.post(paths::BACKUPS_VERIFY, ask, None).await
    }

    /// A piece of a backup's file; one that is shorter than [`BACKUP_PIECE`] is the last.
    pub async fn backup_file(&self, query: &BackupFileQuery) -> Result<Bytes, ClientError> {
        let path = with_query(paths::BACKUPS_FILE, query)?;
        Ok(self.send(bare(Method::GET, &path)?, DEADLINE).await?.into_body())
    }

    /// How far a job is.
    pub async fn backup_job(&self, id: &KeyId) -> Result<BackupJob, ClientError> {
        self.get(&with_id(paths::BACKUPS_JOB, id)).await
    }
}
