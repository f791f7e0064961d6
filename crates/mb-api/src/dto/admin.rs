//! Administration, one file per resource (contract, section 4).

mod audit;
mod backups;
mod certificates;
mod clients;
mod database;
mod deliveries;
mod destinations;
mod domains;
mod enrolment;
mod installation;
mod keys;
mod notices;
mod proxies;
mod queue;
mod retention;
mod stats;
mod store;
mod users;
mod workers;

pub use audit::{AuditFault, AuditFaultKind, AuditQuery, AuditReport, AuditRow, AuditVerifyQuery};
pub use backups::{
    BACKUP_PIECE, BackupFile, BackupFileQuery, BackupJob, BackupJobKind, BackupJobState, BackupRow, BackupState,
    Backups, CreateBackup, VerifiedBackup, VerifyBackup,
};
pub use certificates::{
    CertificateQuery, CertificateRow, CertificateStatus, ExpiringQuery, GenerateCertificate, GeneratedCertificate,
    RevokeCertificate, Revoked,
};
pub use clients::{ClientQuery, ClientRow, SetClientRateLimit, SetClientStatus};
pub use database::{DatabaseKind, DatabaseMigration, DatabasePool, DatabaseReport, DatabaseTable};
pub use deliveries::{
    CancelRequest, ChooseDeadLetters, DeadLetterQuery, DeadLetterRow, DeadLettersDone, DeliveryRow, MAX_LETTERS,
    ReplayMessages, Replayed, Retried,
};
pub use destinations::{
    CreateDestination, CreatedDestination, DestinationQuery, DestinationRow, DestinationSettings, DestinationTest,
    RotatedSecret, SetDestinationState,
};
pub use domains::{CreateDomain, DomainRow, DomainSettings};
pub use enrolment::{
    CreateEnrolment, Enrol, Enrolment, Pkcs12File, RenewCertificate, SignCertificate, SignedCertificate,
};
pub use installation::{FindingRow, FindingStatus, SettingRow};
pub use keys::{KeyProxy, KeyReport, KeyState, MasterKey, MasterKeyRow, MasterKeys, RewrapKeys, RewrapProgress};
pub use notices::{NoticeQuery, NoticeRow};
pub use proxies::ProxyRow;
pub use queue::{DestinationLanes, Lane, ProxyBacklog, QueueReport, QueueRow, SetAside};
pub use retention::{DomainRetention, RetentionProgress, RetentionSettings, RetentionTerms, RunRetention};
pub use stats::{Stats, StatsPeriod, StatsQuery};
pub use store::NewEpoch;
pub use users::{
    CreateUser, SetUserClient, SetUserExpiry, SetUserPassword, SetUserRole, SetUserSending, SetUserStatus, UserQuery,
    UserRow,
};
pub use workers::{WorkerRow, WorkerState};
