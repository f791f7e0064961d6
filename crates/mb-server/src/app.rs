//! What all handlers share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mb_core::{Clock, KeyId, RetrySchedule};
use mb_crypto::jwt::JwtSecret;
use mb_crypto::master::MasterKeys;
use mb_crypto::search::SearchKey;
use mb_runtime::metrics::Metrics;
use mb_store::{Instance, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::audit::state::AuditState;
use crate::authority::Authority;
use crate::backup::Backups;
use crate::delivering::Delivering;
use crate::installation::Installation;
use crate::jobs::leader::Seen;
use crate::keyring::KeyRing;
use crate::mail::Mailer;
use crate::metrics::{ServerMetrics, as_f64};
use crate::people::People;
use crate::policy::PolicyFeed;
use crate::retention::keeping::Keeping;
use crate::routes::Watchers;
use crate::sending::Sending;
use crate::{Parts, ServerError, shared_secrets};

pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) authority: Authority,
    pub(crate) audit: AuditState,
    pub(crate) backups: Backups,
    pub(crate) delivering: Delivering,
    pub(crate) keys: KeyRing,
    /// Who was last seen to lead.
    pub(crate) leadership: Seen,
    pub(crate) jwt: JwtSecret,
    pub(crate) master: Arc<MasterKeys>,
    /// Names this main server in what it says of its keys.
    pub(crate) reporter: KeyId,
    pub(crate) retention: Keeping,
    pub(crate) retry: RetrySchedule,
    pub(crate) mail: Mailer,
    pub(crate) installation: Installation,
    pub(crate) people: People,
    pub(crate) search: SearchKey,
    pub(crate) sending: Sending,
    /// Turns for those who watch messages.
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) policy: PolicyFeed,
    pub(crate) metrics: ServerMetrics,
    pub(crate) clock: Clock,
    pub(crate) instance: Instance,
    /// How long leadership outlives a main server that died.
    pub(crate) lease: Duration,
    pub(crate) stopping: CancellationToken,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("instance", &self.instance).finish_non_exhaustive()
    }
}

impl App {
    pub(crate) async fn open(parts: Parts, metrics: &mut Metrics) -> Result<Self, ServerError> {
        let Parts {
            store,
            authorities,
            master,
            audit_head,
            jwt,
            own_names,
            people,
            retry,
            mail,
            installation,
            backup,
            clock,
            instance,
            reporter,
            lease,
            proxies,
            stopping,
        } = parts;
        let search = shared_secrets::search_key(&store, &master).await?;
        let audit = AuditState::new(shared_secrets::chain_key(&store, &master).await?, audit_head);
        shared_secrets::check_authority(&store, &authorities.issuing).await?;
        shared_secrets::check_jwt(&store, &search, &jwt).await?;
        let master = Arc::new(master);
        let trusted = authorities.issuing.certificate_pem().to_owned();
        let keys = KeyRing::new(Arc::clone(&master), &format!("{trusted}\n{}", authorities.retired))?;
        let policy = PolicyFeed::open(&store, trusted, Arc::clone(&master)).await?;
        let delivering = Delivering::open(&store, Arc::clone(&master)).await?;
        let mail = Mailer::new(mail)?;
        let authority = Authority::new(authorities, own_names, store.clone(), clock.clone());
        let metrics = ServerMetrics::register(metrics, policy.subscribe());
        let people = People::new(people);
        Ok(Self {
            store,
            authority,
            audit,
            backups: Backups::new(backup),
            delivering,
            keys,
            leadership: Seen::default(),
            jwt,
            master,
            reporter,
            retention: Keeping::default(),
            retry,
            mail,
            installation,
            people,
            search,
            sending: Sending::new(proxies),
            watchers: Arc::default(),
            policy,
            metrics,
            clock,
            instance,
            lease,
            stopping,
        })
    }
}

impl App {
    /// How many dead letters there are, and how the destinations fare.
    pub(crate) async fn measure_deliveries(&self) -> Result<(), StoreError> {
        let (dead_letters, figures) = (self.store.open_dead_letters().await?, self.store.destination_figures().await?);
        self.metrics.destinations.set(dead_letters, &figures);
        Ok(())
    }

    /// How large the store is, and how much mail waits in it.
    pub(crate) async fn measure_store(&self) -> Result<(), StoreError> {
        let gauges = &self.metrics.store;
        gauges.size.set(as_f64(self.store.size().await));
        let backlog = self.store.mail_backlog().await?;
        gauges.mail(backlog.waiting, backlog.oldest);
        Ok(())
    }
}
