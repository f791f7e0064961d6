//! The main server: the only role that holds the master key, the CA's key and the store.
//!
//! Workers register messages with it, proxies confirm against it and take their policy from it, operators issue and
//! revoke certificates through it. One file per resource under [`routes`]; everything they share is in `App`.

mod actor;
mod app;
mod audit;
pub mod authority;
pub mod backup;
mod caller;
mod contents;
mod delivering;
mod expiry;
mod installation;
mod jobs;
mod keyring;
mod mail;
mod master_keys;
mod metrics;
mod notices;
mod opening;
mod people;
mod policy;
mod retention;
mod routes;
mod sending;
mod shared_secrets;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use mb_api::dto::SettingRow;
use mb_core::{Clock, KeyId, Policy, RetrySchedule};
use mb_crypto::TrustAnchors;
use mb_crypto::jwt::JwtSecret;
use mb_crypto::master::MasterKeys;
use mb_runtime::lifecycle::Lifecycle;
use mb_runtime::metrics::Metrics;
use mb_store::{Instance, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::App;
pub use crate::audit::chain::Notary;
use crate::audit::chain::{Keeper, Urgency};
pub use crate::authority::{Authorities, Authority};
use crate::backup::BackupConfig;
pub use crate::expiry::ending as ending_certificates;
pub use crate::installation::Installation;
pub use crate::jobs::leader::Leadership;
pub use crate::mail::{MailConfig, MailState, SmtpServer, SmtpTls};
pub use crate::people::PeopleConfig;
pub use crate::routes::{SHARING, openapi_text};

/// Why the main server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The store did not answer, or holds what this program cannot read.
    #[error("read the store")]
    Store(#[from] mb_store::StoreError),
    /// A key, certificate or secret is unusable.
    #[error("read keys and certificates")]
    Crypto(#[from] mb_crypto::CryptoError),
    /// The store was sealed under another master key.
    #[error(
        "the store was sealed under encryption key {stored}, the one here is {own}: put the key file here that belongs \
         to the store; all main servers of a store share it"
    )]
    OtherMasterKey {
        /// The store's.
        stored: KeyId,
        /// This machine's.
        own: KeyId,
    },
    /// The store's certificates are another authority's.
    #[error(
        "the certificates of this store are of the authority {stored}, certs/ca.crt is {own}: put the certs/ca.crt and \
         certs/ca.key here that belong to the store; all main servers of a store share them"
    )]
    OtherAuthority {
        /// The store's.
        stored: String,
        /// This machine's.
        own: String,
    },
    /// Mail is configured in a way that cannot work.
    #[error("{0}")]
    Mail(&'static str),
}

/// What the main server is made of.
#[derive(Debug)]
pub struct Parts {
    /// The migrated store.
    pub store: Store,
    /// The certificate authorities with their private keys.
    pub authorities: Authorities,
    /// The keys of which the active one is what data keys are wrapped to.
    pub master: MasterKeys,
    /// The file that says where the audit log ended at last; it must not lie where the store does. `None`: nobody does.
    pub audit_head: Option<PathBuf>,
    /// The key that access tokens are signed with.
    pub jwt: JwtSecret,
    /// Host names and addresses that every serving certificate carries beside those of the machine itself.
    pub own_names: Vec<String>,
    /// What signing in is told.
    pub people: PeopleConfig,
    /// How destinations are tried that have no schedule of their own.
    pub retry: RetrySchedule,
    /// How mail is sent.
    pub mail: MailConfig,
    /// What is backed up, and how.
    pub backup: BackupConfig,
    /// The installation around it.
    pub installation: Installation,
    /// The time.
    pub clock: Clock,
    /// Names this process in counters.
    pub instance: Instance,
    /// Names this main server, whenever it runs, in what it says of its keys.
    pub reporter: KeyId,
    /// How long its leadership lasts without being prolonged: so long nobody leads after it was killed.
    pub lease: Duration,
    /// Where proxies are reached, `https://host[:port]`, for messages that people submit.
    pub proxies: Vec<String>,
    /// Cancelled when the process stops: long polls end then.
    pub stopping: CancellationToken,
}

