//! The store: every SQL statement of message-broker, one file per aggregate.
//!
//! The store is the truth about a message once it is registered. Registering is idempotent by the message's id and
//! grouped: all calls that wait share one transaction. Every other change is a transaction of its own that carries its
//! audit row. Reads go by their own connections and never wait for a write. Times are the caller's or the clock's that
//! the store was opened with; nothing here reads another.

mod address;
mod archive;
mod audit;
mod audit_chain;
mod audit_list;
mod backend;
mod bulk;
mod certificates;
mod clients;
mod counters;
mod data_keys;
mod dead_letters;
mod deliveries;
mod describing;
mod destinations;
mod domains;
mod enrolment;
mod error;
mod expiring;
mod expiry;
mod issuing;
mod key_reports;
mod leases;
mod mail;
#[cfg(test)]
mod many_rows;
mod merging;
mod message_list;
mod messages;
mod migration;
mod mysql;
mod newest;
mod notices;
mod policy;
mod probes;
mod proxies;
mod recorded;
mod refresh_tokens;
mod register;
mod reset_tokens;
mod retention;
mod retrying;
mod revoked;
mod rewrap;
mod second_factor;
mod sessions;
mod settings;
mod sign_in_networks;
mod sqlite;
mod statement;
mod stats;
mod tallies;
mod user_changes;
mod users;
mod value;
mod workers;
mod writer;

use std::fmt;
use std::sync::{Arc, Mutex};

use mb_core::{Clock, Timestamp};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

pub use archive::Contents;
pub use audit::AuditEntry;
pub use audit_chain::{AuditCheckpoint, AuditHead, ChainedEntry};
pub use audit_list::{AuditFilter, AuditPage, AuditPlace, ListedEntry};
pub use certificates::{
    CertificateFilter, CertificatePageFilter, CertificateRow, CertificateStatus, Revocation, RevokeTarget,
};
pub use clients::{Client, ClientFilter};
pub use counters::{CounterEvent, HourCount, Instance};
pub use data_keys::DataKeyRow;
pub use dead_letters::{DeadLetterFilter, DeadLetterRow, ListedDeadLetter, NewDeadLetter};
pub use deliveries::{
    AttemptReport, Begin, Cancelled, DeliveryRow, DestinationFigures, DestinationLanes, Held, LEASE, Lane, LeaseAsk,
    Leased, Leasing, MergedExpunged, NewDelivery, NextDue, Redriven, Replay, Replayed, Reported, Reporter, Reports,
    Retried, Retry, StoredAttempt, Whose,
};
pub use describing::{DatabaseDescription, Described, FileSize, PoolUse, Product as DatabaseProduct, TableSize};
pub use destinations::{DestinationChange, DestinationRow, DestinationSettings, NewDestination};
pub use domains::Domain;
pub use enrolment::{Enrolment, EnrolmentTerms, NewEnrolment};
pub use error::StoreError;
pub use expiring::Ending as EndingCertificates;
pub use issuing::{Ground, Recorded};
pub use key_reports::KeyReport;
pub use mail::{Mail, MailBacklog, MailOutcome, NewMail};
pub use mb_core::{ClientStatus, UserRole};
pub use merging::Merged;
pub use message_list::{ListedMessage, MessageFilter, MessagePage, MessagePlace};
pub use messages::{ExistingMessage, MessageRow, MessageStatus};
pub use migration::{MigrationStatus, check_schema};
pub use mysql::inspect::ServerReport;
pub use newest::ShortMessage;
pub use notices::{NewNotice, Notice, NoticeFilter, NoticeKey};
pub use policy::PolicyParts;
pub use proxies::{Heartbeat, SeenProxy};
pub use refresh_tokens::{NewRefreshToken, Rotation};
pub use register::{NewMessage, RegisterBatch, Registered, Registration, Routed};
pub use reset_tokens::NewResetToken;
pub use retention::{
    LetterPlace, Letters, Removal, RetentionPlace, RetentionProgress, Retired, Step as RetentionStep, Stretch,
};
pub use revoked::RevokedCertificate;
pub use rewrap::{SealedColumn, SealedRow};
pub use second_factor::RecoveryCode;
pub use sessions::{MAX_SESSIONS_PER_USER, NewSession, Session, SessionKey};
pub use sign_in_networks::Acquaintance;
pub use stats::{ClientCounts, MessageStats};
pub use user_changes::UserChange;
pub use users::{NewUser, Totp, User, UserFilter};
pub use workers::{SeenWorker, WorkerBeat};

use backend::Backend;
use writer::{Job, LastFault};

/// An open store. Clones share it; [`Store::close`] ends it for all.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    backend: Backend,
    clock: Clock,
    jobs: mpsc::Sender<Job>,
    closing: Arc<Notify>,
    writer: Mutex<Option<JoinHandle<()>>>,
    last_fault: Arc<LastFault>,
}

impl Store {
    /// Opens the database at `address`: `sqlite://PATH` or a path, whose file is created if there is none, or
    /// `mysql://USER:PASSWORD@HOST/DATABASE`, which must be there. Does not migrate.
    #[expect(
        clippy::disallowed_methods,
        reason = "the store owns its writer: it ends with the store, close() awaits it"
    )]
    pub async fn open(address: &str, clock: Clock) -> Result<Self, StoreError> {
        let backend = Backend::open(address).await?;
        let (jobs, waiting) = mpsc::channel(writer::QUEUE);
        let closing = Arc::new(Notify::new());
        let last_fault = Arc::new(LastFault::default());
        let run = writer::run(backend.clone(), clock.clone(), waiting, Arc::clone(&closing), Arc::clone(&last_fault));
        let writer = Mutex::new(Some(tokio::spawn(run)));
        let shared = Shared { backend, clock, jobs, closing, writer, last_fault };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Stores messages, dead letters and data keys in one transaction; what became of each. An answer means that it is
    /// on the disk. A call that is dropped before its answer may have been carried out.
    pub async fn register(&self, batch: RegisterBatch) -> Result<Registration, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.shared.jobs.send(Job { batch, answer }).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Asks the database something cheap; fails too if the store cannot register: its writer has ended, or its last
    /// transaction failed and none has succeeded since.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.epoch().await?;
        let writer = self.shared.writer.lock().map_err(|_| StoreError::Closed)?;
        if writer.as_ref().is_none_or(JoinHandle::is_finished) {
            return Err(StoreError::Closed);
        }
        self.shared.last_fault.get().map_or(Ok(()), Err)
    }

    /// What the database server says about itself; `None` for a file, which has none.
    pub async fn server_report(&self) -> Result<Option<ServerReport>, StoreError> {
        match self.backend() {
            Backend::Sqlite(_) => Ok(None),
            Backend::MySql(db) => db.inspect().await.map(Some),
        }
    }

    /// Bytes on disk.
    pub async fn size(&self) -> u64 {
        self.backend().size().await
    }

    /// Writes what waits, then closes the database. Later calls fail with [`StoreError::Closed`].
    pub async fn close(&self) {
        self.shared.closing.notify_one();
        let writer = self.shared.writer.lock().ok().and_then(|mut writer| writer.take());
        if let Some(writer) = writer
            && let Err(error) = writer.await
        {
            tracing::error!(%error, "the store's writer ended abnormally");
        }
        self.backend().close().await;
    }

    fn backend(&self) -> &Backend {
        &self.shared.backend
    }

    fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    fn now(&self) -> Timestamp {
        self.clock().now()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("backend", self.backend()).finish_non_exhaustive()
    }
}
