//! What all handlers share.

use std::fmt;
use std::sync::Arc;

use mb_core::{Clock, Timestamp};
use mb_crypto::jwt::JwtSecret;
use mb_crypto::master::MasterKey;
use mb_crypto::search::SearchKey;
use mb_runtime::metrics::Metrics;
use mb_store::{CounterEvent, Instance, Store};

use tokio_util::sync::CancellationToken;

use crate::audit::state::AuditState;
use crate::authority::Authority;
use crate::delivering::Delivering;
use crate::keyring::KeyRing;
use crate::mail::Mailer;
use crate::metrics::ServerMetrics;
use crate::people::People;
use crate::policy::PolicyFeed;
use crate::{Parts, ServerError};

/// The store's setting that holds the wrapped search key.
const SEARCH_KEY: &str = "search_key";

pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) authority: Authority,
    pub(crate) audit: AuditState,
    pub(crate) delivering: Delivering,
    pub(crate) keys: KeyRing,
    pub(crate) jwt: JwtSecret,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) mail: Mailer,
    pub(crate) people: People,
    pub(crate) search: SearchKey,
    pub(crate) policy: PolicyFeed,
    pub(crate) metrics: ServerMetrics,
    pub(crate) clock: Clock,
    pub(crate) instance: Instance,
    pub(crate) stopping: CancellationToken,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("instance", &self.instance).finish_non_exhaustive()
    }
}

impl App {
    pub(crate) async fn open(parts: Parts, metrics: &mut Metrics) -> Result<Self, ServerError> {
        let Parts { store, ca, master, audit_head, jwt, own_names, people, mail, clock, instance, stopping } = parts;
        let audit = AuditState::new(&master, audit_head)?;
        let search = search_key(&store, &master).await?;
        let policy = PolicyFeed::open(&store, ca.certificate_pem().to_owned(), master.public()).await?;
        let master = Arc::new(master);
        let keys = KeyRing::new(Arc::clone(&master), ca.certificate_pem())?;
        let delivering = Delivering::open(&store, Arc::clone(&master)).await?;
        let mail = Mailer::new(mail)?;
        let authority = Authority::new(ca, own_names, store.clone(), clock.clone());
        let metrics = ServerMetrics::register(metrics);
        let people = People::new(people);
        Ok(Self {
            store,
            authority,
            audit,
            delivering,
            keys,
            jwt,
            master,
            mail,
            people,
            search,
            policy,
            metrics,
            clock,
            instance,
            stopping,
        })
    }
}

impl App {
    /// From the counters, whose rows grow by the hour and not with the dead letters.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
    pub(crate) async fn count_dead_letters(&self) {
        let all = (Timestamp::default(), Timestamp::from_micros(i64::MAX));
        match self.store.event_counts(None, all.0, all.1).await {
            Ok(counts) => {
                let count = counts.get(&CounterEvent::DeadLettered).copied().unwrap_or(0);
                self.metrics.dead_letters.set(count as f64);
            }
            Err(error) => mb_runtime::logging::limited("dead letters", || {
                tracing::warn!(%error, "dead letters not counted");
            }),
        }
    }
}

async fn search_key(store: &Store, master: &MasterKey) -> Result<SearchKey, ServerError> {
    if let Some(wrapped) = store.setting(SEARCH_KEY).await? {
        return SearchKey::unwrap(master, &wrapped).map_err(|_| ServerError::OtherMasterKey);
    }
    let wrapped = SearchKey::generate().wrap(master)?;
    // Two main servers may start at once: the first value stays and both use it.
    let kept = store.setting_or_insert(SEARCH_KEY, &wrapped, "system:main-server").await?;
    SearchKey::unwrap(master, &kept).map_err(|_| ServerError::OtherMasterKey)
}