/// A main server ready to answer requests.
#[derive(Clone, Debug)]
pub struct MainServer {
    app: Arc<App>,
}

impl MainServer {
    /// Loads what it keeps in memory: the policy, the search key, its metrics.
    ///
    /// # Errors
    /// [`ServerError`] if the store or a key cannot be used.
    pub async fn open(parts: Parts, metrics: &mut Metrics) -> Result<Self, ServerError> {
        Ok(Self { app: Arc::new(App::open(parts, metrics).await?) })
    }

    /// All routes of the main server, without the listener's own (`/health`, `/metrics`).
    pub fn router(&self) -> Router {
        routes::router(Arc::clone(&self.app))
    }

    /// Issues and revokes certificates without a request, for the first start.
    pub fn authority(&self) -> &Authority {
        &self.app.authority
    }

    /// From now on these settings are in effect.
    pub fn show_settings(&self, settings: Vec<SettingRow>) {
        self.app.installation.set(settings);
    }

    /// The policy in effect, and every later one.
    pub fn policy(&self) -> watch::Receiver<Arc<Policy>> {
        self.app.policy.subscribe()
    }

    /// A cheap question to the store, for health.
    ///
    /// # Errors
    /// What the store says.
    pub async fn check(&self) -> Result<(), mb_store::StoreError> {
        self.app.store.check().await
    }

    /// Whether the store is an older copy of what a proxy knows, put back without a new epoch.
    pub fn is_behind(&self) -> bool {
        self.app.policy.is_behind()
    }

    /// How many certificates expire and were not renewed, by the days left: 30, 14, 7, 1, or 0 for those that have ended.
    pub fn expiring(&self) -> std::collections::BTreeMap<u32, u64> {
        self.app.metrics.expiring.counts()
    }

    /// How sending mail goes, for health.
    pub fn mail(&self) -> MailState {
        self.app.mail.state()
    }

    /// For how long what is too old has waited to be removed, where this main server does it and that is worth a word.
    pub fn retention_behind(&self) -> Option<Duration> {
        self.app.retention.behind()
    }

    /// Who does the work that only one of several main servers does, for health.
    pub fn leadership(&self) -> Leadership {
        self.app.leadership.last()
    }

    /// How long nobody has to lead before that is worth a word.
    pub fn leader_missed_after(&self) -> Duration {
        jobs::leader::missed_after(&self.app)
    }

    /// From now on `notary` signs the audit log: the main server's certificate was renewed.
    pub fn adopt(&self, notary: Notary) {
        self.app.audit.adopt(notary);
    }

    /// From now on these authorities issue, are trusted and sign revocation lists. Whether another one issues or is trusted
    /// than before.
    ///
    /// # Errors
    /// [`ServerError`] if a certificate cannot be read, or the store not be written.
    pub async fn adopt_ca(&self, authorities: Authorities) -> Result<bool, ServerError> {
        let Authorities { issuing: ca, previous, retired } = authorities;
        let trusted = ca.certificate_pem().to_owned();
        self.app.keys.trust(TrustAnchors::from_pem(&format!("{trusted}\n{retired}"))?);
        self.app.authority.adopt_previous(previous);
        if self.app.authority.is(&ca) {
            return Ok(false);
        }
        let issuer = mb_core::hex::encode(&ca.issuer_id());
        shared_secrets::note_authority(&self.app.store, &ca).await?;
        self.app.authority.adopt(ca);
        self.app.policy.trust(trusted);
        self.app.store.announce("ca.change", &issuer, "system:main-server").await?;
        self.app.policy.refresh(&self.app.store).await?;
        Ok(true)
    }

    /// Chains and signs what the audit log holds by now, for a process that answers requests without background work.
    ///
    /// # Errors
    /// What the store says.
    pub async fn sign_off(&self, notary: Notary) -> Result<(), mb_store::StoreError> {
        Keeper::new(notary).keep(&self.app, Urgency::Now).await
    }

    /// Starts the background work. `notary` signs the audit log.
    pub fn start(&self, lifecycle: &Lifecycle, notary: Notary) {
        people::start(&self.app, lifecycle);
        jobs::start(&self.app, lifecycle, notary);
    }
}
