//! Backups.

use mb_core::KeyId;

use super::{Client, ClientError};
use crate::dto::{BackupJob, Backups, CreateBackup, VerifyBackup};
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

    /// How far a job is.
    pub async fn backup_job(&self, id: &KeyId) -> Result<BackupJob, ClientError> {
        self.get(&with_id(paths::BACKUPS_JOB, id)).await
    }
}
