//! Backups: which there are, and the jobs that make and prove them (contract, section 6, `backup`).

use mb_core::{KeyId, Timestamp};
use utoipa::{IntoParams, ToSchema};

use crate::schema;

/// The backups in the main server's folder.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Backups {
    /// The folder.
    pub dir: String,
    /// The newest first.
    pub data: Vec<BackupRow>,
}

/// Whether a backup is what its manifest says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupState {
    /// Its manifest is there and its files have the right sizes.
    Good,
    /// They are not.
    Damaged,
}

/// A backup.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct BackupRow {
    /// `backup_YYYYMMDD_HHMMSS`, UTC.
    pub name: String,
    /// Where it lies at the main server.
    pub path: String,
    /// Whether it is what its manifest says.
    pub state: BackupState,
    /// What is wrong with it.
    pub problem: Option<String>,
    /// When it was made.
    #[schema(value_type = schema::Timestamp)]
    pub created_at: Timestamp,
    /// When it was last proven by a restore into a scratch place.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub verified_at: Option<Timestamp>,
    /// The product's version that made it.
    pub version: Option<String>,
    /// The number of the newest migration in it.
    pub schema: Option<i64>,
    /// Rows of all tables.
    pub rows: Option<u64>,
    /// Messages among them.
    pub messages: Option<u64>,
    /// Bytes of its files.
    pub bytes: Option<u64>,
    /// `passphrase`, or the recipient it is sealed to.
    pub sealed: Option<String>,
}

/// Asks for a backup.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBackup {
    /// Another folder than the main server's, an absolute path of its machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Asks for the proof of a backup.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyBackup {
    /// Its name in the main server's folder, or its absolute path there.
    pub backup: String,
}

/// What a job does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupJobKind {
    /// Makes a backup.
    Create,
    /// Proves one.
    Verify,
}

/// Where a job stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupJobState {
    /// It is under way.
    Running,
    /// It has succeeded.
    Done,
    /// It has not; `error` says why.
    Failed,
}

/// A job. The main server remembers the last one.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct BackupJob {
    /// Its id.
    #[schema(value_type = schema::Hex128)]
    pub id: KeyId,
    /// What it does.
    pub kind: BackupJobKind,
    /// Where it stands.
    pub state: BackupJobState,
    /// When it began.
    #[schema(value_type = schema::Timestamp)]
    pub started_at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub ended_at: Option<Timestamp>,
    /// What it is at: `database`, `files`, `checksums`.
    pub step: String,
    /// How many bytes it has gone through.
    pub bytes: u64,
    /// The backup that was made or proven.
    pub backup: Option<BackupRow>,
    /// What the proof found.
    pub verified: Option<VerifiedBackup>,
    /// Why it failed.
    pub error: Option<String>,
}

/// What a proof found: every checksum is right, every seal opens, and as many rows were restored as the manifest says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct VerifiedBackup {
    /// Files that were opened: certificates, keys, settings, logs.
    pub files: u64,
    /// Tables.
    pub tables: u64,
    /// Rows of all tables.
    pub rows: u64,
    /// Messages among them.
    pub messages: u64,
}

/// The most bytes of one piece of a backup's file.
pub const BACKUP_PIECE: u64 = 4 << 20;

/// One of a backup's files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupFile {
    /// What is in it, in clear.
    Manifest,
    /// The rows of all tables, sealed.
    Database,
    /// Certificates, keys, settings and logs, sealed.
    Files,
}

impl BackupFile {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Manifest, Self::Database, Self::Files];

    /// Its name in the backup's folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest.json",
            Self::Database => "database.age",
            Self::Files => "files.age",
        }
    }
}

/// Which piece of which file.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BackupFileQuery {
    /// The backup's name.
    pub backup: String,
    /// Its file.
    #[param(inline)]
    pub file: BackupFile,
    /// Bytes before the piece.
    #[serde(default)]
    pub offset: u64,
}
